"""Adds profiles up: which stacks, addresses, binaries and functions of several profiles are the same.

Follows ``profile.Merge`` of google/pprof. Ids are given anew, in the order in which samples first need them.
O(samples + frames of distinct stacks).
"""

from collections.abc import Hashable
from dataclasses import dataclass, replace

from sre_platform.diagnosis.parsers.profile_model import Function, Label, Line, Location, Mapping, Profile, Sample
from sre_platform.diagnosis.parsers.profile_units import wrapped

PAGE = 0x1000  # sizes of mappings are compared in whole pages
_MASK = (1 << 64) - 1


@dataclass(slots=True)
class _Entry:
    """A sample that grows."""

    stack: tuple[Location, ...]
    values: list[int]
    labels: tuple[Label, ...]


class Merge:
    """Takes one profile after the other; ``result`` are the samples of all, added up, and what they need."""

    def __init__(self) -> None:
        self.samples: dict[Hashable, _Entry] = {}
        self.locations: dict[Hashable, Location] = {}
        self.functions: dict[Hashable, Function] = {}
        self.mappings: dict[Hashable, Mapping] = {}

    def add(self, profile: Profile) -> None:
        """Adds what ``profile`` measured; a sample of nothing but zeros is passed over."""
        source = _Source(self, profile)
        for sample in profile.samples:
            if any(sample.values):
                self._add(source.stack(sample.locations), sample)

    def _add(self, stack: tuple[Location, ...], sample: Sample) -> None:
        key = tuple(location.id for location in stack), _labels_key(sample.labels)
        known = self.samples.get(key)
        if known is None:
            self.samples[key] = _Entry(stack, list(sample.values), sample.labels)
            return
        for index, value in enumerate(sample.values):
            known.values[index] = wrapped(known.values[index] + value)

    def result(self, header: Profile) -> Profile:
        """``header`` with what was added in place of its own samples."""
        return replace(
            header,
            samples=tuple(Sample(entry.stack, tuple(entry.values), entry.labels) for entry in self.samples.values()),
            mappings=tuple(self.mappings.values()),
            locations=tuple(self.locations.values()),
            functions=tuple(self.functions.values()),
        )


class _Source:
    """What the parts of one profile are in the merged one, each looked up once."""

    def __init__(self, merge: Merge, profile: Profile) -> None:
        self.merge = merge
        # pprof gives a profile without binaries one without a name, so that it counts as the first.
        self.no_mapping = None if profile.mappings else Mapping(1)
        self.stacks: dict[int, tuple[Location, ...]] = {}
        self.locations: dict[int, Location] = {}
        self.functions: dict[int, Function] = {}
        self.mappings: dict[int, tuple[Mapping, int]] = {}
        if not merge.mappings:
            self._mapping(profile.mappings[0] if profile.mappings else self.no_mapping)

    def stack(self, stack: tuple[Location, ...]) -> tuple[Location, ...]:
        found = self.stacks.get(id(stack))
        if found is None:
            found = self.stacks[id(stack)] = tuple([self._location(location) for location in stack])
        return found

    def _location(self, source: Location) -> Location:
        if (known := self.locations.get(source.id)) is not None:
            return known
        mapping, moved = self._mapping(source.mapping or self.no_mapping)
        lines = tuple(Line(self._function(line.function), line.line, line.column) for line in source.lines)
        found = Location(
            len(self.merge.locations) + 1, mapping, (source.address + moved) & _MASK, lines, source.is_folded
        )
        found = self.merge.locations.setdefault(_location_key(found), found)
        self.locations[source.id] = found
        return found

    def _mapping(self, source: Mapping | None) -> tuple[Mapping | None, int]:
        """The mapping, and how far its addresses have to be moved, as each process maps a binary elsewhere."""
        if source is None:
            return None, 0
        if source.id not in self.mappings:
            new = replace(source, id=len(self.merge.mappings) + 1)
            found = self.merge.mappings.setdefault(_mapping_key(source), new)
            self.mappings[source.id] = found, found.start - source.start
        return self.mappings[source.id]

    def _function(self, source: Function) -> Function:
        if source.id not in self.functions:
            key = source.start_line, source.name, source.system_name, source.filename
            new = replace(source, id=len(self.merge.functions) + 1)
            self.functions[source.id] = self.merge.functions.setdefault(key, new)
        return self.functions[source.id]


def _location_key(location: Location) -> Hashable:
    """Of the columns only the innermost caller's counts, as in ``Location.key``."""
    lines = tuple((line.function.id, line.line) for line in location.lines)
    column = location.lines[-1].column if location.lines else 0
    mapping = location.mapping
    if mapping is None:
        return location.address, 0, location.is_folded, lines, column
    return (location.address - mapping.start) & _MASK, mapping.id, location.is_folded, lines, column


def _mapping_key(mapping: Mapping) -> Hashable:
    size = (mapping.limit - mapping.start + PAGE - 1) & _MASK
    return size - size % PAGE, mapping.offset, mapping.build_id or mapping.file


def _labels_key(labels: tuple[Label, ...]) -> Hashable:
    """Labels in any order are the same, several values of one key are not."""
    if len(labels) < 2:
        return labels
    return tuple(sorted(labels, key=lambda label: (label.number is not None, label.key)))
