from collections.abc import Iterator, Mapping

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.parsers import cgroup, proc
from sre_platform.diagnosis.parsers.cgroup import MemoryEvents
from sre_platform.diagnosis.rca.documents import Documents
from sre_platform.diagnosis.rca.host_health import stalled
from sre_platform.diagnosis.rca.memory_budget import memory_limit
from sre_platform.diagnosis.rca.tuning import MIB
from sre_platform.diagnosis.rca.weighing import RECORDED, weighed

SOME_SHARE = 0.1  # of the time some task waited for memory; ours: with enough of it the figure is 0
FULL_SHARE = 0.05  # of the time all did: that much work was not done at all
NEAR_LIMIT = 0.9  # of memory.max; the headroom that GOMEMLIMIT is advised to leave is used up
MAJOR_FAULTS_A_SECOND = 100.0  # pages read back from disk; ours: at 0.1 to 1 ms each that is a tenth of a second


class HostMemoryPressure:
    """Memory is short: tasks wait for it, the control group is held at its limit, or the kernel kills for it.

    Reads ``host`` (pressure/memory, cgroup/memory.*, stat) and, for the advice, ``go_runtime``. A kill between two
    looks needs no second sign.
    """

    name = "host_memory_pressure"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        documents = Documents(evidence)
        events = _events(documents)
        signs = [*_held(events), *_stalled(documents), *_faults(documents)]
        return weighed(
            "host.memory-pressure",
            service,
            "host",
            signs,
            effects=[*_near_limit(documents)],
            at_least=RECORDED if events and events.oom_kill else 0.0,
            against=[*_far_from_limit(documents), *documents.unread],
            would_decide=[
                "A heap profile tells what the service holds, smaps_rollup against it what is outside Go's heap."
            ],
            advice=[*_advice(documents)],
        )


def _events(documents: Documents) -> MemoryEvents | None:
    """What the control group counted between the two looks."""
    looks = documents.looks("host", "cgroup/memory.events", "earlier/cgroup/memory.events", cgroup.memory_events)
    return looks.now.since(looks.earlier) if looks and looks.earlier else None


def _held(seen: MemoryEvents | None) -> Iterator[str]:
    if seen and seen.oom_kill:
        yield f"The kernel killed {seen.oom_kill} of the control group's processes for want of memory."
    elif seen and (seen.max or seen.high):
        yield f"The control group was held at memory.max {seen.max} times and at memory.high {seen.high} times."


def _stalled(documents: Documents) -> Iterator[str]:
    full, some = stalled(documents, "memory", "full"), stalled(documents, "memory", "some")
    if full and full.share >= FULL_SHARE:
        yield f"All tasks waited for memory in {full.share:.0%} {full.how}, {FULL_SHARE:.0%} is much."
    elif some and some.share >= SOME_SHARE:
        yield f"Tasks waited for memory in {some.share:.0%} {some.how}, {SOME_SHARE:.0%} is much."


def _faults(documents: Documents) -> Iterator[str]:
    looks, seconds = (
        documents.looks("host", "stat", "earlier/stat", proc.stat),
        documents.number("host", "seconds_apart"),
    )
    if looks is None or looks.earlier is None or not seconds:
        return
    faults = (looks.now.major_faults - looks.earlier.major_faults) / seconds
    if faults >= MAJOR_FAULTS_A_SECOND:
        yield f"The process reads {faults:.0f} pages a second back from disk."


def _filled(documents: Documents) -> tuple[int, int, float] | None:
    """Bytes in use, bytes allowed and their quotient; page cache counts as in use, the kernel takes it back late."""
    now = documents.text("host", "cgroup/memory.current", cgroup.memory_bytes)
    most = documents.text("host", "cgroup/memory.max", cgroup.memory_bytes)
    return (now, most, now / most) if now is not None and most else None


def _near_limit(documents: Documents) -> Iterator[str]:
    filled = _filled(documents)
    if filled and filled[2] >= NEAR_LIMIT:
        yield f"The control group uses {filled[0] / MIB:.0f} of {filled[1] / MIB:.0f} MiB ({filled[2]:.0%})."


def _far_from_limit(documents: Documents) -> Iterator[str]:
    filled = _filled(documents)
    if filled and filled[2] < NEAR_LIMIT:
        yield f"The control group uses only {filled[2]:.0%} of its {filled[1] / MIB:.0f} MiB."


def _advice(documents: Documents) -> Iterator[str]:
    if limit := memory_limit(documents):
        yield f"Set {limit}, so that the collector works harder before the kernel kills."
    yield "Raise memory.max, or find what grows: a limit only makes a leak cost CPU first."
