"""Reads files of Linux' ``/proc``: what the kernel says of one process, and of pressure and time on the whole host.

Forms after proc(5), ``Documentation/filesystems/proc.rst`` and ``Documentation/accounting/psi.rst`` of Linux. What a
kernel does not print is None. Sizes printed in kB are KiB and given in bytes here; ticks are USER_HZ, 100 a second on
every architecture that Go knows. A text that is no such file is Malformed, and so is one above TEXT_LIMIT.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Literal

from sre_platform.diagnosis.parsers.numbers import decimal, whole
from sre_platform.kernel.errors import Malformed

TEXT_LIMIT = 32 << 20  # characters: 250,000 mappings, four times the default vm.max_map_count
LINE_LIMIT = 1 << 16  # characters of a line that are looked at; the longest is a list of 8192 CPUs
MOST_CPUS = 8192  # NR_CPUS of the largest kernels (CONFIG_MAXSMP); a larger id is no CPU


def lines_of(text: str, file: str) -> Iterator[str]:
    """The lines of ``text``, each cut at LINE_LIMIT. Raises Malformed above TEXT_LIMIT characters."""
    if len(text) > TEXT_LIMIT:
        raise Malformed(f"This {file} has {len(text)} characters, more than {TEXT_LIMIT}.")
    return (line[:LINE_LIMIT] for line in text.split("\n"))


def _not(file: str, text: str) -> Malformed:
    return Malformed(f"This is not {file}, it begins with {text[:40]!r}.")


# --- one process ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Status:
    """``/proc/PID/status``. Switches are those of the thread that PID names, not of the whole process (proc(5)).

    ``cpus_allowed`` are the ids of the CPUs the thread may run on, ``mems_allowed`` the NUMA nodes.
    """

    state: str
    threads: int
    rss_bytes: int | None
    rss_anon_bytes: int | None
    swap_bytes: int | None
    cpus_allowed: frozenset[int]
    mems_allowed: frozenset[int]
    huge_pages_enabled: bool | None
    voluntary_switches: int | None
    involuntary_switches: int | None


def status(text: str) -> Status:
    """What ``/proc/PID/status`` says. Raises Malformed."""
    known = _named(text, "status")
    threads = whole(known.get("Threads", ""))
    if "State" not in known or threads is None:
        raise _not("/proc/PID/status", text)
    huge = known.get("THP_enabled")
    return Status(
        state=known["State"][:1],
        threads=threads,
        rss_bytes=_bytes(known.get("VmRSS")),
        rss_anon_bytes=_bytes(known.get("RssAnon")),
        swap_bytes=_bytes(known.get("VmSwap")),
        cpus_allowed=ids(known.get("Cpus_allowed_list", "")),
        mems_allowed=ids(known.get("Mems_allowed_list", "")),
        huge_pages_enabled=None if huge is None else huge == "1",
        voluntary_switches=whole(known.get("voluntary_ctxt_switches", "")),
        involuntary_switches=whole(known.get("nonvoluntary_ctxt_switches", "")),
    )


def ids(text: str) -> frozenset[int]:
    """The ids of a kernel list such as ``0-3,8,10-11``; what is no id below MOST_CPUS is left out."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        low, high = whole(first), whole(last or first)
        if low is not None and high is not None and 0 <= low <= high < MOST_CPUS:
            found.update(range(low, high + 1))
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class Stat:
    """``/proc/PID/stat``: faults, times and threads since the process started, all threads together."""

    pid: int
    command: str
    state: str
    minor_faults: int
    major_faults: int
    user_ticks: int
    system_ticks: int
    threads: int
    started_ticks: int
    block_io_delay_ticks: int | None


def stat(text: str) -> Stat:
    """What ``/proc/PID/stat`` says; the command's name may hold spaces and parentheses. Raises Malformed."""
    begin, _, rest = next(lines_of(text, "stat")).rpartition(") ")
    pid, _, command = begin.partition(" (")
    words = rest.split()  # words[0] is field 3 of proc(5)
    numbers = [whole(word) for word in [pid, *words[1:]]]
    if not command or len(words) < 20 or None in numbers[:20]:
        raise _not("/proc/PID/stat", text)
    minor, major, user, system, threads, started = (numbers[field - 3] or 0 for field in (10, 12, 14, 15, 20, 22))
    delay = numbers[39] if len(numbers) > 39 else None  # field 42
    return Stat(numbers[0] or 0, command, words[0], minor, major, user, system, threads, started, delay)


@dataclass(frozen=True, slots=True)
class MemoryMap:
    """One mapping of ``/proc/PID/maps``. ``path`` is a file, a name such as ``[heap]`` or "" for anonymous memory."""

    begin: int
    end: int
    permissions: str
    path: str

    @property
    def size_bytes(self) -> int:
        return self.end - self.begin


def maps(text: str) -> tuple[MemoryMap, ...]:
    """The mappings of ``/proc/PID/maps`` in the order of addresses. Raises Malformed when there is none in a text."""
    found = tuple(mapping for line in lines_of(text, "maps") if (mapping := _map(line)) is not None)
    if not found and text.strip():
        raise _not("/proc/PID/maps", text)
    return found


