"""debug=1: one record per stack, with a count, as ``goroutine?debug=1`` and ``goroutineleak?debug=1`` print them.

The forms are those of ``runtime/pprof/pprof.go`` (``printCountProfile``). There is neither a state nor a creator; what
is waited for is read off the innermost functions, or off how many frames of the runtime are hidden.
"""

from collections.abc import Iterable, Iterator, Sequence

from sre_platform.diagnosis.parsers.goroutine_dump import Bucket, Frame, number, place
from sre_platform.diagnosis.parsers.goroutine_waits import WAITS_BY_HIDDEN_FRAMES, wait_of


def title(line: str) -> tuple[bool, int] | None:
    """Whether it is the leak profile, and the total, of ``goroutine profile: total 12``; None when it is no title."""
    name, found, text = line.partition(" profile: total ")
    total = number(text.strip())
    if not found or name not in ("goroutine", "goroutineleak") or total is None:
        return None
    return name == "goroutineleak", total


def records(lines: Iterable[str], leaked: bool) -> Iterator[Bucket]:
    """One bucket per record: ``12 @ 0x48cb6a 0x419c8e``, perhaps ``# labels: {...}``, then one ``#`` line per frame."""
    counted: tuple[int, list[str]] | None = None
    body: list[str] = []
    for line in lines:
        if line.startswith("#"):
            body.append(line[1:])
        elif (found := _count(line)) is not None:
            if counted:
                yield _record(*counted, body, leaked)
            counted, body = found, []
    if counted:
        yield _record(*counted, body, leaked)


def _count(line: str) -> tuple[int, list[str]] | None:
    text, found, addresses = line.partition(" @")
    count = number(text)
    return (count, addresses.split()) if found and count is not None else None


def _record(count: int, addresses: list[str], body: Sequence[str], leaked: bool) -> Bucket:
    parts = [part for part in (line.split(None, 2) for line in body) if len(part) == 3 and part[0] != "labels:"]
    frames = tuple(
        Frame(name.rpartition("+0x")[0], *at) for _, name, where in parts if (at := place(where)) is not None
    )
    hidden = _hidden(addresses, parts[0][0]) if parts else 0
    state = wait_of(frames) or WAITS_BY_HIDDEN_FRAMES.get(hidden, "")
    return Bucket(state, frames, None, count, leaked=count if leaked else 0)


def _hidden(addresses: Sequence[str], first_shown: str) -> int:
    """How many frames stand before the first printed one, whose address is one less than its return address."""
    try:
        return addresses.index(hex(int(first_shown, 16) + 1))
    except ValueError:
        return 0
