"""Writes a profile as ``profile.proto`` in gzip, so that it opens in ``go tool pprof``."""

import gzip
from collections.abc import Iterable

from sre_platform.diagnosis.parsers.profile_model import Label, Location, Mapping, Profile, Sample, ValueType
from sre_platform.diagnosis.parsers.profile_wire import BYTES, VARINT

_MASK = (1 << 64) - 1


def encode(profile: Profile) -> bytes:
    """The bytes of ``profile``. Equal profiles give equal bytes. O(what is written)."""
    return gzip.compress(_Encoding().profile(profile), 6, mtime=0)


class _Encoding:
    """The table of strings grows while the other parts are written; it comes last."""

    def __init__(self) -> None:
        self.strings = {"": 0}

    def profile(self, profile: Profile) -> bytes:
        parts = [_part(1, self._value_type(kind)) for kind in profile.sample_types]
        parts += [_part(2, self._sample(sample)) for sample in profile.samples]
        parts += [_part(3, self._mapping(mapping)) for mapping in profile.mappings]
        parts += [_part(4, _location(location)) for location in profile.locations]
        for function in profile.functions:
            texts = map(self._text, (function.name, function.system_name, function.filename))
            parts.append(_part(5, _numbers(function.id, *texts, function.start_line)))
        parts += self._header(profile)
        return b"".join([*parts, *(_part(6, text.encode(errors="replace")) for text in self.strings)])

    def _header(self, profile: Profile) -> Iterable[bytes]:
        yield _number(7, self._text(profile.drop_frames))
        yield _number(8, self._text(profile.keep_frames))
        yield _number(9, profile.time_nanos)
        yield _number(10, profile.duration_nanos)
        yield _part(11, self._value_type(profile.period_type))
        yield _number(12, profile.period)
        yield _packed(13, map(self._text, profile.comments))
        yield _number(14, self._text(profile.default_sample_type))
        yield _number(15, self._text(profile.doc_url))

    def _text(self, text: str) -> int:
        return self.strings.setdefault(text, len(self.strings))

    def _value_type(self, value: ValueType) -> bytes:
        return _numbers(self._text(value.type), self._text(value.unit))

    def _sample(self, sample: Sample) -> bytes:
        labels = (_part(3, self._label(label)) for label in sample.labels)
        stack = _packed(1, (location.id for location in sample.locations))
        return b"".join((stack, _packed(2, sample.values), *labels))

    def _label(self, label: Label) -> bytes:
        key, text = self._text(label.key), self._text(label.text)
        return _numbers(key, text, label.number or 0, self._text(label.unit))

    def _mapping(self, mapping: Mapping) -> bytes:
        place = (mapping.id, mapping.start, mapping.limit, mapping.offset)
        has = (mapping.has_functions, mapping.has_filenames, mapping.has_line_numbers, mapping.has_inline_frames)
        return _numbers(*place, self._text(mapping.file), self._text(mapping.build_id), *has)


def _location(location: Location) -> bytes:
    lines = (_part(4, _numbers(line.function.id, line.line, line.column)) for line in location.lines)
    head = _numbers(location.id, location.mapping.id if location.mapping else 0, location.address)
    return b"".join((head, *lines, _number(5, location.is_folded)))


def _numbers(*values: int) -> bytes:
    return b"".join(_number(number, value) for number, value in enumerate(values, 1))


def _number(number: int, value: int) -> bytes:
    return bytes((number << 3 | VARINT,)) + _varint(value) if value else b""


def _packed(number: int, values: Iterable[int]) -> bytes:
    packed = b"".join(map(_varint, values))
    return _part(number, packed) if packed else b""


def _part(number: int, data: bytes) -> bytes:
    return bytes((number << 3 | BYTES,)) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    value &= _MASK
    if value < 0x80:
        return bytes((value,))
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
