"""A canary that still runs: judged again and again, without looking more often."""

import pytest

from sre_platform.kernel.errors import Malformed
from sre_platform.rollouts.canary import judge, watch
from sre_platform.rollouts.domain import Judgement, Request, Verdict
from tests.rollouts.test_canary import regular


def watched(baseline: list[Request], canary: list[Request], every: int, until: int) -> list[Judgement]:
    """The answers when it is called every so often, each time with the requests since a minute before the last look."""
    answers, at = [], 0.0
    for now in range(every, until + 1, every):
        rows = [
            [r for r in each if (now - 75 <= r.time or r is each[0]) and r.time <= now] for each in (baseline, canary)
        ]
        answers.append(watch(rows[0], rows[1], at))
        at = answers[-1].at
    return answers


def test_it_fails_when_judge_does() -> None:
    baseline, canary = regular(60, 50), regular(60, 50, factor=1.2)
    answers = watched(baseline, canary, 1, 60)
    failed = next(answer for answer in answers if answer.verdict is Verdict.FAIL)
    assert failed == judge(baseline, canary)


def test_between_two_looks_nothing_is_judged() -> None:
    baseline = canary = regular(40, 50)
    assert watch(baseline, canary, 30.0) == Judgement(Verdict.INCONCLUSIVE, 30.0)
    assert [answer.at for answer in watched(baseline, canary, 5, 39)] == [0, 10, 10, 20, 20, 30, 30]


def test_a_good_canary_passes_while_it_runs() -> None:
    assert watch(regular(130, 50), regular(130, 50), 110.0).verdict is Verdict.PASS


def test_a_canary_that_breaks_after_minutes_fails_by_the_last_minute() -> None:
    canary = [r._replace(status=500) if r.time >= 150 and n % 20 == 0 else r for n, r in enumerate(regular(200, 50))]
    answers = watched(regular(200, 50), canary, 5, 199)
    assert 150 < next(answer.at for answer in answers if answer.verdict is Verdict.FAIL) <= 190


def test_it_refuses_what_judge_refuses() -> None:
    far = [Request(0, 200, 10), Request(9e10, 200, 10)]
    with pytest.raises(Malformed, match="span"):
        watch(far, far)
    assert watch([], []).verdict is Verdict.INCONCLUSIVE
