"""Is it fixed? Samples against criteria, in Argo Rollouts' words. "Could not measure" is neither good nor bad. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
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
    """One criterion in one sample. ``value`` is None, with the reason in ``missing``, when it was not measured."""

    name: str
    value: float | None
    op: str
    threshold: float
    missing: str = ""

    @property
    def met(self) -> bool | None:
        """None when it was not measured."""
        return None if self.value is None else holds(self.value, self.op, self.threshold)

    def as_json(self) -> dict[str, Any]:
        fields = {"name": self.name, "value": self.value, "op": self.op, "threshold": self.threshold}
        return fields | {"met": self.met, "missing": self.missing}


Sample = Sequence[Checked]


def good(sample: Sample) -> bool | None:
    """True when all criteria are met, False when one is not, None when one could not be measured or there are none."""
    marks = [checked.met for checked in sample]
    if False in marks:
        return False
    return None if None in marks or not marks else True


def assess(before: Sample, samples: Sequence[Sample], plan: Verify) -> tuple[Verdict, str] | None:
    """The verdict and its reason, or None while it is too early to tell.

    ``before`` was measured right before the action; ``samples`` after it, oldest first.
    """
    marks = [good(sample) for sample in samples]
    if len(marks) >= plan.count and all(marks[-plan.count :]):
        return Verdict.FIXED, f"{plan.count} samples in a row met all {len(samples[-1])} criteria."
    if (bad := marks.count(False)) > plan.failure_limit:
        return _not_fixed(before, samples, bad, plan)
    if (unknown := marks.count(None)) > plan.inconclusive_limit:
        said = next((c.missing for c in samples[-1] if c.missing), "there are no criteria")
        return Verdict.UNVERIFIED, f"{unknown} samples could not be measured (limit {plan.inconclusive_limit}): {said}"
    return None


def _not_fixed(before: Sample, samples: Sequence[Sample], bad: int, plan: Verify) -> tuple[Verdict, str]:
    last = [sample for sample in samples if good(sample) is False][-1]
    unmet = [checked for checked in last if checked.met is False]
    was_met = {checked.name for checked in before if checked.met}
    broken = [checked for checked in unmet if checked.name in was_met]
    shown = "; ".join(f"{c.name} is {c.value:.4g}, not {c.op} {c.threshold:g}" for c in broken or unmet)
    said = f"{bad} samples did not meet the criteria (limit {plan.failure_limit}): {shown}."
    if broken:
        return Verdict.WORSE, f"{said} This was well before the action."
    return Verdict.NOT_FIXED, said


def for_service(criteria: Sequence[Criterion], service: str) -> list[Criterion]:
    """The criteria with ``{service}`` in their names and labels filled in."""
    return [criterion.model_copy(update=_filled(criterion, service)) for criterion in criteria]


def _filled(criterion: Criterion, service: str) -> dict[str, Any]:
    labels = {key: value.replace("{service}", service) for key, value in criterion.sli.labels.items()}
    return {"name": criterion.name.replace("{service}", service), "sli": replace(criterion.sli, labels=labels)}
