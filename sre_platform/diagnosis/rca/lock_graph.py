"""Who waits for whose lock: holders found by address, by the shape of the stack, or not at all.

A waiter shows its lock's address (``lockSlow(0xc000)``; an RWMutex shows only the object that its caller is a method
of). A lock lies inside the object it guards, so a goroutine that was called with an address shortly before the lock's
has that object in hand, and the lock with it if it is past the call that takes it.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from sre_platform.diagnosis.parsers.goroutine_calls import Call, calls
from sre_platform.diagnosis.parsers.goroutines import Bucket, Dump, Frame, Goroutine
from sre_platform.diagnosis.rca.code import is_standard_library, package_of, receiver_of

OBJECT_SIZE = 4096  # bytes: how far behind the start of its object a lock is looked for (goroutines.md, 3)
LOCK_STATES = frozenset({"sync.Mutex.Lock", "sync.RWMutex.Lock", "sync.RWMutex.RLock", "semacquire"})
LOCK_PACKAGES = frozenset({"sync", "internal/sync", "runtime"})
LOCK_SLOW = ("internal/sync.(*Mutex).lockSlow", "sync.(*Mutex).lockSlow")
READ, WRITE, ONCE = "sync.(*RWMutex).RLock", "sync.(*RWMutex).Lock", "sync.(*Once).doSlow"


@dataclass(frozen=True, eq=False)
class Person:
    """A goroutine with its calls; ``own`` are those outside of the lock packages' leading ones."""

    bucket: Bucket
    goroutine: Goroutine
    calls: Sequence[Call]

    @property
    def waits_for_lock(self) -> bool:
        return self.bucket.state in LOCK_STATES

    @cached_property
    def lock(self) -> int | None:
        """The address of the lock that it waits for."""
        slow = (call for call in self.calls if call.function in LOCK_SLOW)
        return next((call.pointers[0] for call in slow if call.pointers), None)

    @cached_property
    def own(self) -> Sequence[Call]:
        for index, call in enumerate(self.calls):
            if package_of(call.function) not in LOCK_PACKAGES:
                return self.calls[index:]
        return ()

    @cached_property
    def caller(self) -> Call | None:
        """The call that takes the lock."""
        return self.own[0] if self.own else None

    @cached_property
    def object(self) -> int | None:
        """The object whose method takes the lock."""
        return next(iter(self.caller.pointers), None) if self.caller else None

    def takes(self, *functions: str) -> bool:
        """Whether it waits in one of these functions of the lock packages."""
        return any(call.function in functions for call in self.calls[: len(self.calls) - len(self.own)])

    @cached_property
    def places(self) -> frozenset[tuple[str, int]]:
        return frozenset((call.function, call.line) for call in self.calls)


Group = list[Person]


class LockGraph:
    """The lock waiters of a dump, by lock, and the addresses that every goroutine has in hand. O(n log n)."""

    def __init__(self, dump: Dump) -> None:
        self.people: list[Person] = []
        self.groups: dict[Hashable, Group] = {}
        self._pointers: list[tuple[int, int, Call]] = []
        self._home: dict[Person, Group] = {}
        self._runners: dict[tuple[str, int], list[Person]] = defaultdict(list)
        if not any(bucket.state in LOCK_STATES for bucket in dump.buckets):
            return
        self.people = [Person(b, g, calls(g)) for b in dump.buckets for g in b.samples]
        self.groups = _by_lock(person for person in self.people if person.waits_for_lock)
        self._home = {person: group for group in self.groups.values() for person in group}
        for person in self.people:
            for start in _runs_once(person.own):
                self._runners[start].append(person)
        self._pointers = sorted(self._addresses(), key=lambda known: known[:2])

    def holders(self, group: Group) -> list[Person]:
        """The goroutines outside of ``group`` that have its object in hand, further on than where it is locked."""
        found = dict.fromkeys(
            self.people[index]
            for person in group
            for index, call in self._near(person)
            if self.people[index] not in group and (call.function, call.line) not in person.places
        )
        return list(found)

    def circles(self) -> list[list[Group]]:
        """Groups of which each has a lock's object of the one before in hand, and the first has the last one's."""
        following = {id(g): [self._home[p] for p in self._waiting_holders(g)] for g in self.groups.values()}
        inner = _on_the_way(following)
        found: list[list[Group]] = []
        seen: set[int] = set()
        for group in self.groups.values():
            looked_at = id(group) in inner and id(group) not in seen
            circle = _way_back(group, lambda g: inner[id(g)]) if looked_at else []
            if circle and seen.isdisjoint(map(id, circle)):
                found.append(circle)
                seen |= {id(member) for member in circle}
        return found

    def _waiting_holders(self, group: Group) -> list[Person]:
        """Waiters for other locks with this one's object in hand; none if somebody has it who does not wait."""
        near = [self.people[index] for person in group if person.lock for index, _ in self._near(person)]
        others = [person for person in near if person not in group and not person.takes(ONCE)]
        return others if all(person.waits_for_lock and person.lock for person in others) else []

    def group_of(self, person: Person) -> Group:
        """All that wait for the lock that ``person`` waits for."""
        return self._home[person]

    def inside_once(self, group: Group) -> list[Person]:
        """Those who run the function that ``group`` waits to be run, told by the line that calls Do."""
        starts = {(p.caller.function, p.caller.line) for p in group if p.caller and p.takes(ONCE)}
        return list(dict.fromkeys(p for start in sorted(starts) for p in self._runners.get(start, ())))

    def _addresses(self) -> Iterator[tuple[int, int, Call]]:
        for index, person in enumerate(self.people):
            for call in person.own:
                if not is_standard_library(Frame(call.function, call.file, call.line)):
                    yield from ((pointer, index, call) for pointer in call.pointers)

    def _near(self, person: Person) -> Iterator[tuple[int, Call]]:
        """Who has an address in hand from which the lock of ``person`` is within reach."""
        lock, thing = person.lock, person.object
        if lock is not None:
            first, last = lock - OBJECT_SIZE + 1, lock
        elif thing is not None:
            first = last = thing
        else:
            return
        start = bisect_left(self._pointers, first, key=lambda known: known[0])
        end = bisect_right(self._pointers, last, key=lambda known: known[0])
        yield from ((index, call) for _, index, call in self._pointers[start:end])


