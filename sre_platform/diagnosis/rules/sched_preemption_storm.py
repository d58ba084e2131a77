from collections.abc import Iterator, Mapping

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.parsers import exposition, proc
from sre_platform.diagnosis.rca.cpu_budget import cpu_budget
from sre_platform.diagnosis.rca.documents import Documents
from sre_platform.diagnosis.rca.gc_health import gc_health
from sre_platform.diagnosis.rca.sched_health import ENOUGH_SAMPLES, MOST_OF_THEM, SchedHealth, sched_health
from sre_platform.diagnosis.rca.weighing import weighed

# The field's rule: one goroutine scheduled 100 times within 10 ms. Of all goroutines together the mean is no larger
# than the largest, so dispatches divided by goroutines prove it without knowing which.
A_SECOND_EACH = 100 / 0.010
A_SECOND_PER_P = 100_000.0  # where nobody counts goroutines: less than 10 us for each; recorded: 3,000,000 in a storm
INVOLUNTARY_A_SECOND = 1000.0  # of the main thread: the kernel takes the CPU away once a millisecond


class SchedPreemptionStorm:
    """Goroutines are dispatched so often that they get nothing done: they yield, or are preempted, in a loop.

    Reads ``go_trace`` (schedtrace with ticks: Go 1.25, or scheddetail), ``go_runtime`` (goroutines, latencies) and
    ``host`` (status). The collector's sweeper yields like that for a moment after each cycle: one burst is no storm,
    and where every interval has a cycle nothing can be told.
    """

    name = "sched_preemption_storm"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        documents = Documents(evidence)
        health, sweeps_every_s = sched_health(documents), _sweeps_every_s(documents)
        if health and health.interval_s and sweeps_every_s is not None and sweeps_every_s <= health.interval_s:
            return None
        signs = [*_storm(documents, health)]
        return weighed(
            "go.sched.preemption-storm",
            service,
            "runtime",
            signs,
            effects=[*_others_wait(health), *_taken_away(documents), *cpu_budget(documents).delays()],
            against=[*_no_collector(sweeps_every_s), *documents.unread],
            would_decide=["An execution trace (/debug/pprof/trace?seconds=1) shows which goroutine it is, and why."],
            advice=[
                "Wait on a channel or sync.Cond instead of calling runtime.Gosched or spinning on an atomic in a loop.",
                "Hand work over in batches: a channel operation for each small item costs a dispatch each.",
            ],
        )


def _sweeps_every_s(documents: Documents) -> float | None:
    return gc_health(documents).interval_s(documents.number("go_runtime", "seconds_apart"))


def _no_collector(sweeps_every_s: float | None) -> Iterator[str]:
    if sweeps_every_s is None:
        yield "How often garbage is collected is not known: its sweeper may be what is dispatched."


def _storm(documents: Documents, health: SchedHealth | None) -> Iterator[str]:
    rates = health.dispatches_a_second if health else ()
    goroutines = (health.goroutines if health else None) or _goroutines(documents)
    if health is None or not rates:
        return
    among, limit = (goroutines, A_SECOND_EACH) if goroutines else (max(1, health.procs), A_SECOND_PER_P)
    over = [rate / among for rate in rates if rate / among >= limit]
    if len(over) >= ENOUGH_SAMPLES and len(over) >= MOST_OF_THEM * len(rates):
        whom = f"each of {goroutines} goroutines, so one is at least," if goroutines else "each P is"
        yield f"In {len(over)} of {len(rates)} intervals {whom} dispatched {min(over):,.0f} times a second or more."


def _goroutines(documents: Documents) -> int | None:
    page = documents.text("go_runtime", "metrics", exposition.parse_go)
    count = page.value("go_goroutines", "go_sched_goroutines_goroutines") if page else None
    return int(count) if count is not None and 0 < count < 1e9 else None


def _others_wait(health: SchedHealth | None) -> Iterator[str]:
    if health and health.stays(health.starved):
        yield f"Meanwhile {health.queued:.0f} goroutines queue and none of {health.procs} Ps is idle."


def _taken_away(documents: Documents) -> Iterator[str]:
    looks = documents.looks("host", "status", "earlier/status", proc.status)
    seconds = documents.number("host", "seconds_apart")
    now, before = (s.involuntary_switches if s else None for s in (looks.now, looks.earlier)) if looks else (None, None)
    if now is None or before is None or not seconds or (now - before) / seconds < INVOLUNTARY_A_SECOND:
        return
    yield f"The kernel takes the CPU from the main thread {(now - before) / seconds:.0f} times a second."
