"""Fixed, not fixed, worse, unverified: by table, and what must hold whatever was measured."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.kernel.sli import Sli
from sre_platform.playbook.schema import Criterion, Verify
from sre_platform.verification.domain import Checked, Verdict, assess, for_service, good, relapsed

PLAN = Verify(count=3, failure_limit=2, inconclusive_limit=2)


def sample(*values):
    """One check ``a``, ``b``, ... for each value; 0 is good, 1 is bad, None was not measured."""
    return [
        Checked(name, value, "<=", 0.5, "nobody answered" if value is None else "")
        for name, value in zip("abc", values, strict=False)
    ]


def verdict(text, before=(), plan=PLAN):
    """The verdict on samples of one criterion: ``+`` good, ``-`` bad, ``?`` not measured."""
    said = assess(list(before), [sample({"+": 0.0, "-": 1.0, "?": None}[mark]) for mark in text], plan)
    return said and said[0].value


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0.0,), True),
        ((0.0, 1.0), False),
        ((0.0, None), None),
        ((None, 1.0), False),
        ((), None),
        ((float("nan"),), False),
    ],
)
def test_a_sample_is_good_bad_or_unknown(values, expected):
    assert good(sample(*values)) is expected


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ("", None),
        ("+", None),
        ("++", None),
        ("+++", "fixed"),
        ("--+++", "fixed"),
        ("++-", None),
        ("++-++", None),
        ("++-+++", "fixed"),
        ("++?++", None),
        ("+?++?++", None),
        ("++?+++", "fixed"),
        ("--", None),
        ("---", "not_fixed"),
        ("-+-+-", "not_fixed"),
        ("??", None),
        ("???", "unverified"),
        ("?+?+?", "unverified"),
        ("--??", None),
        ("--??-", "not_fixed"),
        ("--???", "unverified"),
    ],
)
def test_verdicts(samples, expected):
    assert verdict(samples) == expected


@pytest.mark.parametrize(
    ("before", "expected"),
    [((1.0,), "not_fixed"), ((0.0,), "worse"), ((None,), "not_fixed"), ((), "not_fixed")],
)
def test_worse_is_what_was_well_before(before, expected):
    assert verdict("---", sample(*before)) == expected


def test_reasons_name_the_criteria_and_the_limits():
    _, reason = assess(sample(1.0, 0.0), [sample(1.0, 1.0)] * 3, PLAN)
    assert reason == "In 3 samples in a row b is 1, not <= 0.5. This was well before the action."
    _, reason = assess(sample(0.0, 1.0), [sample(1.0, 0.0), sample(0.0, 1.0), sample(1.0, 0.0)], PLAN)
    said = "3 samples did not meet the criteria (limit 2): a is 1, not <= 0.5. This was well before the action."
    assert reason == said
    _, reason = assess([], [sample(0.0, 0.0)] * 3, PLAN)
    assert reason == "3 samples in a row met all 2 criteria."
    _, reason = assess([], [sample(None)] * 3, PLAN)
    assert reason == "3 samples could not be measured (limit 2): nobody answered"


def beside(value):
    """A criterion of a neighbour."""
    return Checked("n", value, "<=", 0.5, "" if value is not None else "nobody answered", neighbour=True)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (0.0, 0.0, "fixed"),
        (0.0, 1.0, "worse"),  # the trouble was only pushed on
        (0.0, None, "unverified"),  # it was well, and nobody knows whether it still is
        (1.0, 1.0, "fixed"),  # it was unwell anyway
        (1.0, 0.0, "fixed"),
        (None, 1.0, "unverified"),  # nobody knows whether the repair did that
        (None, 0.0, "fixed"),
        (None, None, "fixed"),
    ],
)
def test_a_neighbour_has_to_stay_as_well_as_it_was(before, after, expected):
    taken = [[*sample(0.0), beside(after)]] * 3
    said, _ = assess([*sample(1.0), beside(before)], taken, PLAN)
    assert said.value == expected


def test_a_neighbour_of_which_nobody_knows_how_it_was_is_named():
    _, reason = assess([*sample(1.0), beside(None)], [[*sample(0.0), beside(1.0)]] * 3, PLAN)
    assert reason.endswith("n is 1, not <= 0.5, and how that was before the action is not known")


def test_harm_is_told_as_soon_as_a_fix_would_be_however_many_bad_samples_are_allowed():
    patient = Verify(count=3, failure_limit=100)
    harmed = [sample(1.0, 1.0)] * 3
    assert assess(sample(1.0, 0.0), harmed[:2], patient) is None
    said, reason = assess(sample(1.0, 0.0), harmed, patient)
    assert (said, "b is 1" in reason) == (Verdict.WORSE, True)
    assert assess(sample(1.0, 0.0), [sample(1.0, 1.0), sample(1.0, 0.0), sample(1.0, 1.0)], patient) is None


def test_samples_in_which_nothing_could_be_measured_end_it_sooner_than_those_with_gaps():
    plan = Verify(count=3, inconclusive_limit=9, consecutive_error_limit=2)
    said, reason = assess([], [sample(None, None)] * 3, plan)
    assert (said, reason) == (
        Verdict.UNVERIFIED,
        "Nothing could be measured in 3 samples in a row (limit 2): nobody answered",
    )
    assert assess([], [sample(None, 0.0)] * 9, plan) is None
    assert assess([], [*[sample(None, None)] * 2, sample(None, 0.0), *[sample(None, None)] * 2], plan) is None


@pytest.mark.parametrize(
    ("text", "expected"), [("---", True), ("--", False), ("-+-", False), ("+---", True), ("-?-", False)]
)
def test_a_relapse_is_as_many_bad_samples_in_a_row_as_good_ones_had_told_that_it_was_fixed(text, expected):
    since = [sample({"+": 0.0, "-": 1.0, "?": None}[mark]) for mark in text]
    assert bool(relapsed([], since, PLAN)) is expected


def test_without_criteria_nothing_is_ever_fixed():
    assert assess([], [[]] * 2, PLAN) is None
    said, reason = assess([], [[]] * 3, PLAN)
    assert said is Verdict.UNVERIFIED
    assert "no criteria" in reason


values = st.sampled_from([0.0, 0.5, 0.6, 1.0, None, float("nan")])
samples = st.lists(st.lists(values, max_size=3).map(lambda row: sample(*row)), max_size=30)
plans = st.builds(
    Verify, count=st.integers(1, 5), failure_limit=st.integers(0, 9), inconclusive_limit=st.integers(0, 9)
)  # fmt: skip


@given(st.lists(values, max_size=3).map(lambda row: sample(*row)), samples, plans)
def test_what_is_called_fixed_ends_with_enough_samples_that_were_measured_and_good(before, taken, plan):
    said = assess(before, taken, plan)
    if said and said[0] is Verdict.FIXED:
        last = taken[-plan.count :]
        assert len(last) == plan.count
        assert all(row and all(check.value is not None and check.value <= 0.5 for check in row) for row in last)


@given(samples, plans)
def test_what_could_not_be_measured_is_never_held_against_the_action(taken, plan):
    unseen = [row for row in taken if good(row) is not False]
    said = assess([], unseen, plan)
    assert said is None or said[0] in (Verdict.FIXED, Verdict.UNVERIFIED)


@given(samples, plans)
def test_there_is_always_an_end(taken, plan):
    longest = (plan.count - 1) * (plan.failure_limit + plan.inconclusive_limit + 1) + 1
    longest += plan.failure_limit + plan.inconclusive_limit
    enough = (taken or [[]]) * (longest + plan.count)
    assert any(assess([], enough[:n], plan) for n in range(1, len(enough) + 1))


def test_service_is_filled_into_names_and_labels():
    sli = Sli(kind="growth", metric="go_goroutines", labels={"job": "{service}", "pod": "{service}-1"})
    [filled] = for_service([Criterion(name="goroutines of {service}", sli=sli, op="<=", threshold=5)], "orders")
    assert (filled.name, filled.sli.labels) == ("goroutines of orders", {"job": "orders", "pod": "orders-1"})
    assert (filled.sli.metric, filled.threshold) == ("go_goroutines", 5)
