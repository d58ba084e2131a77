"""Reads what Go's runtime says about its goroutines, and puts goroutines that wait alike into one bucket.

Understood are ``/debug/pprof/goroutine?debug=2`` (also SIGQUIT and panic output), ``goroutine?debug=1``,
``goroutineleak?debug=1`` and both in protobuf, Go 1.5 to 1.27, gzipped or not. Texts are read with plain byte and
string operations, each line looked at a fixed number of times: one made to hurt costs no more than its length. Memory
does not grow with the number of goroutines.
"""

import io
import re
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from sre_platform.diagnosis.parsers.goroutine_counts import records, title
from sre_platform.diagnosis.parsers.goroutine_dump import (
    CHAN_OPERATION,
    Bucket,
    Dump,
    Frame,
    Goroutine,
    grouped,
    merged,
)
from sre_platform.diagnosis.parsers.goroutine_stacks import LONGEST_SAMPLE, Stacks, is_header
from sre_platform.diagnosis.parsers.profile import parse as parse_profile
from sre_platform.diagnosis.parsers.profile_goroutines import goroutines
from sre_platform.diagnosis.parsers.profile_wire import SIZE_LIMIT
from sre_platform.kernel.errors import Malformed

__all__ = ["CHAN_OPERATION", "DUMP_LIMIT", "Bucket", "Dump", "Frame", "Goroutine", "merged", "parse", "read"]

DUMP_LIMIT = 64 << 20  # bytes; runtime/pprof.writeGoroutineStacks fills a buffer of 64 MiB and stops there
MOST_BYTES = 8 << 30  # of text: 18 times the largest dump seen; also what a gzip bomb may unfold to
LONGEST_PREFACE = 1 << 20  # bytes before the first goroutine: a panic's message, some log
CHUNK = 1 << 20
BINARY = re.compile(rb"[\x00-\x08]")  # what no text has, and a profile in its first fields
GZIP = b"\x1f\x8b"
GZIP_WRAPPED = 16 + zlib.MAX_WBITS  # zlib's word for "with the header of a gzip file"


def parse(text: str | bytes) -> Dump:
    """The goroutines in ``text``: see ``read``."""
    return read(io.BytesIO(text.encode(errors="replace") if isinstance(text, str) else text))


def read(stream: BinaryIO) -> Dump:
    """The goroutines in a debug=2, debug=1, protobuf or goroutineleak profile as the service sent it, in one pass.

    A text that was cut gives what came before the cut, with ``truncated`` set. Raises Malformed when there is no
    goroutine profile in it at all, or when it is longer than MOST_BYTES.
    """
    text = _Text(stream)
    preface = text.peek(LONGEST_PREFACE)
    for line in preface.decode(errors="replace").split("\n"):
        if (titled := title(line.rstrip("\r"))) is not None:
            return _counted(text, *titled)
        if is_header(line.rstrip("\r")):
            return _listed(text)
    if BINARY.search(preface, 0, 64):
        return goroutines(parse_profile(text.rest(SIZE_LIMIT)))
    raise Malformed(
        f"This is not a goroutine profile, it begins with {preface[:40].decode(errors='replace')!r}.",
        advice="Fetch /debug/pprof/goroutine?debug=2 (or debug=1) from the service.",
    )


class _Text:
    """The bytes of a stream, unpacked and counted; it knows how they ended."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._ahead = b""
        self._packed = stream.read(len(GZIP))
        self._unzip = zlib.decompressobj(GZIP_WRAPPED) if self._packed == GZIP else None
        self.size = 0
        self.torn = False

    def peek(self, size: int) -> bytes:
        """The first ``size`` bytes or all there are, to be read again by ``chunks``."""
        while len(self._ahead) < size and (chunk := self._next()):
            self._ahead += chunk
        return self._ahead[:size]

    def chunks(self) -> Iterator[bytes]:
        """All of it without carriage returns, in pieces of about CHUNK bytes."""
        ahead, self._ahead = self._ahead, b""
        for start in range(0, len(ahead), CHUNK):
            yield _plain(ahead[start : start + CHUNK])
        while chunk := self._next():
            yield _plain(chunk)

    def rest(self, size: int) -> bytes:
        """All of it with its carriage returns. Raises Malformed beyond ``size`` bytes."""
        whole = bytearray(self._ahead)
        while chunk := self._next():
            whole += chunk
            if len(whole) > size:
                raise Malformed(f"The profile is longer than {size >> 20} MiB.")
        return bytes(whole)

    def _next(self) -> bytes:
        chunk = self._raw() if self._unzip is None else self._unpacked(self._unzip)
        self.size += len(chunk)
        if self.size > MOST_BYTES:
            raise Malformed(f"The goroutine profile is longer than {MOST_BYTES >> 20} MiB and was not read to its end.")
        return chunk

    def _raw(self) -> bytes:
        head, self._packed = self._packed, b""
        return head or self._stream.read(CHUNK)

    def _unpacked(self, unzip: "zlib._Decompress") -> bytes:
        """The next bytes of a gzip stream; of one that was cut or damaged, those before that."""
        while not unzip.eof:
            packed = unzip.unconsumed_tail or self._raw()
            try:
                chunk = unzip.decompress(packed, CHUNK) if packed else b""
            except zlib.error:
                packed = chunk = b""
            if chunk or not packed:
                self.torn = not chunk
                return chunk
        return b""


def _plain(chunk: bytes) -> bytes:
    return chunk.replace(b"\r", b"") if b"\r" in chunk else chunk


def _listed(text: _Text) -> Dump:
    stacks = Stacks()
    rest = b""
    for chunk in text.chunks():
        *blocks, rest = (rest + chunk).split(b"\n\n")
        stacks.add(blocks)
        if len(rest) > 2 * LONGEST_SAMPLE:  # no goroutine is so long; without this, joining them would take for ever
            stacks.add([rest])
            rest = b""
    whole, cut = _whole_lines(rest)
    stacks.add([whole])
    return stacks.dump(cut or text.torn or text.size == DUMP_LIMIT)


def _counted(text: _Text, leaked: bool, total: int) -> Dump:
    lines = _Lines(text)
    buckets = grouped(records(lines, leaked))
    cut = lines.cut or text.torn or sum(bucket.count for bucket in buckets) < total
    return Dump(total, cut, buckets)


class _Lines:
    """The whole lines of a text behind its title."""

    def __init__(self, text: _Text) -> None:
        self._text = text
        self.cut = False

    def __iter__(self) -> Iterator[str]:
        for line in self._raw():
            yield line.decode(errors="replace")

    def _raw(self) -> Iterable[bytes]:
        rest = b""
        for chunk in self._text.chunks():
            *lines, rest = (rest + chunk).split(b"\n")
            yield from lines
            rest = rest[:LONGEST_PREFACE]
        whole, self.cut = _whole_lines(rest)
        yield from whole.split(b"\n")


def _whole_lines(rest: bytes) -> tuple[bytes, bool]:
    """The end of a text without a half line, and whether there was one. Go ends every line."""
    whole, _, last = rest.rpartition(b"\n")
    if b" +0x" in last:  # a dump that lost only its last newline on the way
        return rest, False
    return whole, bool(last.strip())
