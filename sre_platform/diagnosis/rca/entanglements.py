"""From who waits for whose lock to the mistake: a cycle, a lock held over something slow, one that is never released.

The order of the questions is the order of how sure their answers are: addresses first, then the shape of the stacks,
then what stands beside it, and "nobody holds it" last.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from sre_platform.diagnosis.parsers.goroutines import CHAN_OPERATION, Bucket, Dump
from sre_platform.diagnosis.rca.code import is_library, is_standard_library, package_of, receiver_of
from sre_platform.diagnosis.rca.lock_graph import (
    LOCK_SLOW,
    READ,
    WRITE,
    Group,
    LockGraph,
    Person,
    holds_itself,
    runs_itself,
    same_type_outside,
)

CHANNEL_STATES = ("chan send", "chan receive", "select", CHAN_OPERATION)
SLOW_STATES = ("IO wait", "sleep", "syscall")
SLOW_PACKAGES = frozenset({"net", "net/http", "database/sql", "os/exec", "crypto/tls", "os"})
BUSY_STATES = ("running", "runnable", "")
MAIN_GOROUTINE = 1
FORGOTTEN, DOUBLED, ABBA = "mutex_missing_unlock", "mutex_double_lock", "lock_order_abba"
WAITING_PARENTS = ("sync.WaitGroup.Wait", "chan receive", "select", CHAN_OPERATION)


@dataclass(frozen=True)
class Entanglement:
    """Goroutines that a lock keeps from going on. ``certain`` when addresses say so.

    ``roots`` are to blame, the likeliest first; ``victims`` wait for them and would go on by themselves.
    """

    cause: str
    roots: tuple[Bucket, ...]
    victims: tuple[Bucket, ...]
    certain: bool
    because: str

    @property
    def named(self) -> bool:
        """Whether it was seen what the mistake is; that a lock has no holder says only what it is not."""
        return self.cause != FORGOTTEN


def entanglements(dump: Dump, suspicious: Collection[object]) -> list[Entanglement]:
    """What the locks of ``dump`` tell, one for each chain of waiters. ``suspicious`` are keys of suspected buckets."""
    graph = LockGraph(dump)
    stuck = _Stuck(graph, suspicious)
    found: list[Entanglement] = []
    told: set[int] = set()
    circles = [(circle, True) for circle in graph.circles()]
    for circle, certain in circles + [(circle, False) for circle in _orphaned_circles(graph)]:
        if told.isdisjoint(map(id, circle)):
            found.append(_around(circle, certain))
            told |= {id(group) for group in circle}
    chains = [_chain(graph, group) for group in graph.groups.values() if id(group) not in told]
    for chain in sorted(chains, key=lambda chain: (-len(chain.groups), -len(chain.groups[0]))):
        if told.isdisjoint(map(id, chain.groups)):
            found.extend(_judged(chain, stuck))
        told |= {id(group) for group in chain.groups}
    return found


def _around(circle: Sequence[Group], certain: bool = True) -> Entanglement:
    people = [group[0] for group in circle]
    roots = tuple(dict.fromkeys(person.bucket for person in people))
    others = dict.fromkeys(p.bucket for group in circle for p in group if p.bucket not in roots)
    seen = "each has in hand what the next one waits for" if certain else "started together, and nobody else holds them"
    why = f"{len(people)} goroutines wait for each other's locks: {seen}."
    return Entanglement(ABBA, roots, tuple(others), certain, why)


def _orphaned_circles(graph: LockGraph) -> Iterator[list[Group]]:
    """Two or three goroutines that were started together, each waiting for another lock that nobody holds."""
    families: dict[tuple[int | None, str], list[Group]] = defaultdict(list)
    for group in graph.groups.values():
        person = group[0]
        if len(group) == 1 and not _of_library(person.bucket) and not graph.holders(group) and not holds_itself(person):
            creator = person.bucket.created_by
            families[person.goroutine.parent, creator.function if creator else ""].append(group)
    for (parent, _), family in families.items():
        known = {group[0].lock or group[0].object for group in family} - {None}
        if parent is not None and len(family) in (2, 3) and len(known) == len(family):
            yield family


@dataclass(frozen=True)
class _Chain:
    """Groups, each waiting for a lock that somebody in the next one holds; ``end`` holds the last one's, if known."""

    groups: Sequence[Group]
    end: Person | None
    closed: bool


