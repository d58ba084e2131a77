"""What a lock costs: waits and their length between two mutex profiles, by the line that made others wait.

The mutex profile of Go blames the holder: a stack ends in the Unlock that let a waiter go on, with the time that it had
waited (runtime.SetMutexProfileFraction; counts and times are already scaled). Both profiles count since the process
began, so that only the difference of two tells about now.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sre_platform.diagnosis.domain import Site
from sre_platform.diagnosis.parsers.goroutines import Frame
from sre_platform.diagnosis.parsers.profile import Profile
from sre_platform.diagnosis.rca.stacks import Profiles, blamed, frames, library_calls

TYPES = ("contentions", "delay")

# Waits between the looks. Fewer are one slow call, met once.
MIN_WAITS = 10
# A mean wait above 1 ms: longer than a lock is held over memory alone, so that its waiters are put to sleep.
LONG_WAIT_S = 0.001

READ_LOCK = "sync.(*RWMutex).RLock"
WRITE_LOCK = "sync.(*RWMutex).Lock"
MUTEX_LOCK = "sync.(*Mutex).Lock"  # also how writers queue for each other inside RWMutex.Lock


@dataclass(frozen=True)
class Contention:
    """Waits that ended at one Unlock: how many, for how long all together, within ``seconds``."""

    site: Site
    waits: int
    waited_s: float
    seconds: float

    @property
    def mean_s(self) -> float:
        return self.waited_s / self.waits if self.waits > 0 else 0.0

    @property
    def share(self) -> float:
        """Seconds waited per second, all waiters together: 1 means that at any moment one goroutine waits."""
        return self.waited_s / self.seconds


@dataclass(frozen=True)
class Use:
    """Calls of RLock and of Lock that had to wait, per second. Those that got the lock at once are not seen."""

    reads: float
    writes: float

    @property
    def read_share(self) -> float | None:
        """None without any."""
        return self.reads / (self.reads + self.writes) if self.reads + self.writes else None


def contended(profiles: Profiles) -> list[Contention] | None:
    """Sites with long waits, the costliest first; None when the two mutex profiles are not there or count nothing.

    A profile that counts nothing says nothing: the service may not have set a fraction.
    """
    pair = profiles.pair("mutex", *TYPES)
    if pair is None or not profiles.seconds_apart or not pair[1].samples:
        return None
    before, after = (_by_site(profile) for profile in pair)
    found = []
    for site, (waits, nanos) in after.items():
        old_waits, old_nanos = before.get(site, (0, 0))
        found.append(Contention(site, waits - old_waits, (nanos - old_nanos) / 1e9, profiles.seconds_apart))
    return sorted((one for one in found if _is_long(one)), key=lambda one: -one.waited_s)


def _is_long(one: Contention) -> bool:
    return one.waits >= MIN_WAITS and one.mean_s > LONG_WAIT_S


def _by_site(profile: Profile) -> dict[Site, tuple[int, int]]:
    found: dict[Site, tuple[int, int]] = {}
    for stack, values in _stacks(profile):
        site = None if stack and stack[0].function.startswith("runtime.") else blamed(stack)
        if site:  # the runtime's own locks are not the owner's, though a line of the owner's may lead there
            waits, nanos = found.get(site, (0, 0))
            found[site] = (waits + values[0], nanos + values[1])
    return found


def _stacks(profile: Profile) -> Iterator[tuple[list[Frame], tuple[int, ...]]]:
    return ((frames(sample), sample.values) for sample in profile.samples)


def use(profiles: Profiles, lock: Site) -> Use | None:
    """How the lock that was given back at ``lock`` is asked for, by the block profile; None when that is not told.

    Stacks do not name the lock: taken for it are those of an RWMutex in methods of the same type.
    """
    pair = profiles.pair("block", *TYPES)
    if pair is None or not profiles.seconds_apart or not _receiver(lock.function):
        return None
    before, after = (_asked(profile, _receiver(lock.function)) for profile in pair)
    new = {call: max(0, after[call] - before[call]) for call in after}
    # A writer may wait twice, for other writers (MUTEX_LOCK) and then for readers (WRITE_LOCK): it is still one.
    writes = max(new.get(MUTEX_LOCK, 0), new.get(WRITE_LOCK, 0))
    found = Use(new.get(READ_LOCK, 0) / profiles.seconds_apart, writes / profiles.seconds_apart)
    return found if found.reads + found.writes else None


def _asked(profile: Profile, receiver: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for stack, values in _stacks(profile):
        site = blamed(stack)
        calls = list(library_calls(stack))
        if site and _receiver(site.function) == receiver and _is_rwmutex(calls):
            found[next(call for call in calls if call in (READ_LOCK, WRITE_LOCK, MUTEX_LOCK))] += values[0]
    return found


def _is_rwmutex(calls: Iterable[str]) -> bool:
    return any(call in (READ_LOCK, WRITE_LOCK) for call in calls)


def _receiver(function: str) -> str:
    """``main.(*stock)`` of its methods, closures in them too; "" for a plain function."""
    before, found, _ = function.partition(").")
    return before + ")" if found else ""
