"""Taking samples: measure all criteria once and store what was seen. A crash costs one sample."""

from collections.abc import Sequence
from datetime import datetime

from sre_platform.catalog.domain import Topology, downstream, objectives, upstream
from sre_platform.detection.measure import Measurer
from sre_platform.kernel.clock import now
from sre_platform.kernel.storable import storable
from sre_platform.playbook.schema import Criterion, Playbook
from sre_platform.remediation.models import Step
from sre_platform.verification.domain import Checked, Sample, Verdict, assess, for_service, good, relapsed
from sre_platform.verification.models import SampleRow


def criteria(playbook: Playbook, topology: Topology, service: str) -> list[Criterion]:
    """The playbook's own criteria, and the objectives of the service and of all that depend on it (its users)."""
    return [*for_service(playbook.verify.criteria, service), *objectives(topology, upstream(topology, service))]


def neighbours(topology: Topology, service: str) -> list[Criterion]:
    """The objectives of all that the service depends on: a repair must not push the trouble on to them."""
    return list(objectives(topology, downstream(topology, service)[1:]))


def first_look_s(playbook: Playbook, wanted: Sequence[Criterion]) -> float:
    """Seconds after the action until a sample sees nothing of the time before it: the longest window."""
    return max([playbook.verify.initial_delay_s, *(c.sli.window_s for c in wanted if c.sli.kind != "gauge")])


def take(
    step: Step, number: int, wanted: Sequence[Criterion], measurer: Measurer, beside: Sequence[Criterion] = ()
) -> SampleRow:
    """Measure everything once; the sample of that number that a former owner took, if there is one.

    ``beside`` are the neighbours' criteria: they have to stay met, where they were.
    """
    if known := SampleRow.objects.filter(step=step, number=number).first():
        return known
    measured = measurer.measure([criterion.sli for criterion in (*wanted, *beside)])
    sample = [
        Checked(criterion.name, seen.value, criterion.op, criterion.threshold, seen.missing, at >= len(wanted))
        for at, (criterion, seen) in enumerate(zip((*wanted, *beside), measured, strict=True))
    ]
    before, _ = split(step)
    checks = [storable(checked.as_json()) for checked in sample]
    return SampleRow.objects.create(step=step, number=number, at=now(), checks=checks, good=good(sample, before))


def verdict(step: Step, playbook: Playbook) -> tuple[Verdict, str] | None:
    """What all samples of the step say together."""
    before, samples = split(step)
    return assess(before, samples, playbook.verify)


def relapse(step: Step, playbook: Playbook, fixed_at: datetime) -> str:
    """What is bad again since the step was found to have fixed it, in so many samples in a row; empty: nothing."""
    before, _ = split(step)
    since = [row.as_value() for row in SampleRow.objects.filter(step=step, at__gt=fixed_at)]
    return relapsed(before, since, playbook.verify)


def split(step: Step) -> tuple[Sample, list[Sample]]:
    """The sample from before the action (empty when there is none) and those from after it."""
    rows = list(SampleRow.objects.filter(step=step))
    before = next((row.as_value() for row in rows if row.number == 0), [])
    return before, [row.as_value() for row in rows if row.number]