def _chain(graph: LockGraph, group: Group) -> _Chain:
    groups = [group]
    while True:
        holders = graph.inside_once(groups[-1]) or graph.holders(groups[-1])
        holder = next((p for p in holders if p.waits_for_lock), None) if holders else None
        other = next((p for p in holders if not p.waits_for_lock), None)
        if other is not None or holder is None:
            return _Chain(groups, other, False)
        following = graph.group_of(holder)
        if any(following is known for known in groups):
            return _Chain(groups, None, True)
        groups.append(following)


def _judged(chain: _Chain, stuck: "_Stuck") -> Iterator[Entanglement]:
    if chain.end and chain.end.bucket.state in BUSY_STATES:
        return  # it will let go: that is contention, and the mutex profile's to judge
    last = chain.groups[-1]
    before = [person for group in chain.groups[:-1] for person in group]
    mistake = (
        _reentered(last)
        or _recursive([person for group in chain.groups for person in group])
        or _writers(last)
        or (_cycle(chain) if chain.closed else None)
        or (_held_by(chain.end, last, True) if chain.end else None)
        or stuck.fellow(last)
        or _doubled(last)
        or (_cycle(chain) if before else None)
        or stuck.beside(last)
        or _doubled_by_type(last)
        or _forgotten(last)
    )
    if mistake:
        roots = set(map(id, mistake.roots))
        victims = [p.bucket for p in (*before, *last) if id(p.bucket) not in roots]
        yield Entanglement(
            mistake.cause, mistake.roots, tuple(dict.fromkeys(victims)), mistake.certain, mistake.because
        )


def _mistake(cause: str, roots: Sequence[Person], certain: bool, because: str) -> Entanglement:
    return Entanglement(cause, tuple(dict.fromkeys(p.bucket for p in roots)), (), certain, because)


def _reentered(group: Group) -> Entanglement | None:
    inside = [person for person in group if runs_itself(person)]
    why = "It waits for a sync.Once whose function it is itself running."
    return _mistake("once_reentered", inside, True, why) if inside else None


def _cycle(chain: _Chain) -> Entanglement:
    """Each holds the lock that the other wants; of a chain that is not seen to close, the last link is inferred."""
    people = [group[0] for group in chain.groups]
    seen = "each holds the lock that the next one waits for"
    why = (
        f"{len(people)} goroutines wait for each other: {seen}{'' if chain.closed else ' (the last link is inferred)'}."
    )
    return _mistake(ABBA, people, True, why)


def _held_by(holder: Person, group: Group, certain: bool) -> Entanglement | None:
    """The holder itself waits for something that is no lock; one that runs will let go."""
    bucket = holder.bucket
    cause = _cause_of_holder(bucket)
    how = "has the lock's object in hand (by address)" if certain else "is the only other one that is stuck there"
    why = f"Goroutine {holder.goroutine.id}, in {bucket.state}, {how}; {len(group)} or more wait for the lock."
    return _mistake(cause, [holder], certain, why) if cause else None


def _cause_of_holder(bucket: Bucket) -> str:
    library = {package_of(frame.function) for frame in bucket.frames}
    if bucket.state in SLOW_STATES or (bucket.state == "select" and library & SLOW_PACKAGES):
        return "mutex_held_across_io"
    if bucket.state in CHANNEL_STATES:
        return "chan_lock_cycle"
    return {"sync.WaitGroup.Wait": "waitgroup_never_done", "sync.Cond.Wait": "cond_never_signaled"}.get(
        bucket.state, ""
    )


def _recursive(group: Group) -> Entanglement | None:
    """A reader that reads already waits behind a writer that waits for the first read to end."""
    writers = [person for person in group if person.takes(WRITE)]
    wanted = {writer.object for writer in writers} - {None}
    sure = [p for p in group if p.takes(READ) and (holds_itself(p) or not wanted.isdisjoint(_outer_pointers(p)))]
    readers = sure or [p for p in group if p.takes(READ) and same_type_outside(p)]
    if not writers or not readers:
        return None
    certain = bool(sure)
    why = "A reader that holds the RWMutex already asks for it again, behind a writer who waits for the reader."
    return _mistake("rwmutex_recursive_rlock", [*readers, *writers], certain, why)


def _outer_pointers(person: Person) -> set[int]:
    return {pointer for call in person.own[1:] for pointer in call.pointers}


