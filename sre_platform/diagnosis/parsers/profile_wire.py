"""The outer layers of a pprof profile: gzip around it, and protobuf's wire format in it, both with bounds.

The wire format is that of protobuf's encoding guide, read as strictly as ``profile/proto.go`` of google/pprof reads it.
Every byte is looked at a fixed number of times.
"""

import zlib
from collections.abc import Iterator

from sre_platform.kernel.errors import Malformed

SIZE_LIMIT = 256 << 20  # bytes, not compressed; 470,000 goroutines with labels of their own are 30 MB
# Wire fields, packed numbers and frames. 470,000 goroutines with labels of their own are 4 million.
FIELD_LIMIT = 8_000_000

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_GZIP = b"\x1f\x8b"
_MASK = (1 << 64) - 1
_TOO_BIG = f"The profile is larger than {SIZE_LIMIT >> 20} MiB."
_TOO_MANY = f"The profile has more than {FIELD_LIMIT:,} fields."
_CUT = "The profile ends in the middle of a field, it was cut or damaged on the way."


def unpacked(data: bytes) -> bytes:
    """The bytes of ``profile.proto``, gunzipped when they are gzip. Raises Malformed when they are damaged or too many.

    A gzip member says at its end how large it is: what says too much, or turns out larger than it said, is not
    expanded further than that.
    """
    if not data.startswith(_GZIP):
        if len(data) > SIZE_LIMIT:
            raise Malformed(_TOO_BIG)
        return data
    claimed = int.from_bytes(data[-4:], "little")
    if claimed > SIZE_LIMIT:
        raise Malformed(f"{_TOO_BIG[:-1]}, or there is more behind its gzip data.")
    return _member(data, claimed)


def _member(data: bytes, claimed: int) -> bytes:
    inflate = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        found = inflate.decompress(data, claimed + 1)
    except zlib.error as error:
        raise Malformed(f"The profile's gzip data is damaged: {error}.") from error
    if len(found) > claimed:
        raise Malformed(
            "The profile's gzip data holds more than it says at its end: it was cut or several were joined."
        )
    if not inflate.eof:
        raise Malformed("The profile's gzip data ends too early, it was cut on the way.")
    if inflate.unused_data:
        raise Malformed("Behind the profile's gzip data there is more. Give one profile at a time.")
    return found


class Reader:
    """Splits messages into fields and counts them, so that one profile cannot hold more than FIELD_LIMIT."""

    def __init__(self) -> None:
        self.left = FIELD_LIMIT

    def fields(self, data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
        """Number, wire type, number value and bytes value of each field of a message; only one value counts."""
        at, end = 0, len(data)
        while at < end:
            self.left -= 1
            if self.left < 0:
                raise Malformed(_TOO_MANY)
            tag, at = (data[at], at + 1) if data[at] < 0x80 else _varint(data, at)
            wire = tag & 7
            if wire == VARINT:
                value, at = _varint(data, at)
                yield tag >> 3, wire, value, b""
            else:
                begin, at = _span(data, at, wire)
                yield tag >> 3, wire, 0, data[begin:at]

    def scalars(self, data: bytes, last: int) -> list[int]:
        """The numbers of a message that has only numbers in its fields 1 to ``last``; [0] is not used."""
        found = [0] * (last + 1)
        for number, wire, value, _ in self.fields(data):
            if 0 < number <= last:
                expect(wire, VARINT)
                found[number] = value
        return found

    def integers(self, wire: int, value: int, data: bytes) -> list[int]:
        """The numbers of one field of repeated numbers, packed or not."""
        if wire != BYTES:
            expect(wire, VARINT)
            return [value]
        found = list(data) if data.isascii() else _varints(data)
        self.count(len(found))
        return found

    def count(self, more: int) -> None:
        """Raises Malformed when there is no room for so many more."""
        self.left -= more
        if self.left < 0:
            raise Malformed(_TOO_MANY)


def expect(wire: int, wanted: int) -> None:
    """Raises Malformed when a field that is known has another wire type than it should."""
    if wire != wanted:
        raise Malformed("This is not a pprof profile: a field of it has the wrong type.")


def signed(value: int) -> int:
    """The int64 that a varint of 64 bits stands for."""
    return value - (1 << 64) if value >> 63 else value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at ``at``, and where the next byte is. Ten bytes at most, and bits above the 64th are lost."""
    try:
        byte = data[at]
        if byte < 0x80:
            return byte, at + 1
        value, shift = byte & 0x7F, 7
        while True:
            at += 1
            byte = data[at]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & _MASK, at + 1
            shift += 7
            if shift > 63:
                raise Malformed("This is not a pprof profile: a number in it has more than ten bytes.")
    except IndexError:
        raise Malformed(_CUT) from None


def _varints(data: bytes) -> list[int]:
    found: list[int] = []
    value = shift = 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            found.append(value & _MASK)
            value = shift = 0
        else:
            shift += 7
            if shift > 63:
                raise Malformed("This is not a pprof profile: a number in it has more than ten bytes.")
    if shift:
        raise Malformed(_CUT)
    return found


def _span(data: bytes, at: int, wire: int) -> tuple[int, int]:
    """Where the bytes of a field begin and end."""
    if wire == BYTES:
        size, at = _varint(data, at)
    elif wire in (FIXED64, FIXED32):
        size = 8 if wire == FIXED64 else 4
    else:
        raise Malformed("This is not a pprof profile: a field of it has a type that protobuf does not use.")
    if size > len(data) - at:
        raise Malformed(_CUT)
    return at, at + size
