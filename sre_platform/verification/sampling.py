"""Taking samples: measure all criteria once and store what was seen. A crash costs one sample."""

from collections.abc import Sequence

from sre_platform.catalog.domain import Topology, objectives, upstream
from sre_platform.detection.measure import Measurer
from sre_platform.kernel.clock import now
from sre_platform.kernel.storable import storable
from sre_platform.playbook.schema import Criterion, Playbook
from sre_platform.remediation.models import Step
from sre_platform.verification.domain import Checked, Sample, Verdict, assess, for_service, good
from sre_platform.verification.models import SampleRow


def criteria(playbook: Playbook, topology: Topology, service: str) -> list[Criterion]:
    """The playbook's own criteria, and the objectives of the service and of all that depend on it (its users)."""
    return [*for_service(playbook.verify.criteria, service), *objectives(topology, upstream(topology, service))]


def first_look_s(playbook: Playbook, wanted: Sequence[Criterion]) -> float:
    """Seconds after the action until a sample sees nothing of the time before it: the longest window."""
    return max([playbook.verify.initial_delay_s, *(c.sli.window_s for c in wanted if c.sli.kind != "gauge")])


def take(step: Step, number: int, wanted: Sequence[Criterion], measurer: Measurer) -> SampleRow:
    """Measure everything once; the sample of that number that a former owner took, if there is one."""
    if known := SampleRow.objects.filter(step=step, number=number).first():
        return known
    measured = measurer.measure([criterion.sli for criterion in wanted])
    sample = [
        Checked(criterion.name, seen.value, criterion.op, criterion.threshold, seen.missing)
        for criterion, seen in zip(wanted, measured, strict=True)
    ]
    checks = [storable(checked.as_json()) for checked in sample]
    return SampleRow.objects.create(step=step, number=number, at=now(), checks=checks, good=good(sample))


def verdict(step: Step, playbook: Playbook) -> tuple[Verdict, str] | None:
    """What all samples of the step say together."""
    before, samples = split(step)
    return assess(before, samples, playbook.verify)


def split(step: Step) -> tuple[Sample, list[Sample]]:
    """The sample from before the action (empty when there is none) and those from after it."""
    rows = list(SampleRow.objects.filter(step=step))
    before = next((row.as_value() for row in rows if row.number == 0), [])
    return before, [row.as_value() for row in rows if row.number]
