"""Reads pprof's ``profile.proto``, what ``/debug/pprof/heap`` and its sisters answer, gzip or not.

The format is google/pprof's ``proto/profile.proto``; what is refused, and what is passed over, follows
``profile.ParseData`` and ``Profile.CheckValid`` there. One pass over the bytes and one over what they mean: O(bytes).
Equal stacks, labels and samples are one object each, so memory follows what differs.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TypeVar

from sre_platform.diagnosis.parsers.profile_model import (
    Function,
    Kind,
    Label,
    Line,
    Location,
    Mapping,
    Profile,
    Sample,
    ValueType,
)
from sre_platform.diagnosis.parsers.profile_wire import BYTES, VARINT, Reader, expect, signed, unpacked
from sre_platform.kernel.errors import Malformed

__all__ = ["Function", "Kind", "Label", "Line", "Location", "Mapping", "Profile", "Sample", "ValueType", "parse"]


def parse(data: bytes) -> Profile:
    """The profile in ``data``.

    Raises Malformed when it is none, was cut or damaged, holds several, is larger than SIZE_LIMIT and FIELD_LIMIT of
    profile_wire allow, or when one part of it names another that is not there.
    """
    message = unpacked(data)
    if not message:
        raise Malformed("The profile is empty.")
    return _Decoding(message).profile()


T = TypeVar("T", Mapping, Function, Location)


class _Decoding:
    """The raw parts of one profile, and how they become values. Parts may come in any order, so strings are last."""

    def __init__(self, message: bytes) -> None:
        self.reader = Reader()
        self.parts: dict[int, list[bytes]] = {number: [] for number in range(1, 7)}
        self.numbers = dict.fromkeys((7, 8, 9, 10, 12, 14, 15), 0)
        self.period_type = b""
        self.comments: list[int] = []
        for number, wire, value, data in self.reader.fields(message):
            self._take(number, wire, value, data)
        self.strings = [data.decode(errors="replace") for data in self.parts[6]]
        if not self.strings or self.strings[0]:
            raise Malformed("This is not a pprof profile: its table of strings does not begin with an empty one.")

    def _take(self, number: int, wire: int, value: int, data: bytes) -> None:
        if number in self.parts:
            expect(wire, BYTES)
            self.parts[number].append(data)
        elif number in self.numbers:
            expect(wire, VARINT)
            if number == 9 and self.numbers[9]:
                raise Malformed("Several profiles are joined in one. Give one profile at a time.")
            self.numbers[number] = signed(value)
        elif number == 11:
            expect(wire, BYTES)
            self.period_type = data
        elif number == 13:
            self.comments += self.reader.integers(wire, value, data)

    def profile(self) -> Profile:
        text, numbers = self._text, self.numbers
        types = tuple(self._value_type(part) for part in self.parts[1])
        mappings = _by_id("mapping", map(self._mapping, self.parts[3]))
        functions = _by_id("function", map(self._function, self.parts[5]))
        place = partial(self._location, mappings, functions)
        locations = _by_id("location", map(place, self.parts[4]))
        return Profile(
            types,
            self._samples(len(types), locations),
            tuple(mappings.values()),
            tuple(locations.values()),
            tuple(functions.values()),
            drop_frames=text(numbers[7]),
            keep_frames=text(numbers[8]),
            time_nanos=numbers[9],
            duration_nanos=numbers[10],
            period_type=self._value_type(self.period_type),
            period=numbers[12],
            comments=tuple(map(text, self.comments)),
            default_sample_type=text(numbers[14]),
            doc_url=text(numbers[15]),
        )

    def _text(self, index: int) -> str:
        if not 0 <= index < len(self.strings):
            raise Malformed(f"The profile names a string {index} that is not there; it has {len(self.strings)}.")
        return self.strings[index]

    def _value_type(self, part: bytes) -> ValueType:
        _, kind, unit = self.reader.scalars(part, 2)
        return ValueType(self._text(kind), self._text(unit))

    def _mapping(self, part: bytes) -> Mapping:
        _, number, start, limit, offset, file, build, *has = self.reader.scalars(part, 10)
        return Mapping(number, start, limit, offset, self._text(file), self._text(build), *map(bool, has))

    def _function(self, part: bytes) -> Function:
        _, number, name, system, file, line = self.reader.scalars(part, 5)
        return Function(number, self._text(name), self._text(system), self._text(file), signed(line))

    def _location(self, mappings: dict[int, Mapping], functions: dict[int, Function], part: bytes) -> Location:
        values = [0] * 6
        lines: list[bytes] = []
        for number, wire, value, data in self.reader.fields(part):
            if number == 4:
                expect(wire, BYTES)
                lines.append(data)
            elif 0 < number < 6:
                expect(wire, VARINT)
                values[number] = value
        _, number, mapping, address, _, folded = values
        places = tuple(self._line(number, functions, line) for line in lines)
        return Location(number, mappings.get(mapping), address, places, bool(folded))

    def _line(self, location: int, functions: dict[int, Function], part: bytes) -> Line:
        _, function, line, column = self.reader.scalars(part, 3)
        if function not in functions:
            raise Malformed(f"Location {location} of the profile names a function {function} that is not there.")
        return Line(functions[function], signed(line), signed(column))

    def _samples(self, width: int, locations: dict[int, Location]) -> tuple[Sample, ...]:
        parts = self.parts[2]
        if parts and not width:
            raise Malformed("The profile has samples, but says nowhere what they count.")
        stacks: dict[bytes, tuple[Location, ...]] = {}
        labels: dict[bytes, Label | None] = {}
        known: dict[bytes, Sample] = {}
        for part in parts:
            if part not in known:
                known[part] = self._sample(part, width, locations, stacks, labels)
        return tuple(known[part] for part in parts)

    def _sample(
        self,
        part: bytes,
        width: int,
        locations: dict[int, Location],
        stacks: dict[bytes, tuple[Location, ...]],
        labels: dict[bytes, Label | None],
    ) -> Sample:
        stack: tuple[Location, ...] = ()
        values: list[int] = []
        notes: list[Label] = []
        for number, wire, value, data in self.reader.fields(part):
            if number == 1:
                found = stacks.get(data) if data else None
                if found is None:
                    found = _stack(self.reader.integers(wire, value, data), locations)
                    if data:
                        stacks[data] = found
                stack = stack + found if stack else found
            elif number == 2:
                values += self.reader.integers(wire, value, data)
            elif number == 3:
                expect(wire, BYTES)
                if data not in labels:
                    labels[data] = self._label(data)
                if (label := labels[data]) is not None:
                    notes.append(label)
        if len(values) != width:
            raise Malformed(f"A sample of the profile has {len(values)} values where {width} are named.")
        return Sample(stack, tuple(map(signed, values)), tuple(notes))

    def _label(self, part: bytes) -> Label | None:
        _, key, text, number, unit = self.reader.scalars(part, 4)
        name = self._text(key)
        if text:
            return Label(name, self._text(text))
        return Label(name, "", signed(number), self._text(unit)) if number or unit else None


def _stack(ids: Sequence[int], locations: dict[int, Location]) -> tuple[Location, ...]:
    try:
        return tuple([locations[number] for number in ids])
    except KeyError as error:
        raise Malformed(f"A sample of the profile names a location {error} that is not there.") from None


def _by_id(what: str, parts: Iterable[T]) -> dict[int, T]:
    found: dict[int, T] = {}
    for part in parts:
        if part.id == 0:
            raise Malformed(f"A {what} of the profile has the id 0, which stands for none.")
        if part.id in found:
            raise Malformed(f"Two of the profile's {what}s have the id {part.id}.")
        found[part.id] = part
    return found
