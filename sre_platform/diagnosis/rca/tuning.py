"""Values for GOMAXPROCS, GOGC and GOMEMLIMIT, computed from what was measured, with the arithmetic to show."""

from dataclasses import dataclass
from math import ceil, floor

# The field's rule: GOMAXPROCS = cpu x (1 - clamp(iowait, 0, 0.7)), between 2 and 2 x cpu; iowait above 40% lowers
# it, a scheduling delay above 5 ms raises it.
MOST_IOWAIT = 0.7
HIGH_IOWAIT = 0.4
LONG_DELAY_S = 0.005
RAISE = 1.5  # our own step: half as many again, and look at the delay once more
LEAST_PROCS = 2  # also what Go 1.25 does: runtime.adjustCgroupGOMAXPROCS rounds a quota up, to at least 2

GC_SHARE_WANTED = 0.05  # of CPU time: our own aim, half of what gc_health calls expensive
LEAST_GOGC, MOST_GOGC = 50, 800  # below, cycles follow each other; above, the heap is ten times what lives in it
HEADROOM = 0.9  # Go's GC guide, "Suggested uses": leave 5 to 10% for memory that the runtime does not know of
MIB = 1 << 20


@dataclass(frozen=True)
class Setting:
    """A value for one environment variable, how to write it and how it was computed."""

    name: str
    value: int
    written: str
    arithmetic: str

    def __str__(self) -> str:
        return f"{self.name}={self.written} ({self.arithmetic})"


def gomaxprocs(
    cpus: int, quota_cores: float | None = None, iowait: float = 0.0, delay_s: float | None = None
) -> Setting:
    """GOMAXPROCS for a process that may use ``cpus`` CPUs and ``quota_cores`` of CPU time (None: no quota).

    ``iowait`` is a share (0..1) of the host's time, ``delay_s`` how long goroutines that could run waited (P99, s).
    """
    cpu = max(1, cpus if quota_cores is None else min(cpus, ceil(quota_cores)))
    waiting = min(max(iowait, 0.0), MOST_IOWAIT)
    exact = cpu * (1 - waiting)
    said = [f"{cpu} {'CPUs' if quota_cores is None else 'CPUs within the quota'} x (1 - {waiting:.2f} iowait)"]
    if iowait > HIGH_IOWAIT:
        value = floor(exact)
        said.append(f"= {exact:.2f}, rounded down because iowait is above {HIGH_IOWAIT:.0%}")
    elif delay_s is not None and delay_s > LONG_DELAY_S:
        value = ceil(exact * RAISE)
        said.append(f"= {exact:.2f}, x {RAISE} because goroutines wait {delay_s * 1000:.1f} ms for a P")
    else:
        value = round(exact)
        said.append(f"= {exact:.2f}")
    most = max(LEAST_PROCS, 2 * cpu if quota_cores is None else ceil(quota_cores))
    value = min(max(value, LEAST_PROCS), most)
    return Setting("GOMAXPROCS", value, str(value), f"{' '.join(said)}, kept between {LEAST_PROCS} and {most}")


def gogc(
    live_bytes: float,
    gogc_now: float,
    share_now: float,
    room_bytes: float | None = None,
    share_wanted: float = GC_SHARE_WANTED,
) -> Setting | None:
    """GOGC that brings the share of CPU time for collections from ``share_now`` to ``share_wanted`` (both 0..1).

    The cost falls as GOGC rises (Go's GC guide: doubling GOGC halves the cost and doubles the heap above what lives).
    ``room_bytes`` is what the heap may grow to, None when nothing limits it. None when no value can be computed: the
    live heap alone leaves no room, or something measured is not positive.
    """
    if min(live_bytes, gogc_now, share_now, share_wanted) <= 0:
        return None
    wanted = gogc_now * share_now / share_wanted
    said = f"{gogc_now:.0f} now x {share_now:.1%} of the CPU time now / {share_wanted:.0%} wanted = {wanted:.0f}"
    value = round(min(max(wanted, LEAST_GOGC), MOST_GOGC))
    if room_bytes is not None:
        fits = floor((room_bytes / live_bytes - 1) * 100)
        said += f", and {room_bytes / MIB:.0f} MiB of room over {live_bytes / MIB:.0f} MiB that live allow {fits}"
        value = min(value, fits)
    if value < 1:
        return None
    return Setting("GOGC", value, str(value), f"{said}, kept between {LEAST_GOGC} and {MOST_GOGC} where memory allows")


def gomemlimit(memory_max_bytes: float, outside_bytes: float = 0) -> Setting | None:
    """GOMEMLIMIT for a control group of ``memory_max_bytes``, ``outside_bytes`` of it not the heap (cgo, cache).

    In whole MiB. None when what is not Go's leaves less than one.
    """
    mebibytes = floor((memory_max_bytes - outside_bytes) * HEADROOM / MIB)
    if mebibytes < 1:
        return None
    said = (
        f"({memory_max_bytes / MIB:.0f} MiB memory.max - {outside_bytes / MIB:.0f} MiB outside Go's heap)"
        f" x {HEADROOM} headroom"
    )
    return Setting("GOMEMLIMIT", mebibytes * MIB, f"{mebibytes}MiB", said)
