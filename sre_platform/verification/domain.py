"""Is it fixed? Samples against criteria, in Argo Rollouts' words. "Could not measure" is neither good nor bad. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import takewhile
from typing import Any

from sre_platform.kernel.comparison import holds
from sre_platform.playbook.schema import Criterion, Verify


class Verdict(StrEnum):
    """What the samples so far say."""

    FIXED = "fixed"
    NOT_FIXED = "not_fixed"
    WORSE = "worse"
    UNVERIFIED = "unverified"


@dataclass(frozen=True)
class Checked:
    """One criterion in one sample. ``value`` is None, with the reason in ``missing``, when it was not measured.

    A ``neighbour``'s does not have to be met; it must not stop being met.
    """

    name: str
    value: float | None
    op: str
    threshold: float
    missing: str = ""
    neighbour: bool = False

    @property
    def met(self) -> bool | None:
        """None when it was not measured."""
        return None if self.value is None else holds(self.value, self.op, self.threshold)

    def as_json(self) -> dict[str, Any]:
        fields = {"name": self.name, "value": self.value, "op": self.op, "threshold": self.threshold}
        return fields | {"met": self.met, "missing": self.missing, "neighbour": self.neighbour}


Sample = Sequence[Checked]


def good(sample: Sample, before: Sample = ()) -> bool | None:
    """True when all criteria are met, False when one is not, None when one could not be measured or there are none.

    Of the neighbours those count that were well in the sample ``before`` the action. One that was not measured then
    and is unwell now may have been harmed: that cannot be told.
    """
    was = {checked.name: checked.met for checked in before}
    goals = [checked.met for checked in sample if not checked.neighbour]
    marks = [*goals, *(checked.met for checked in sample if checked.neighbour and was.get(checked.name))]
    if False in marks:
        return False
    return None if None in marks or not goals or _perhaps_harmed(sample, before) else True


def _perhaps_harmed(sample: Sample, before: Sample) -> list[Checked]:
    """The neighbours that are unwell, and of which nobody knows how they were."""
    known = {checked.name for checked in before if checked.value is not None}
    return [checked for checked in sample if checked.neighbour and checked.met is False and checked.name not in known]


def _met(sample: Sample) -> set[str]:
    return {checked.name for checked in sample if checked.met}


def broken(sample: Sample, before: Sample) -> list[Checked]:
    """What was well before the action and is not in this sample."""
    well = _met(before)
    return [checked for checked in sample if checked.met is False and checked.name in well]


def assess(before: Sample, samples: Sequence[Sample], plan: Verify) -> tuple[Verdict, str] | None:
    """The verdict and its reason, or None while it is too early to tell.

    ``before`` was measured right before the action; ``samples`` after it, oldest first.
    """
    marks = [good(sample, before) for sample in samples]
    if len(marks) >= plan.count and all(marks[-plan.count :]):
        return Verdict.FIXED, f"{plan.count} samples in a row met all {len(samples[-1])} criteria."
    if harm := _harm(before, samples, plan):
        return harm
    if (bad := marks.count(False)) > plan.failure_limit:
        return _not_fixed(before, samples, bad, plan)
    return _unverified(before, samples, marks, plan)


def _harm(before: Sample, samples: Sequence[Sample], plan: Verify) -> tuple[Verdict, str] | None:
    """Worse: something that was well before is not in so many samples in a row as would have told that it is fixed."""
    newest = samples[-plan.count :]
    lasting = set.intersection(*({c.name for c in broken(sample, before)} for sample in newest)) if newest else set()
    if len(newest) < plan.count or not lasting:
        return None
    shown = _shown([checked for checked in newest[-1] if checked.name in lasting])
    return Verdict.WORSE, f"In {plan.count} samples in a row {shown}. This was well before the action."


def _not_fixed(before: Sample, samples: Sequence[Sample], bad: int, plan: Verify) -> tuple[Verdict, str]:
    last = [sample for sample in samples if good(sample, before) is False][-1]
    said = f"{bad} samples did not meet the criteria (limit {plan.failure_limit})"
    if worse := broken(last, before):
        return Verdict.WORSE, f"{said}: {_shown(worse)}. This was well before the action."
    return Verdict.NOT_FIXED, f"{said}: {_shown([c for c in last if c.met is False and not c.neighbour])}."


def _shown(unmet: Sequence[Checked]) -> str:
    return "; ".join(f"{c.name} is {c.value:.4g}, not {c.op} {c.threshold:g}" for c in unmet)


def _unverified(
    before: Sample, samples: Sequence[Sample], marks: Sequence[bool | None], plan: Verify
) -> tuple[Verdict, str] | None:
    errors = _at_the_end(all(checked.value is None for checked in sample) for sample in samples)
    if errors > plan.consecutive_error_limit:
        limit = f"{errors} samples in a row (limit {plan.consecutive_error_limit})"
        return Verdict.UNVERIFIED, f"Nothing could be measured in {limit}: {_why(samples[-1], before)}"
    if (unknown := marks.count(None)) > plan.inconclusive_limit:
        said = f"{unknown} samples could not be measured (limit {plan.inconclusive_limit})"
        return Verdict.UNVERIFIED, f"{said}: {_why(samples[-1], before)}"
    return None


def _at_the_end(marks: Iterable[bool]) -> int:
    """How many are true in a row, up to the last one."""
    return len(list(takewhile(bool, reversed(list(marks)))))


def _why(sample: Sample, before: Sample) -> str:
    if perhaps := _perhaps_harmed(sample, before):
        return f"{_shown(perhaps)}, and how that was before the action is not known"
    return next((checked.missing for checked in sample if checked.missing), "there are no criteria")


def relapsed(before: Sample, since: Sequence[Sample], plan: Verify) -> str:
    """What is bad again in the last ``plan.count`` samples in a row since it was fixed; empty while nothing is."""
    newest = since[-plan.count :]
    if len(newest) < plan.count or any(good(sample, before) is not False for sample in newest):
        return ""
    return _shown([checked for checked in newest[-1] if checked.met is False])


def for_service(criteria: Sequence[Criterion], service: str) -> list[Criterion]:
    """The criteria with ``{service}`` in their names and labels filled in."""
    return [criterion.model_copy(update=_filled(criterion, service)) for criterion in criteria]


def _filled(criterion: Criterion, service: str) -> dict[str, Any]:
    labels = {key: value.replace("{service}", service) for key, value in criterion.sli.labels.items()}
    return {"name": criterion.name.replace("{service}", service), "sli": replace(criterion.sli, labels=labels)}
