"""Reads a control group's files, of cgroup v2 (``cgroup-v2.rst``) and of v1 (``sched-bwc.rst``, ``memory.rst``).

Where v1 has other names or units, the values are given as v2 has them. A text that is no such file is Malformed.
"""

from dataclasses import dataclass

from sre_platform.diagnosis.parsers.numbers import whole
from sre_platform.diagnosis.parsers.proc import lines_of
from sre_platform.kernel.errors import Malformed

# v1 has no word for "no limit": it prints PAGE_COUNTER_MAX, 2**63 rounded down to the page size (4 to 64 KiB).
NO_LIMIT_BYTES = (1 << 63) - (1 << 16)


@dataclass(frozen=True, slots=True)
class CpuQuota:
    """The CFS bandwidth: ``quota_us`` of CPU time per ``period_us``, None for no limit."""

    quota_us: int | None
    period_us: int

    @property
    def cores(self) -> float | None:
        """The quota in CPUs, None for no limit."""
        return None if self.quota_us is None else self.quota_us / self.period_us


def cpu_max(text: str) -> CpuQuota:
    """``cpu.max`` ("max 100000"), or v1's quota and period on one line ("-1 100000"). Raises Malformed."""
    words = next(lines_of(text, "cpu.max")).split()
    quota = whole(words[0]) if words else None
    period = whole(words[1]) if len(words) == 2 else None
    is_free = bool(words) and (words[0] == "max" or quota == -1)
    if period is None or period <= 0 or (not is_free and (quota is None or quota <= 0)):
        raise Malformed(f"This is not cpu.max, it begins with {text[:40]!r}.")
    return CpuQuota(None if is_free else quota, period)


@dataclass(frozen=True, slots=True)
class CpuStat:
    """``cpu.stat`` since the group exists. All zero periods mean that no quota was ever in force."""

    periods: int
    throttled_periods: int
    throttled_us: int
    usage_us: int | None

    def since(self, earlier: "CpuStat") -> "CpuStat":
        """What happened between two looks; a group that was made anew in between counts from its begin."""
        if self.periods < earlier.periods or self.throttled_us < earlier.throttled_us:
            return self
        usage = None if self.usage_us is None or earlier.usage_us is None else self.usage_us - earlier.usage_us
        return CpuStat(
            self.periods - earlier.periods,
            self.throttled_periods - earlier.throttled_periods,
            self.throttled_us - earlier.throttled_us,
            usage,
        )

    @property
    def throttled_share(self) -> float | None:
        """The share (0..1) of periods in which the group had to wait, None when there was no period."""
        return self.throttled_periods / self.periods if self.periods else None


def cpu_stat(text: str) -> CpuStat:
    """What ``cpu.stat`` says, v1's throttled_time (ns) in microseconds. Raises Malformed."""
    known = counters(text, "cpu.stat")
    if not known.keys() & {"usage_usec", "nr_periods"}:
        raise Malformed(f"This is not cpu.stat, it begins with {text[:40]!r}.")
    throttled = known.get("throttled_usec", known.get("throttled_time", 0) // 1000)
    return CpuStat(known.get("nr_periods", 0), known.get("nr_throttled", 0), throttled, known.get("usage_usec"))


def memory_bytes(text: str) -> int | None:
    """The bytes of a file that holds one number, None for "max" and for v1's largest number. Raises Malformed."""
    word = next(lines_of(text, "memory file")).strip()
    number = whole(word)
    if word != "max" and (number is None or number < 0):
        raise Malformed(f"This is no number of bytes, it begins with {text[:40]!r}.")
    return None if number is None or number >= NO_LIMIT_BYTES else number


@dataclass(frozen=True, slots=True)
class MemoryStat:
    """``memory.stat``: anonymous memory, and page cache, which the kernel can take back."""

    anonymous_bytes: int
    file_bytes: int
    major_faults: int | None


def memory_stat(text: str) -> MemoryStat:
    """What ``memory.stat`` says, of the whole subtree also in v1 (total_rss, total_cache). Raises Malformed."""
    known = counters(text, "memory.stat")
    anonymous = next((known[name] for name in ("anon", "total_rss", "rss") if name in known), None)
    file = next((known[name] for name in ("file", "total_cache", "cache") if name in known), None)
    if anonymous is None or file is None:
        raise Malformed(f"This is not memory.stat, it begins with {text[:40]!r}.")
    return MemoryStat(anonymous, file, known.get("total_pgmajfault", known.get("pgmajfault")))


@dataclass(frozen=True, slots=True)
class MemoryEvents:
    """How often memory ran short: reclaimed above memory.high, hit memory.max, found no way out, killed a process."""

    high: int
    max: int
    oom: int
    oom_kill: int

    def since(self, earlier: "MemoryEvents") -> "MemoryEvents":
        """What happened between two looks; a group that was made anew in between counts from its begin."""
        now = (self.high, self.max, self.oom, self.oom_kill)
        before = (earlier.high, earlier.max, earlier.oom, earlier.oom_kill)
        if any(later < sooner for later, sooner in zip(now, before, strict=True)):
            return self
        return MemoryEvents(*(later - sooner for later, sooner in zip(now, before, strict=True)))


def memory_events(text: str) -> MemoryEvents:
    """What ``memory.events``, or v1's memory.oom_control, says. Raises Malformed."""
    known = counters(text, "memory.events")
    if not known.keys() & {"oom_kill", "under_oom", "oom"}:
        raise Malformed(f"This is not memory.events, it begins with {text[:40]!r}.")
    return MemoryEvents(*(known.get(name, 0) for name in ("high", "max", "oom", "oom_kill")))


def counters(text: str, file: str) -> dict[str, int]:
    """The ``name number`` lines of a flat keyed file; what has another form is passed over."""
    pairs = (line.split() for line in lines_of(text, file))
    found = ((words[0], whole(words[1])) for words in pairs if len(words) == 2)
    return {name: number for name, number in found if number is not None and number >= 0}
