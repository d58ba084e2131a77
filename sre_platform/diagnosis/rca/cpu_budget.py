"""How many CPUs a Go process may use, how many it tries to use, and how long its goroutines wait for one."""

from dataclasses import dataclass
from math import ceil

from sre_platform.diagnosis.parsers import cgroup, exposition, proc
from sre_platform.diagnosis.parsers.cgroup import CpuStat
from sre_platform.diagnosis.parsers.exposition import Page
from sre_platform.diagnosis.parsers.numbers import whole
from sre_platform.diagnosis.rca.documents import Documents, Looks
from sre_platform.diagnosis.rca.gc_health import recent_cycles
from sre_platform.diagnosis.rca.sched_health import recent_samples
from sre_platform.diagnosis.rca.tuning import LONG_DELAY_S, gomaxprocs

FOLLOWS_QUOTA = (1, 25)  # Go 1.25 release notes: GOMAXPROCS considers the cgroup's CPU limit, and follows its changes
THROTTLED_SHARE = 0.25  # of the periods: the threshold of kubernetes-mixin's CPUThrottlingHigh alert
ENOUGH_PERIODS = 10  # a second of the default period of 100 ms
ENOUGH_WAITS = 100  # goroutines that were started in the window; P99 of fewer is one accident


@dataclass(frozen=True)
class CpuBudget:
    """What is known of it. What no document tells is None, ``go_version`` then "".

    ``cpus`` may be used by the process (online, and allowed by its mask), ``quota_cores`` is None also when there is no
    quota, ``procs`` is GOMAXPROCS, ``iowait`` a share (0..1) of the host's time, ``delay_s`` P99 of how long goroutines
    that could run waited, ``throttling`` what ``cpu.stat`` counted between two looks.
    """

    cpus: int | None
    quota_cores: float | None
    procs: int | None
    iowait: float | None
    delay_s: float | None
    throttling: CpuStat | None
    go_version: str = ""

    @property
    def usable(self) -> int | None:
        """CPUs within mask and quota, the quota rounded up as Go does."""
        bounds = [self.cpus, None if self.quota_cores is None else ceil(self.quota_cores)]
        return min((bound for bound in bounds if bound is not None), default=None)

    @property
    def follows_quota(self) -> bool:
        """Whether this Go sets GOMAXPROCS from the quota by itself."""
        version = release(self.go_version)
        return version is not None and version >= FOLLOWS_QUOTA

    def throttled(self) -> list[str]:
        """A sentence when the quota stopped the process in too many periods."""
        seen = self.throttling
        share = seen.throttled_share if seen else None
        if seen is None or share is None or share < THROTTLED_SHARE or seen.periods < ENOUGH_PERIODS:
            return []
        many = f"{seen.throttled_periods} of {seen.periods} periods ({share:.0%})"
        return [f"The quota throttled {many}, for {seen.throttled_us / 1e6:.2f} s together."]

    def delays(self) -> list[str]:
        """A sentence when goroutines that could run wait too long for a P."""
        if self.delay_s is None or self.delay_s <= LONG_DELAY_S:
            return []
        return [f"P99 of the wait for a P is {self.delay_s * 1000:.1f} ms, {LONG_DELAY_S * 1000:.0f} ms is long."]

    def advice(self) -> list[str]:
        """GOMAXPROCS with its arithmetic, when it is not what it should be and enough is known to say so."""
        if self.cpus is None:
            return []
        setting = gomaxprocs(self.cpus, self.quota_cores, self.iowait or 0.0, self.delay_s)
        return [] if setting.value == self.procs else [f"Set {setting}."]


def cpu_budget(documents: Documents) -> CpuBudget:
    """What ``host``, ``go_trace`` and ``go_runtime`` say of it."""
    pages = documents.looks("go_runtime", "metrics", "earlier", exposition.parse_go)
    quota = documents.text("host", "cgroup/cpu.max", cgroup.cpu_max)
    times = documents.looks("host", "proc_stat", "earlier/proc_stat", proc.cpu_times)
    throttling = documents.looks("host", "cgroup/cpu.stat", "earlier/cgroup/cpu.stat", cgroup.cpu_stat)
    return CpuBudget(
        cpus=_cpus(documents),
        quota_cores=quota.cores if quota else None,
        procs=_procs(documents, pages),
        iowait=times.now.since(times.earlier).share("iowait") if times and times.earlier else None,
        delay_s=_delay_s(pages),
        throttling=throttling.now.since(throttling.earlier) if throttling and throttling.earlier else None,
        go_version=pages.now.label("go_info", "version") if pages else "",
    )


def release(version: str) -> tuple[int, int] | None:
    """(1, 27) of "go1.27.3", "go1.27rc1" and "devel go1.28-0a1b2c"; None when it is no version of Go."""
    _, found, rest = version.partition("go")
    major, _, minor = rest.partition(".")
    digits = minor[: next((at for at, letter in enumerate(minor) if not letter.isdecimal()), len(minor))]
    numbers = whole(major), whole(digits)
    return (numbers[0], numbers[1]) if found and numbers[0] is not None and numbers[1] is not None else None


def _cpus(documents: Documents) -> int | None:
    online = documents.number("host", "cpus")
    status = documents.text("host", "status", proc.status)
    allowed = len(status.cpus_allowed) if status else 0
    bounds = [int(count) for count in (online, allowed) if count]
    return min(bounds, default=None)


def _procs(documents: Documents, pages: Looks[Page] | None) -> int | None:
    """GOMAXPROCS by the scheduler's last line, the page or the collector's last line."""
    scheduler = documents.text("go_trace", "schedtrace", recent_samples)
    if scheduler and scheduler.samples:
        return scheduler.samples[-1].gomaxprocs
    shown = pages.now.value("go_sched_gomaxprocs_threads") if pages else None
    if shown is not None:
        return int(shown) if shown < 1e6 else None
    collector = documents.text("go_trace", "gctrace", recent_cycles)
    return collector.cycles[-1].procs if collector and collector.cycles else None


def _delay_s(pages: Looks[Page] | None) -> float | None:
    name = "go_sched_latencies_seconds"
    now = pages.now.histogram(name) if pages else None
    if pages is None or now is None:
        return None
    window = now.since(pages.earlier.histogram(name) if pages.earlier else None)
    return window.quantile(0.99) if window.count >= ENOUGH_WAITS else None
