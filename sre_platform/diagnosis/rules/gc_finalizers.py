from collections.abc import Iterator, Mapping

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.parsers.profile import parse
from sre_platform.diagnosis.rca.documents import Documents
from sre_platform.diagnosis.rca.gc_health import GcHealth, gc_health, rise
from sre_platform.diagnosis.rca.profile_share import Share, cpu_share
from sre_platform.diagnosis.rca.weighing import weighed

# What setting and running finalizers and cleanups goes through, Go 1.11 to 1.27 (runtime/mfinal.go, mcleanup.go).
CALLS = frozenset(
    {
        "runtime.SetFinalizer", "runtime.addfinalizer", "runtime.removefinalizer", "runtime.queuefinalizer",
        "runtime.runfinq", "runtime.runFinalizers", "runtime.AddCleanup", "runtime.addCleanup", "runtime.runCleanups",
    }
)  # fmt: skip
CPU_SHARE = 0.02  # recorded: 46% where a program does little else, 0 in one that closes what it opens
A_SECOND = 1000.0  # finalizers; a server that leaves each connection to one reaches it at 1000 connections a second
BACKLOG = 10_000  # that wait to run: one goroutine runs them all, one after the other (runtime.SetFinalizer)
LONG_MARK_MS = 10.0  # the field's case: a mark phase of 0.08 ms that became 12.6 ms
KINDS = ("finalizers", "cleanups")


class GcFinalizers:
    """Finalizers or cleanups are set in a hot path: the collector has to find and queue each of them.

    Reads ``go_profiles`` (cpu), ``go_runtime`` (finalizers and cleanups queued and executed, Go 1.26) and ``go_trace``.
    """

    name = "gc_finalizers"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        documents = Documents(evidence)
        health = gc_health(documents)
        cpu = documents.profile("cpu", lambda data: cpu_share(parse(data), CALLS))
        signs = [*_signs(cpu, health, documents.number("go_runtime", "seconds_apart"))]
        site = cpu.site if cpu and cpu.share >= CPU_SHARE else None
        return weighed(
            "go.gc.finalizers",
            service,
            "profile",
            signs,
            effects=[*health.effects(), *_long_marks(health)],
            site=site,
            against=[*health.calm(), *documents.unread],
            would_decide=["GODEBUG=checkfinalizers=1 (Go 1.25) tells what is queued and never runs."],
            advice=[
                f"Close explicitly what is finalized{f' at {site}' if site else ''}, and set no finalizer per request.",
                "Where one is needed, put it on a small object that nothing else refers to; prefer runtime.AddCleanup.",
            ],
        )


def _signs(cpu: Share | None, health: GcHealth, seconds: float | None) -> Iterator[str]:
    if cpu and cpu.share >= CPU_SHARE:
        at = f", most at {cpu.site}" if cpu.site else ""
        yield f"{cpu.share:.0%} of the CPU time goes into setting and running finalizers{at}."
    for kind in KINDS:
        queued = rise(health.pages, f"go_gc_{kind}_queued_{kind}_total")
        if queued is not None and seconds and queued / seconds >= A_SECOND:
            yield f"{queued / seconds:.0f} {kind} are queued a second."
        if (waiting := _waiting(health, kind)) >= BACKLOG:
            yield f"{waiting:.0f} {kind} wait to be run."


def _waiting(health: GcHealth, kind: str) -> float:
    page = health.pages.now if health.pages else None
    queued, done = (
        page.value(f"go_gc_{kind}_{word}_{kind}_total") if page else None for word in ("queued", "executed")
    )
    return queued - done if queued is not None and done is not None else 0.0


def _long_marks(health: GcHealth) -> Iterator[str]:
    if health.cycles and health.cycles.longest_mark_ms > LONG_MARK_MS:
        yield f"Marking takes up to {health.cycles.longest_mark_ms:.1f} ms."
