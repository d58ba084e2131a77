"""How Go's collector is doing, from its trace and from the service's metrics page: pauses, cost, goal."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median, pstdev

from sre_platform.diagnosis.parsers import exposition, gctrace
from sre_platform.diagnosis.parsers.exposition import Page
from sre_platform.diagnosis.parsers.gctrace import Cycle, Trace
from sre_platform.diagnosis.rca.documents import Documents, Looks
from sre_platform.diagnosis.rca.memory_budget import memory_limit
from sre_platform.diagnosis.rca.tuning import GC_SHARE_WANTED, LEAST_GOGC, MIB, Setting, gogc

PAUSE_P99_MS = 20.0  # the field's rule: above it users notice
JITTER_SIGMA = 3.0  # the field's rule: a pause beyond it is unhealthy,
JITTER_FLOOR_MS = 10.0  # if it is one that would be warned of by itself; a shared CPU makes 1.6 ms of 0.1 (recorded)
JITTER_SAMPLES = 10  # others that a pause is compared with; fewer have no sigma worth the name
ROUNDED = 0.01  # of a value: the trace prints two or three digits, so equal ones may be that far apart
COSTLY_SHARE = 0.1  # of CPU time; recorded: steady 0.2%, GOGC=10 18%, finalizers 10%, starved 39%
LOW_GOGC = LEAST_GOGC  # percent; the default is 100, and at 50 collections cost twice as much
LEAST_LIVE_MIB = 10  # the trace rounds to MiB: below, the goal cannot tell GOGC=50 from 100
LATER_SHARE = 0.6  # of the interval before: 14.7 s that became 8.2 s was the field's case, 0.56
STEADY_HEAP = 1.2  # a live heap that grew by less than this explains no shorter interval (GOGC keeps them in step)
EACH_HALF = 4  # intervals on each side of the comparison, so that a burst is no trend
RECENT_S = 60.0  # of the trace that are judged: the incident, not the morning before it
MOST_CYCLES = 2000  # that are read: a minute of the busiest collector, hours of others to compare with
LEAST_RECENT = JITTER_SAMPLES + 1  # cycles that are judged where collections are rarer than that


@dataclass(frozen=True)
class Cycles:
    """What the trace of one process adds up to. Shares are of the CPU time of all Ps between the first and last cycle.

    ``effective_gogc`` is what the goals show: how far each lies above what was reachable, in percent. ``collapse`` is
    the median interval over that of the time before, where the live heap stayed as large.
    """

    count: int
    procs: int
    pauses_ms: tuple[float, ...]
    longest_mark_ms: float
    live_mib: int
    goal_mib: int
    cpu_share: float | None
    assist_share: float | None
    interval_s: float | None
    effective_gogc: float | None
    collapse: float | None


@dataclass(frozen=True)
class GcHealth:
    """The trace, the metrics page and the GOMEMLIMIT that fits, as far as there are any. What none tells is None."""

    cycles: Cycles | None
    pages: Looks[Page] | None
    limit: Setting | None

    @property
    def cpu_share(self) -> float | None:
        """The share (0..1) of CPU time that collections take, by the trace or else by the page."""
        if self.cycles and self.cycles.cpu_share is not None:
            return self.cycles.cpu_share
        spent, whole = (rise(self.pages, f"go_cpu_classes_{part}_cpu_seconds_total") for part in ("gc_total", "total"))
        return spent / whole if spent is not None and whole else None

    def interval_s(self, seconds_apart: float | None) -> float | None:
        """Seconds between cycles, by the trace or else by how many the page counted in ``seconds_apart``."""
        if self.cycles and self.cycles.interval_s is not None:
            return self.cycles.interval_s
        count = rise(self.pages, "go_gc_duration_seconds_count")
        return seconds_apart / count if seconds_apart and count else None

    @property
    def goal_is_low(self) -> bool:
        """Whether the goals lie so close above the live heap that this alone explains many collections."""
        measured = self.cycles.effective_gogc if self.cycles else None
        return measured is not None and measured < LOW_GOGC

    @property
    def configured_gogc(self) -> float | None:
        """GOGC in percent as the page shows it; None when it does not, or collections by GOGC are off."""
        value = self.pages.now.value("go_gc_gogc_percent") if self.pages else None
        return value if value is not None and 0 < value < 1e6 else None

    @property
    def memory_limit_bytes(self) -> float | None:
        """GOMEMLIMIT as the page shows it; None when it does not, or there is none (math.MaxInt64)."""
        value = self.pages.now.value("go_gc_gomemlimit_bytes") if self.pages else None
        return value if value is not None and value < 2**62 else None

    def effects(self) -> list[str]:
        """What users or the bill notice: long pauses, uneven pauses, CPU time. A sentence each, none when healthy."""
        return [*self.pauses(), *self._costs()]

    def pauses(self) -> list[str]:
        """Long and uneven pauses, a sentence each."""
        return [*self._long_pauses()]

    def calm(self) -> list[str]:
        """What speaks against trouble: pauses or costs that were measured and are fine."""
        cycles, share = self.cycles, self.cpu_share
        said = []
        if cycles and not self.pauses():
            said.append(
                f"The pauses are short: the longest of {cycles.count} cycles is {max(cycles.pauses_ms):.2f} ms."
            )
        if share is not None and share < COSTLY_SHARE:
            said.append(f"Collections take {share:.1%} of the CPU time, which is not much.")
        return said

    def advice(self) -> list[str]:
        """GOGC and GOMEMLIMIT with their arithmetic, as far as the evidence allows."""
        limit = None if self.limit and self.limit.value == self.memory_limit_bytes else self.limit
        settings = [self._gogc(), limit]
        return [f"Set {setting}." for setting in settings if setting]

    def _gogc(self) -> Setting | None:
        share, cycles = self.cpu_share, self.cycles
        now = (cycles.effective_gogc if cycles else None) or self.configured_gogc
        if cycles is None or now is None or share is None or share <= GC_SHARE_WANTED:
            return None
        return gogc(cycles.live_mib * MIB, now, share, self.limit.value if self.limit else None)

    def _long_pauses(self) -> Iterator[str]:
        pauses = self.cycles.pauses_ms if self.cycles else ()
        if pauses and (worst := p99(pauses)) > PAUSE_P99_MS:
            yield f"P99 of {len(pauses)} pauses is {worst:.1f} ms, above {PAUSE_P99_MS:.0f} ms."
        elif (seen := self._paused_ms()) is not None and seen > PAUSE_P99_MS:
            yield f"P99 of the pauses is {seen:.1f} ms by the service's metrics, above {PAUSE_P99_MS:.0f} ms."
        if (outlier := jitter(pauses)) is not None:
            yield f"One pause of {max(pauses):.1f} ms lies {outlier:.0f} standard deviations above all others."

    def _costs(self) -> Iterator[str]:
        share = self.cpu_share
        if share is not None and share >= COSTLY_SHARE:
            yield f"Collections take {share:.0%} of the CPU time, {COSTLY_SHARE:.0%} is much."

    def _paused_ms(self) -> float | None:
        """P99 of the pauses by the histogram of runtime/metrics, in ms."""
        for name in ("go_sched_pauses_total_gc_seconds", "go_gc_pauses_seconds", "go_gc_pauses_seconds_total"):
            seen = self.pages.now.histogram(name) if self.pages else None
            if self.pages and seen:
                before = self.pages.earlier.histogram(name) if self.pages.earlier else None
                worst = seen.since(before).quantile(0.99)
                return None if worst is None else worst * 1000
        return None


def gc_health(documents: Documents) -> GcHealth:
    """What ``go_trace``, ``go_runtime`` and the memory limit of ``host`` say."""
    trace = documents.text("go_trace", "gctrace", recent_cycles)
    return GcHealth(
        cycles=add_up(trace) if trace else None,
        pages=documents.looks("go_runtime", "metrics", "earlier", exposition.parse_go),
        limit=memory_limit(documents),
    )


def recent_cycles(text: str) -> Trace:
    """The end of a trace. Raises Malformed."""
    return gctrace.parse(text, last=MOST_CYCLES)


def rise(pages: Looks[Page] | None, name: str) -> float | None:
    """By how much the counter ``name`` rose between two pages; None when one is missing or it began anew."""
    if pages is None or pages.earlier is None:
        return None
    now, before = pages.now.value(name), pages.earlier.value(name)
    return now - before if now is not None and before is not None and now >= before else None


def add_up(trace: Trace) -> Cycles | None:
    """What the recent cycles of the last process in ``trace`` add up to, None when there are none.

    A log's end may hold hours: what is judged is the last minute, and what was before it only for comparison.
    """
    cycles = _last_process(trace.cycles)
    if not cycles:
        return None
    begin = _begin_of_recent(cycles)
    return _summed(cycles[begin:], _collapse(cycles, begin))


def _summed(cycles: Sequence[Cycle], collapse: float | None) -> Cycles:
    last, finished = cycles[-1], cycles[:-1]
    elapsed_ms = (last.at_s - cycles[0].at_s) * 1000 * last.procs
    pairs = [*Trace(tuple(cycles)).neighbours()]
    return Cycles(
        count=len(cycles),
        procs=last.procs,
        pauses_ms=tuple(cycle.pause_ms for cycle in cycles),
        longest_mark_ms=max(cycle.mark_ms for cycle in cycles),
        live_mib=last.heap_live_mib,
        goal_mib=last.heap_goal_mib,
        cpu_share=sum(cycle.taken_cpu_ms for cycle in finished) / elapsed_ms if elapsed_ms > 0 else None,
        assist_share=sum(cycle.assist_cpu_ms for cycle in finished) / elapsed_ms if elapsed_ms > 0 else None,
        interval_s=median(_intervals(cycles)) if pairs else None,
        effective_gogc=_effective_gogc(pairs),
        collapse=collapse,
    )


def _begin_of_recent(cycles: Sequence[Cycle]) -> int:
    """Where the last RECENT_S begin, or earlier where they hold fewer than LEAST_RECENT cycles."""
    since = cycles[-1].at_s - RECENT_S
    begin = next(at for at, cycle in enumerate(cycles) if cycle.at_s >= since)
    return max(0, min(begin, len(cycles) - LEAST_RECENT))


def _last_process(cycles: Sequence[Cycle]) -> tuple[Cycle, ...]:
    """The cycles since the numbers fell last: before that it was another process."""
    begins = [at for at in range(1, len(cycles)) if cycles[at].number <= cycles[at - 1].number]
    return tuple(cycles[begins[-1] if begins else 0 :])


def _effective_gogc(pairs: Sequence[tuple[Cycle, Cycle]]) -> float | None:
    """Median of (goal - live) / (live + stacks + globals), in percent: gcControllerCommit of runtime/mgcpacer.go."""
    seen = [
        (later.heap_goal_mib - earlier.heap_live_mib)
        / (earlier.heap_live_mib + (earlier.stacks_mib or 0) + (earlier.globals_mib or 0))
        for earlier, later in pairs
        if earlier.heap_live_mib >= LEAST_LIVE_MIB
    ]
    return median(seen) * 100 if seen else None


def _collapse(cycles: Sequence[Cycle], begin: int) -> float | None:
    """The recent intervals against those before; against the half before when all of it is recent."""
    split = begin if begin > EACH_HALF else len(cycles) // 2
    before, after = cycles[: split + 1], cycles[split:]
    was, now = _intervals(before), _intervals(after)
    if min(len(was), len(now)) < EACH_HALF or _live(after) > STEADY_HEAP * _live(before) or median(was) <= 0:
        return None
    return median(now) / median(was)


def _intervals(cycles: Sequence[Cycle]) -> tuple[float, ...]:
    return Trace(tuple(cycles)).intervals_s()


def _live(cycles: Sequence[Cycle]) -> float:
    return median(cycle.heap_live_mib for cycle in cycles)


def p99(values: Sequence[float]) -> float:
    """The 99th percentile by nearest rank: the largest of fewer than a hundred."""
    return sorted(values)[max(0, math.ceil(0.99 * len(values)) - 1)]


def jitter(pauses_ms: Sequence[float]) -> float | None:
    """How many standard deviations the longest pause lies above the mean of the others, when that is unhealthy."""
    *others, longest = sorted(pauses_ms) or [0.0]
    if len(others) < JITTER_SAMPLES or longest < JITTER_FLOOR_MS:
        return None
    mean = fmean(others)
    distance = (longest - mean) / max(pstdev(others), ROUNDED * mean)
    return distance if distance > JITTER_SIGMA else None