def _map(line: str) -> MemoryMap | None:
    words = line.split(None, 5)
    if len(words) < 5 or len(words[1]) != 4:
        return None
    first, _, last = words[0].partition("-")
    begin, end = _hex(first), _hex(last)
    if begin is None or end is None or end < begin:
        return None
    return MemoryMap(begin, end, words[1], words[5] if len(words) == 6 else "")


def _hex(text: str) -> int | None:
    is_number = 0 < len(text) <= 16 and all(letter in "0123456789abcdef" for letter in text)
    return int(text, 16) if is_number else None


@dataclass(frozen=True, slots=True)
class SmapsRollup:
    """``/proc/PID/smaps_rollup``: the sums over all mappings."""

    rss_bytes: int
    pss_bytes: int | None
    anonymous_bytes: int | None
    anonymous_huge_bytes: int | None
    private_dirty_bytes: int | None
    swap_bytes: int | None


def smaps_rollup(text: str) -> SmapsRollup:
    """What ``/proc/PID/smaps_rollup`` says. Raises Malformed."""
    known = _named(text, "smaps_rollup")
    rss = _bytes(known.get("Rss"))
    if rss is None:
        raise _not("/proc/PID/smaps_rollup", text)
    rest = (_bytes(known.get(name)) for name in ("Pss", "Anonymous", "AnonHugePages", "Private_Dirty", "Swap"))
    return SmapsRollup(rss, *rest)


@dataclass(frozen=True, slots=True)
class Limit:
    """A resource limit in the unit the kernel names ("" for a bare count); None is unlimited."""

    soft: int | None
    hard: int | None
    unit: str


def limits(text: str) -> dict[str, Limit]:
    """The limits of ``/proc/PID/limits`` by the kernel's names ("Max open files"). Raises Malformed."""
    found: dict[str, Limit] = {}
    for line in lines_of(text, "limits"):
        name, soft, hard, unit = (part.strip() for part in (line[:26], line[26:47], line[47:68], line[68:]))
        if name.startswith("Max ") and _is_limit(soft) and _is_limit(hard):
            found[name] = Limit(whole(soft), whole(hard), unit)
    if not found:
        raise _not("/proc/PID/limits", text)
    return found


def _is_limit(text: str) -> bool:
    return text == "unlimited" or whole(text) is not None


# --- the whole host ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stall:
    """Share of time (0..1) of the last 10, 60 and 300 s in which tasks waited, and the total in microseconds."""

    avg10: float
    avg60: float
    avg300: float
    total_us: int


@dataclass(frozen=True, slots=True)
class Pressure:
    """PSI: ``some`` counts while at least one task waited, ``full`` while all did (None: cpu before Linux 5.13)."""

    some: Stall
    full: Stall | None


def pressure(text: str) -> Pressure:
    """What a ``/proc/pressure/*`` or a cgroup's ``*.pressure`` file says. Raises Malformed."""
    found: dict[str, Stall] = {}
    for line in lines_of(text, "pressure file"):
        kind, _, rest = line.partition(" ")
        if kind in ("some", "full") and (stall := _stall(rest)) is not None:
            found[kind] = stall
    if "some" not in found:
        raise _not("a pressure file", text)
    return Pressure(found["some"], found.get("full"))


def _stall(text: str) -> Stall | None:
    known = dict(word.partition("=")[::2] for word in text.split())
    shares = [decimal(known.get(name, "")) for name in ("avg10", "avg60", "avg300")]
    total = whole(known.get("total", ""))
    if total is None or total < 0 or None in shares:
        return None
    avg10, avg60, avg300 = ((share or 0.0) / 100 for share in shares)
    return Stall(avg10, avg60, avg300, total)


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """The ``cpu`` line of ``/proc/stat``: ticks of all CPUs together since the host started."""

    user: int
    nice: int
    system: int
    idle: int
    iowait: int
    irq: int = 0
    softirq: int = 0
    steal: int = 0

    def since(self, earlier: "CpuTimes") -> "CpuTimes":
        """The ticks between two looks. iowait may fall on real kernels (proc(5)); what fell counts as nothing."""
        pairs = ((getattr(self, part.name), getattr(earlier, part.name)) for part in fields(self))
        return CpuTimes(*(max(0, later - before) for later, before in pairs))

    def share(self, part: Literal["user", "system", "idle", "iowait", "steal"]) -> float | None:
        """The share (0..1) of all ticks that ``part`` has, None when there are no ticks."""
        total = sum(getattr(self, field.name) for field in fields(self))
        return getattr(self, part) / total if total else None


def cpu_times(text: str) -> CpuTimes:
    """The first line of ``/proc/stat``; guest time is part of user there. Raises Malformed."""
    for line in lines_of(text, "/proc/stat"):
        name, *words = line.split()[:9] or [""]
        numbers = [number for word in words if (number := whole(word)) is not None and number >= 0]
        if name == "cpu" and len(numbers) == len(words) >= 5:  # iowait is there since Linux 2.5.41
            return CpuTimes(*numbers)
    raise _not("/proc/stat", text)


# --- ``Name:   12 kB`` ------------------------------------------------------------------------------------------------


def _named(text: str, file: str) -> Mapping[str, str]:
    pairs = (line.partition(":") for line in lines_of(text, file))
    return {name: value.strip() for name, found, value in pairs if found}


def _bytes(text: str | None) -> int | None:
    size, _, unit = (text or "").partition(" ")
    number = whole(size)
    return number * 1024 if number is not None and number >= 0 and unit.strip() == "kB" else None
