"""How Go's scheduler is doing, from its trace: who waits, who is idle, who is stuck, how often it dispatches."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from sre_platform.diagnosis.parsers import schedtrace
from sre_platform.diagnosis.parsers.schedtrace import Sample, Trace
from sre_platform.diagnosis.rca.documents import Documents

ENOUGH_SAMPLES = 3  # that a state has to last for: one sample is a moment
RECENT = 20  # samples at the end of the trace that are judged: a log may hold hours
MOST_OF_THEM = 0.8  # of the samples: "stays" may blink once in five
HALF_OF_THEM = 0.5  # of the samples with idle Ps and a queue, which an awake scheduler shows in none


@dataclass(frozen=True)
class SchedHealth:
    """What the samples of one process add up to, the first one left out: it is taken while the runtime starts.

    ``starved`` are samples without an idle P and with a queue, ``unattended`` those with an idle P and a queue.
    ``queued`` is the median length of all queues together, ``outside`` the median of the threads that neither hold a P
    nor are parked: they are in system calls or in cgo. ``in_syscalls`` are goroutines, None without scheddetail.
    ``dispatches_a_second`` has one number an interval, all Ps together; none where no ticks are printed. Intervals last
    ``interval_s`` in the median, None when there is one sample only.
    """

    samples: int
    procs: int
    starved: int
    unattended: int
    queued: float
    most_queued: int
    outside: float
    threads: int
    in_syscalls: int | None
    goroutines: int | None
    dispatches_a_second: tuple[float, ...]
    interval_s: float | None

    def stays(self, count: int, share: float = MOST_OF_THEM) -> bool:
        """Whether ``count`` samples are enough, and enough of all, to be a state and not a moment."""
        return count >= ENOUGH_SAMPLES and count >= share * self.samples


def sched_health(documents: Documents) -> SchedHealth | None:
    """What the schedtrace of ``go_trace`` says; None when there is none, or nothing but its first sample."""
    trace = documents.text("go_trace", "schedtrace", recent_samples)
    return add_up(trace) if trace else None


def recent_samples(text: str) -> Trace:
    """The end of a trace, with the sample before it, from which the first interval counts. Raises Malformed."""
    return schedtrace.parse(text, last=RECENT + 1)


def add_up(trace: Trace) -> SchedHealth | None:
    """What the recent samples of the last process in ``trace`` add up to."""
    samples = _last_process(trace.samples)
    if not samples:
        return None
    last = samples[-1]
    detailed = [sample for sample in samples if sample.goroutines]
    intervals = [other.at_ms - one.at_ms for one, other in Trace(tuple(samples)).neighbours()]
    in_syscalls = [sum(g.state == "syscall" for g in sample.goroutines) for sample in detailed]
    return SchedHealth(
        samples=len(samples),
        procs=last.gomaxprocs,
        starved=sum(sample.idleprocs == 0 and sample.queued > 0 for sample in samples),
        unattended=sum(sample.idleprocs > 0 and sample.queued > 0 for sample in samples),
        queued=median(sample.queued for sample in samples),
        most_queued=max(sample.queued for sample in samples),
        outside=median(_outside(sample) for sample in samples),
        threads=last.threads,
        in_syscalls=round(median(in_syscalls)) if in_syscalls else None,
        goroutines=detailed[-1].alive if detailed else None,
        dispatches_a_second=_dispatches(samples),
        interval_s=median(intervals) / 1000 if intervals else None,
    )


def _last_process(samples: Sequence[Sample]) -> list[Sample]:
    """The RECENT samples since the times fell last, without the one at 0 ms."""
    begins = [at for at in range(1, len(samples)) if samples[at].at_ms < samples[at - 1].at_ms]
    return [sample for sample in samples[begins[-1] if begins else 0 :] if sample.at_ms > 0][-RECENT:]


def _outside(sample: Sample) -> int:
    """Threads beside those that hold a P, are parked or are sysmon, which needs no P."""
    holding = sample.gomaxprocs - sample.idleprocs
    return max(0, sample.threads - sample.idlethreads - holding - 1)


def _dispatches(samples: Sequence[Sample]) -> tuple[float, ...]:
    """Dispatches of all Ps a second, for each interval; the ticks are 32 bits wide and may begin again."""
    return tuple(
        sum((new - old) % (1 << 32) for old, new in zip(one.schedticks, other.schedticks, strict=True))
        * 1000
        / (other.at_ms - one.at_ms)
        for one, other in Trace(tuple(samples)).neighbours()
        if one.schedticks and len(one.schedticks) == len(other.schedticks)
    )
