"""The walk as a pure function: whatever is seen in whatever order, the canary never gets more than it has earned."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.kernel.errors import Malformed
from sre_platform.rollouts.domain import Verdict
from sre_platform.rollouts.walk import AT_A_STEP, ENDED, Situation, State, Wish, after, plan, weights

STEPS = plan((5, 25, 50, 100))
seen = st.fixed_dictionaries(
    {
        "for_s": st.sampled_from([0.0, 20.0, 61.0, 700.0, 4000.0]),
        "at_step_s": st.sampled_from([0.0, 59.0, 61.0]),
        "wish": st.sampled_from(Wish),
        "breach": st.sampled_from(["", "", "", "It fails."]),
        "hold": st.sampled_from(["", "", "All automation is stopped."]),
        "ready": st.booleans(),
        "verdict": st.sampled_from([None, *Verdict]),
        "done": st.booleans(),
    }
)


def story(looks):
    """What each look led to: the situation, the move (None: stay), and the canary's share before and after."""
    state, step, ending = State.PENDING, 0, State.ROLLED_BACK
    for look in looks:
        situation = Situation(state=state, steps=STEPS, step=step, step_s=60.0, ending=ending, **look)
        move = after(situation)
        before = share(state, step)
        if move:
            state, step, ending = move.state, move.step, move.ending
        yield situation, move, before, share(state, step)


def share(state, step):
    """The most that the canary may get in a state; promoting is everything."""
    return 100 if state in (State.PROMOTING, State.PROMOTED) else weights(state, STEPS, step).canary


@given(st.lists(seen, max_size=60))
def test_the_share_never_rises_beyond_the_first_step_without_a_pass_or_a_person(looks):
    for situation, _, before, now in story(looks):
        if now > before and not (situation.state is State.STARTING and now == STEPS[0].weight):
            assert situation.verdict is Verdict.PASS or situation.wish in (Wish.GO_ON, Wish.PROMOTE)
            assert not (situation.breach or situation.hold)


@given(st.lists(seen, max_size=60))
def test_after_a_breach_the_share_is_0_and_stays_0(looks):
    broken = False
    for situation, _, _, now in story(looks):
        if situation.breach and situation.state not in ENDED:
            broken = True
        assert not broken or now == 0 or situation.state in ENDED


@given(st.lists(seen, max_size=60))
def test_a_hold_stops_every_step_forward_and_no_way_back(looks):
    for situation, move, before, now in story(looks):
        if situation.hold and not situation.breach:
            assert now <= before
        if situation.hold and situation.breach and situation.state not in (*ENDED, State.ROLLING_BACK):
            assert move is not None
            assert move.state is State.ROLLING_BACK


@given(st.lists(seen, max_size=60))
def test_what_cannot_be_told_never_takes_a_step(looks):
    for situation, move, before, now in story(looks):
        if situation.verdict in (None, Verdict.INCONCLUSIVE) and situation.wish is Wish.NONE:
            assert now <= max(before, STEPS[0].weight)
            assert move is None or move.state is not State.PROMOTING


@given(st.lists(seen, max_size=60))
def test_an_end_is_an_end_and_is_reached_only_through_promoting_or_the_way_back(looks):
    for situation, move, _, _ in story(looks):
        if situation.state in ENDED:
            assert move is None
        elif move and move.state in ENDED:
            assert situation.state in (State.PROMOTING, State.ROLLING_BACK)
            assert situation.done


@given(st.lists(seen, max_size=60))
def test_a_failed_analysis_is_a_breach_at_every_step(looks):
    for situation, move, _, _ in story(looks):
        if situation.state in AT_A_STEP and situation.verdict is Verdict.FAIL:
            assert move is not None
            assert move.state is State.ROLLING_BACK


def test_the_steps_say_what_they_are():
    assert [str(step) for step in plan((5, 100), "region")] == ["requests with the region label", "5 %", "100 %"]
    assert plan(label="header")[0].weights.as_json() == {"canary": 0, "header": True, "region": False}


def test_a_label_that_no_router_knows_is_refused():
    with pytest.raises(Malformed, match="by header or by region"):
        plan(label="cookie")
