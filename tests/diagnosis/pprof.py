"""Profiles made by hand, as bytes of pprof's protobuf, for the cases that nobody has to record."""

from collections.abc import Sequence

HEAP = (("alloc_objects", "count"), ("alloc_space", "bytes"), ("inuse_objects", "count"), ("inuse_space", "bytes"))
CPU = (("samples", "count"), ("cpu", "nanoseconds"))
CONTENTION = (("contentions", "count"), ("delay", "nanoseconds"))
MIB = 1 << 20

Row = tuple[Sequence[str], Sequence[int], int]  # calls (innermost first), values, size of an object


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def profile(types: Sequence[tuple[str, str]], rows: Sequence[Row], period: int = 1, duration_s: float = 0) -> bytes:
    """A profile of ``rows``. A call is ``main.work``, ``main.work:12`` or ``gogo@runtime/asm.s``.

    Where none is given, the file is that of the package.
    """
    strings: dict[str, int] = {"": 0}
    places: dict[str, int] = {}

    def text(word: str) -> int:
        return strings.setdefault(word, len(strings))

    def place(call: str) -> int:
        return places.setdefault(call, len(places) + 1)

    body = b"".join(field(1, field(1, text(kind)) + field(2, text(unit))) for kind, unit in types)
    for calls, values, size in rows:
        sample = field(1, b"".join(varint(place(call)) for call in calls))
        sample += field(2, b"".join(map(varint, values)))
        body += field(2, sample + (field(3, field(1, text("bytes")) + field(3, size)) if size else b""))
    for call, number in places.items():
        name, _, line = call.partition(":")
        name, _, file = name.partition("@")
        body += field(4, field(1, number) + field(4, field(1, number) + field(2, int(line or 1))))
        body += field(5, field(1, number) + field(2, text(name)) + field(4, text(file or _file(name))))
    body += field(10, int(duration_s * 1e9)) + field(12, period)
    return body + b"".join(field(6, word.encode()) for word in strings)


def _file(function: str) -> str:
    """``shop/main.go`` for package main, ``net/http/file.go`` for the standard library."""
    package = function.partition(".(")[0].rpartition(".")[0] if ".(" not in function else function.partition(".(")[0]
    return "shop/main.go" if package == "main" else f"{package}/file.go"
