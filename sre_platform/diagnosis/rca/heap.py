"""Two heap profiles of one process: which of the owner's lines hold what, and what came since the first look.

A heap profile is a sample: one allocation in ``period`` bytes is recorded and then scaled up (runtime/mprof.go,
``scaleHeapSample`` of runtime/pprof). How sure a number is follows from how many were recorded, so both are kept.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import exp

from sre_platform.diagnosis.domain import Site
from sre_platform.diagnosis.parsers.profile import Profile, Sample
from sre_platform.diagnosis.rca.stacks import Profiles, blamed, frames, library_calls

SIZE_LABEL = "bytes"  # of each object: runtime/pprof keeps allocations of one stack apart by their size
TYPES = ("alloc_objects", "alloc_space", "inuse_objects", "inuse_space")


@dataclass(frozen=True)
class Held:
    """What one line of the owner's allocated ever (``alloc``) and what of it is alive (``inuse``): objects, bytes.

    ``size`` is that of each object in bytes, 0 when there are several. ``recorded`` is how many of the allocated
    objects the profile really saw, an estimate. ``calls`` are the functions of the standard library, below the line,
    that allocated. ``site`` is None for what no line of the owner's asked for.
    """

    site: Site | None
    size: int = 0
    calls: frozenset[str] = frozenset()
    alloc_objects: int = 0
    alloc_space: int = 0
    inuse_objects: int = 0
    inuse_space: int = 0
    recorded: float = 0.0

    @property
    def object_bytes(self) -> float:
        """The mean size of the live objects."""
        return self.inuse_space / self.inuse_objects if self.inuse_objects > 0 else 0.0

    def plus(self, other: "Held", sign: int = 1) -> "Held":
        return Held(
            self.site,
            self.size if self.size == other.size else 0,
            self.calls | other.calls,
            self.alloc_objects + sign * other.alloc_objects,
            self.alloc_space + sign * other.alloc_space,
            self.inuse_objects + sign * other.inuse_objects,
            self.inuse_space + sign * other.inuse_space,
            self.recorded + sign * other.recorded,
        )


@dataclass(frozen=True)
class Change:
    """One site at the later look, and what became more (or, negative, less) of it since the earlier one."""

    now: Held
    since: Held


@dataclass(frozen=True)
class Heap:
    """The sites of two looks ``seconds_apart``, and all of the heap."""

    sites: tuple[Change, ...]
    total: Change
    seconds_apart: float


def heap(profiles: Profiles, by_size: bool = False) -> Heap | None:
    """The heap of ``go_profiles`` by site, or by site and size of object; None without two profiles and their distance.

    None also when nothing was allocated between the two: profiles follow the garbage collector, and when it has not
    run there is nothing to compare.
    """
    pair = profiles.pair("heap", *TYPES)
    if pair is None or not profiles.seconds_apart:
        return None
    before, after = (list(map(_held(profile), profile.samples)) for profile in pair)
    everything = _change(_sum(after), _sum(before))
    if everything.since.alloc_objects <= 0:
        return None
    old, new = (_grouped(samples, by_size) for samples in (before, after))
    sites = (_change(held, old.get(key, Held(held.site, held.size))) for key, held in new.items() if held.site)
    return Heap(tuple(sorted(sites, key=lambda site: -site.now.inuse_space)), everything, profiles.seconds_apart)


def _change(now: Held, before: Held) -> Change:
    return Change(now, now.plus(before, -1))


def _held(profile: Profile) -> Callable[[Sample], Held]:
    rate = max(1, profile.period)

    def held(sample: Sample) -> Held:
        stack = frames(sample)
        objects, space, live, live_space = sample.values
        size = max(0.0, space / objects) if objects else 0.0
        recorded = objects * (1.0 - exp(-size / rate))
        number = next((label.number for label in sample.labels if label.key == SIZE_LABEL), None)
        return Held(
            blamed(stack), number or 0, frozenset(library_calls(stack)), objects, space, live, live_space, recorded
        )

    return held


def _sum(samples: Iterable[Held]) -> Held:
    total = Held(None)
    for held in samples:
        total = total.plus(replace(held, calls=frozenset()))
    return total


def _grouped(samples: Iterable[Held], by_size: bool) -> dict[tuple[Site | None, int], Held]:
    found: dict[tuple[Site | None, int], Held] = {}
    for held in samples:
        key = (held.site, held.size if by_size else 0)
        found[key] = found[key].plus(held) if key in found else held
    return found
