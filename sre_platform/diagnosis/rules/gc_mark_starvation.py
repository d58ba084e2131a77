from collections.abc import Iterator, Mapping

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.parsers.profile import parse
from sre_platform.diagnosis.rca.cpu_budget import CpuBudget, cpu_budget
from sre_platform.diagnosis.rca.documents import Documents
from sre_platform.diagnosis.rca.gc_health import GcHealth, gc_health
from sre_platform.diagnosis.rca.profile_share import Share, cpu_share
from sre_platform.diagnosis.rca.sched_health import recent_samples
from sre_platform.diagnosis.rca.weighing import weighed

ASSIST_SHARE = 0.1  # of all CPU time; recorded: steady 0.06%, finalizers 3%, large objects 7%, one P and a big heap 20%
LONG_MARK_MS = 200.0  # the field's rule: workers that got no CPU for 200 ms
ASSIST_CALLS = frozenset({"runtime.gcAssistAlloc"})
WORKER_CALLS = frozenset({"runtime.gcBgMarkWorker"})
ASSIST_CPU = 0.1  # of the CPU profile; recorded: 25% on one P
WORKER_CPU = 0.3  # gcBackgroundUtilization of runtime/mgcpacer.go is 25%: above, idle Ps help or a cycle never ends
ASSIST_WAITS = frozenset({"GC assist marking", "GC assist wait"})
WAITING_SHARE = 0.5  # of the samples that show a goroutine held up by marking


class GcMarkStarvation:
    """Marking gets too little CPU: goroutines that allocate are made to help, and cycles last.

    Reads ``go_trace`` (gctrace, schedtrace with scheddetail), ``go_profiles`` (cpu), and for the number of Ps ``host``
    and ``go_runtime``. Says nothing when a low GOGC explains it: then there is too much to mark, not too little CPU.
    """

    name = "gc_mark_starvation"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        documents = Documents(evidence)
        health = gc_health(documents)
        if health.goal_is_low:
            return None
        budget = cpu_budget(documents)
        signs = [*_assists(documents, health), *_held_up(documents)]
        return weighed(
            "go.gc.mark-starvation",
            service,
            "runtime",
            signs,
            effects=[*_busy_workers(documents), *health.effects(), *_long_marks(health), *_few_procs(budget)],
            against=[*health.calm(), *documents.unread],
            would_decide=["A CPU profile with gcAssistAlloc and gcBgMarkWorker shows who marks, and for whom."],
            advice=[
                *budget.advice(),
                "Allocate less in the hot path: pool, reuse, and hold fewer pointers in what lives long.",
                *health.advice(),
            ],
        )


def _assists(documents: Documents, health: GcHealth) -> Iterator[str]:
    """By the trace, which counts all of it, and without one by the profile."""
    share = health.cycles.assist_share if health.cycles else None
    if share is not None:
        if share >= ASSIST_SHARE:
            yield f"Goroutines that allocate spend {share:.0%} of all CPU time helping to mark."
    elif (seen := _profiled(documents, ASSIST_CALLS)) and seen.share >= ASSIST_CPU:
        yield f"gcAssistAlloc has {seen.share:.0%} of the CPU profile: goroutines that allocate have to help to mark."


def _busy_workers(documents: Documents) -> Iterator[str]:
    """No sign by itself: the workers are as busy where a tiny heap is collected all the time."""
    if (seen := _profiled(documents, WORKER_CALLS)) and seen.share >= WORKER_CPU:
        yield f"gcBgMarkWorker has {seen.share:.0%} of the CPU profile, more than the 25% the collector is entitled to."


def _profiled(documents: Documents, calls: frozenset[str]) -> Share | None:
    return documents.profile("cpu", lambda data: cpu_share(parse(data), calls))


def _held_up(documents: Documents) -> Iterator[str]:
    """Goroutines that scheddetail shows waiting for marking, in most of the samples."""
    trace = documents.text("go_trace", "schedtrace", recent_samples)
    detailed = [sample for sample in trace.samples if sample.goroutines] if trace else []
    held = [sum(g.waitreason in ASSIST_WAITS and g.state == "waiting" for g in s.goroutines) for s in detailed]
    seen = sum(count > 0 for count in held)
    if detailed and seen >= WAITING_SHARE * len(detailed):
        yield f"In {seen} of {len(detailed)} samples goroutines wait for marking, {max(held)} at most."


def _long_marks(health: GcHealth) -> Iterator[str]:
    if health.cycles and health.cycles.longest_mark_ms > LONG_MARK_MS:
        yield f"Marking takes up to {health.cycles.longest_mark_ms:.0f} ms, {LONG_MARK_MS:.0f} ms is long."


def _few_procs(budget: CpuBudget) -> Iterator[str]:
    if budget.procs is not None and budget.usable is not None and budget.procs < budget.usable:
        yield f"GOMAXPROCS is {budget.procs}, and {budget.usable} CPUs could be used."
