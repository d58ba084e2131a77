"""How sure a difference is when versions wander on their own: against what can be derived, and what must hold."""

from random import Random

import pytest

from sre_platform.rollouts.strata import Block, difference
from sre_platform.rollouts.wander import UNINFORMED, certainty, learnt

STEADY_ONLY = {(0.0, 0.0): 1.0}


def block(difference_: float, each: int = 50) -> Block:
    """A block whose requests' scores have the variance 1, and whose canary is ``difference_`` above its baseline."""
    weight, total = each / 2, 2 * each
    return Block(each, each, weight * difference_, 0.0, total - 1.0)


def wandering(random: Random, memory: float, strength: float, shift: float, count: int = 60) -> list[Block]:
    """Blocks with a common ``shift``, chance and an AR(1), all in units of a block's chance."""
    unit, own, blocks = (1 / 25) ** 0.5, random.gauss(0, 1), []
    for _ in range(count):
        own = memory * own + (1 - memory**2) ** 0.5 * random.gauss(0, 1)
        blocks.append(block(unit * (shift + strength * own + random.gauss(0, 1))))
    return blocks


def test_the_belief_is_a_probability() -> None:
    assert sum(UNINFORMED.values()) == pytest.approx(1)
    assert sum(learnt(wandering(Random(1), 0.9, 1, 0)).values()) == pytest.approx(1)


def test_without_wandering_it_is_nearly_the_score_test() -> None:
    blocks = wandering(Random(2), 0.0, 0.0, 0.3)
    assert certainty(blocks, STEADY_ONLY) == pytest.approx(difference(blocks).z, abs=0.1)


def test_it_has_a_sign() -> None:
    blocks = wandering(Random(3), 0.0, 0.0, 0.5)
    opposite = [block(-one.canary_sum / 25) for one in blocks]
    assert certainty(opposite) == pytest.approx(-certainty(blocks))


def test_nothing_to_compare_is_not_sure_and_teaches_nothing() -> None:
    for blocks in ([], [Block(5, 0, 9.0, 9.0, 81.0)], [Block(5, 5)]):
        assert certainty(blocks) == 0
        assert learnt(blocks) == UNINFORMED


@pytest.mark.parametrize(("memory", "most"), [(0.5, 4), (0.9, 4), (0.98, 12)])
def test_wandering_of_their_own_seldom_looks_like_a_difference(memory: float, most: int) -> None:
    """200 canaries at the last look's 2.75. What does not come back within a minute cannot all be told from a cause."""
    random = Random(4)
    plain = same = 0
    for _ in range(200):
        blocks = wandering(random, memory, 2.0, 0)
        plain += sum(one.excess for one in blocks) / sum(one.variance for one in blocks) ** 0.5 > 2.75
        same += certainty(blocks) > 2.75
    assert same <= most
    assert plain > 4 * most


def test_a_difference_is_seen_through_fast_wandering_but_not_through_slow() -> None:
    fast, slow = (wandering(Random(5), memory, 1.0, 1.5) for memory in (0.3, 0.98))
    assert certainty(fast) > 3
    assert certainty(slow) < 2.75


def test_what_the_wide_tail_taught_counts_for_the_narrow_one() -> None:
    narrow = wandering(Random(6), 0.0, 0.0, 0.6)
    wild = learnt(wandering(Random(7), 0.95, 4.0, 0))
    assert certainty(narrow, wild, 0.05) < certainty(narrow, top=0.05)


def test_a_gross_difference_is_sure_within_ten_blocks() -> None:
    assert certainty(wandering(Random(8), 0.0, 0.0, 30, count=10)) > 4
