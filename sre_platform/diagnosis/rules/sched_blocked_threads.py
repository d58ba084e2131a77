from collections.abc import Iterator, Mapping

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.parsers import proc
from sre_platform.diagnosis.rca.cpu_budget import cpu_budget
from sre_platform.diagnosis.rca.documents import Documents
from sre_platform.diagnosis.rca.sched_health import HALF_OF_THEM, SchedHealth, sched_health
from sre_platform.diagnosis.rca.weighing import weighed

OUTSIDE_THREADS = 10  # in system calls or cgo beyond those that hold a P; recorded: 0 to 2 in healthy runs, 31 blocked
THREADS_GREW = 10  # threads more than at the look before; Go keeps the threads that it once made


class SchedBlockedThreads:
    """Threads are stuck in system calls or cgo, or Ps stay idle beside goroutines that could run.

    Reads ``go_trace`` (schedtrace, better with scheddetail), ``host`` (status) and ``go_runtime`` (latencies).
    """

    name = "sched_blocked_threads"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        documents = Documents(evidence)
        health = sched_health(documents)
        signs = [*_unattended(health), *_outside(health)]
        return weighed(
            "go.sched.blocked-threads",
            service,
            "runtime",
            signs,
            effects=[*_grew(documents), *cpu_budget(documents).delays()],
            count=health.threads if health else None,
            against=documents.unread,
            would_decide=[
                "The threadcreate profile shows what makes threads, goroutine?debug=2 which calls [syscall] stands in."
            ],
            advice=[
                "Bound the blocking calls with a semaphore of a few times GOMAXPROCS, and give files, DNS and cgo calls"
                " a timeout.",
                "Prefer the pure Go resolver (GODEBUG=netdns=go): the net package needs no thread for each call.",
            ],
        )


def _unattended(health: SchedHealth | None) -> Iterator[str]:
    if health and health.stays(health.unattended, HALF_OF_THEM):
        yield (
            f"In {health.unattended} of {health.samples} samples a P is idle while goroutines queue,"
            f" {health.most_queued} at most: a wake-up was lost, or what should wake it is blocked."
        )


def _outside(health: SchedHealth | None) -> Iterator[str]:
    if health is None or health.outside < OUTSIDE_THREADS:
        return
    said = f"{health.outside:.0f} of {health.threads} threads are outside Go, in system calls or cgo"
    if health.in_syscalls:
        said += f" ({health.in_syscalls} goroutines are in system calls)"
    yield f"{said}, beside {health.procs} Ps."


def _grew(documents: Documents) -> Iterator[str]:
    looks = documents.looks("host", "status", "earlier/status", proc.status)
    if looks and looks.earlier and looks.now.threads - looks.earlier.threads >= THREADS_GREW:
        more = looks.now.threads - looks.earlier.threads
        yield f"The process has {looks.now.threads} threads, {more} more than before."