def _on_the_way(following: dict[int, list[Group]]) -> dict[int, list[Group]]:
    """``following`` without the groups from which all ways end: no circle holds them. Linear."""
    before: dict[int, list[int]] = defaultdict(list)
    for group, others in following.items():
        for other in {id(other) for other in others}:
            before[other].append(group)
    leading = {group: len({id(other) for other in others}) for group, others in following.items()}
    ends = [group for group, ways in leading.items() if not ways]
    while ends:
        for group in before[end := ends.pop()]:
            leading[group] -= 1
            if not leading[group]:
                ends.append(group)
        del leading[end]
    return {group: [other for other in following[group] if id(other) in leading] for group in leading}


def _way_back(start: Group, following: Callable[[Group], Iterable[Group]]) -> list[Group]:
    """The shortest way from ``start`` to itself, or nothing."""
    ways: deque[list[Group]] = deque([[start]])
    seen: set[int] = set()
    while ways:
        way = ways.popleft()
        for group in following(way[-1]):
            if group is start and len(way) > 1:
                return way
            if id(group) not in seen and group is not start:
                seen.add(id(group))
                ways.append([*way, group])
    return []


def _by_lock(waiters: Iterable[Person]) -> dict[Hashable, Group]:
    """By address; an RWMutex, whose address is not shown, by the type whose method takes it, or by that function."""
    groups: dict[Hashable, Group] = defaultdict(list)
    for person in waiters:
        caller = person.caller.function if person.caller else ""
        shared = person.takes(READ, WRITE)
        groups[(receiver_of(caller) or caller) if shared or person.lock is None else person.lock].append(person)
    return groups


def _runs_once(own: Sequence[Call]) -> Iterator[tuple[str, int]]:
    """The lines that called Do of the Once functions that are being run on this stack."""
    for index, call in enumerate(own):
        if call.function == ONCE:
            behind = next((c for c in own[index:] if package_of(c.function) not in LOCK_PACKAGES), None)
            if behind:
                yield behind.function, behind.line


def runs_itself(person: Person) -> bool:
    """Whether it waits for a Once whose function it is itself inside of."""
    return person.takes(ONCE) and any(call.function == ONCE for call in person.own)


def holds_itself(person: Person) -> bool:
    """Whether an outer call of its own has the lock's object in hand."""
    outer = person.own[1:]
    pointers = [pointer for call in outer for pointer in call.pointers]
    if person.lock is not None:
        return any(0 <= person.lock - pointer < OBJECT_SIZE for pointer in pointers)
    return person.object is not None and person.object in pointers


def same_type_outside(person: Person) -> bool:
    """Whether an outer call of its own is a method of the type whose method takes the lock."""
    type_ = receiver_of(person.caller.function) if person.caller else ""
    return bool(type_) and any(receiver_of(call.function) == type_ for call in person.own[1:])
