"""What the time before a look says about how much the versions wander on their own."""

from math import exp
from random import Random

import pytest

from sre_platform.rollouts.domain import Request
from sre_platform.rollouts.history import History
from sre_platform.rollouts.strata import Block
from sre_platform.rollouts.wander import MEMORIES, STEADY, STRENGTHS, UNINFORMED, carried, learnt, warned
from sre_platform.rollouts.window import Window, pretended


def serving(random: Random, since: int, until: int, wander: float, per_s: int = 20) -> list[Request]:
    """Requests of one version whose latencies wander with a memory of 0.95."""
    level, rows = random.gauss(0, 1), []
    for second in range(since, until):
        level = 0.95 * level + 0.312 * random.gauss(0, 1)
        ms = [20 * exp(wander * level + random.gauss(0, 0.3)) for _ in range(per_s)]
        rows += [Request(second + n / per_s, 200, each) for n, each in enumerate(ms)]
    return rows


def whole(baseline: list[Request], canary: list[Request]) -> list[Block]:
    return Window(baseline, canary, 0.0).tail(1.0)


def test_pretended_canaries_of_the_past_are_together_no_different() -> None:
    blocks = pretended(serving(Random(1), -60, 0, 0.2))
    assert len(blocks) == 60
    assert sum(block.excess for block in blocks) == pytest.approx(0, abs=1e-6)
    assert pretended([]) == []


def test_a_past_that_wandered_makes_careful_and_a_quiet_one_changes_nothing() -> None:
    random = Random(2)
    baseline, canary = (serving(random, 0, 60, 0.0) for _ in "ab")
    wild, quiet, none = (
        History(before, baseline, canary, 0.0).belief(whole(baseline, canary), 0.0)
        for before in (serving(random, -200, 0, 0.3), serving(random, -200, 0, 0.0), [])
    )
    assert wild[0.0, 0.0] == pytest.approx(STEADY - 0.1, abs=0.01)
    assert quiet[0.0, 0.0] == pytest.approx(STEADY, abs=0.02)
    assert none == UNINFORMED


def test_no_past_makes_less_careful() -> None:
    for past in (UNINFORMED, learnt(pretended(serving(Random(3), -100, 0, 0.1)))):
        likely = warned(past)
        assert sum(likely.values()) == pytest.approx(1)
        assert all(likely[habit] >= weight for habit, weight in UNINFORMED.items() if habit[0])


def test_the_run_so_far_is_learnt_from() -> None:
    random = Random(4)
    wild = [serving(random, 0, 200, 0.3) for _ in "ab"]
    blocks = whole(*([row for row in rows if row.time >= 140] for rows in wild))
    belief = History([], wild[0], wild[1], 0.0).belief(blocks, 140.0)
    assert belief[0.0, 0.0] < 0.01


def test_a_belief_is_carried_to_the_nearest_strength() -> None:
    belief = dict.fromkeys(UNINFORMED, 0.0) | {(STRENGTHS[2], MEMORIES[0]): 0.7, (0.0, 0.0): 0.3}
    moved = carried(belief, 6)
    assert (moved[STRENGTHS[3], MEMORIES[0]], moved[0.0, 0.0]) == (0.7, 0.3)
    assert carried(belief, 1e9)[STRENGTHS[-1], MEMORIES[0]] == 0.7