def _writers(group: Group) -> Entanglement | None:
    """Writers that are past the queue of their RWMutex: at most one for each, so these wait for different ones."""
    first = {p.bucket: p for p in group if p.takes(WRITE) and not p.takes(*LOCK_SLOW)}
    why = f"{len(first)} writers are next at their RWMutexes, which are therefore different ones: each holds another's."
    return _mistake(ABBA, [*first.values()], False, why) if len(first) > 1 else None


def _doubled(group: Group) -> Entanglement | None:
    doubled = [person for person in group if holds_itself(person)]
    why = "An outer call on the same stack has the lock's object in hand: it waits for a lock that it holds itself."
    return _mistake(DOUBLED, doubled, True, why) if doubled else None


def _doubled_by_type(group: Group) -> Entanglement | None:
    doubled = [person for person in group if same_type_outside(person)] if len(group) == 1 else []
    why = "An outer call on the same stack is a method of the same type: it may hold the lock that it waits for."
    return _mistake(DOUBLED, doubled, False, why) if doubled else None


class _Stuck:
    """Those who are stuck in something else than a lock, found by what relates them to its waiters."""

    def __init__(self, graph: LockGraph, suspicious: Collection[object]) -> None:
        self._by_call: dict[str, list[Person]] = defaultdict(list)
        self._by_parent: dict[int, list[Person]] = defaultdict(list)
        self._suspected: set[Person] = set()
        causes = {id(person.bucket): person.bucket for person in graph.people if not person.waits_for_lock}
        stuck = {key for key, bucket in causes.items() if _cause_of_holder(bucket)}
        suspected = {key for key in stuck if causes[key].key in suspicious}
        for person in graph.people:
            if id(person.bucket) in stuck:
                self._enter(person, id(person.bucket) in suspected)

    def _enter(self, person: Person, suspected: bool) -> None:
        for name in {call.function for call in person.own} | {receiver_of(call.function) for call in person.own}:
            self._by_call[name].append(person)
        if suspected:
            self._suspected.add(person)
        if person.goroutine.parent and person.goroutine.parent != MAIN_GOROUTINE and not _of_library(person.bucket):
            self._by_parent[person.goroutine.parent].append(person)

    def fellow(self, group: Group) -> Entanglement | None:
        """Somebody stuck in a channel operation, in a method of the type that takes the lock."""
        types = {receiver_of(person.caller.function) for person in group if person.caller} - {""}
        fellows = (p for name in sorted(types) for p in self._by_call.get(name, ()))
        family = {p.goroutine.parent for p in group} | {p.goroutine.id for p in group}
        related = [p for p in self._likely(fellows, family) if p.bucket.state in ("chan send", "chan receive")]
        return _held_by(related[0], group, False) if related else None

    def beside(self, group: Group) -> Entanglement | None:
        """Somebody stuck in the function, or in a method of the type, that takes the lock; else a stuck sibling."""
        family = {p.goroutine.parent for p in group} | {p.goroutine.id for p in group}
        callers = {person.caller.function for person in group if person.caller}
        types = {receiver_of(function) for function in callers} - {""}
        parents = {p.goroutine.parent for p in group if p.goroutine.parent and not _of_library(p.bucket)}
        related = [p for name in sorted(callers) for p in self._by_call.get(name, ())]
        related += self._likely((p for name in sorted(types) for p in self._by_call.get(name, ())), family)
        related += self._likely((p for parent in sorted(parents) for p in self._by_parent.get(parent, ())), family)
        return _held_by(related[0], group, False) if related else None

    def _likely(self, people: Iterable[Person], family: Collection[int | None]) -> list[Person]:
        return [p for p in people if p in self._suspected and not _is_parent(p, family)]


def _of_library(bucket: Bucket) -> bool:
    """Whether a library started it: all requests of a server are siblings, and strangers all the same."""
    return bucket.created_by is None or is_standard_library(bucket.created_by) or is_library(bucket.created_by)


def _is_parent(person: Person, family: Collection[int | None]) -> bool:
    return person.bucket.state in WAITING_PARENTS and person.goroutine.id in family


def _forgotten(group: Group) -> Entanglement:
    """Nobody holds it: whoever took it has returned without giving it back."""
    writers = [person for person in group if person.bucket.state == "sync.RWMutex.Lock"]
    why = "No goroutine in the dump holds the lock: whoever took it left without unlocking."
    return _mistake(FORGOTTEN, writers or group, False, why)
