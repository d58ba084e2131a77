"""The calls of one printed goroutine with their arguments, which are words of memory (``runtime/traceback.go``)."""

from collections.abc import Iterator
from dataclasses import dataclass

from sre_platform.diagnosis.parsers.goroutine_dump import Goroutine, place
from sre_platform.diagnosis.parsers.goroutine_stacks import ANCESTORS, CREATED, function_of

SMALLEST_POINTER = 4096  # the first page is never mapped: what is below is a number


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: a word, or the words of a struct, string, slice or interface (``{...}``).

    ``exact`` is False when the compiler marked one of them as perhaps overwritten (``?``) or left some out (``...``).
    """

    words: tuple[int, ...]
    exact: bool


@dataclass(frozen=True, slots=True)
class Call:
    """One call on a stack. ``arguments`` are those the compiler kept: none for an inlined call."""

    function: str
    file: str
    line: int
    arguments: tuple[Argument, ...]

    @property
    def pointers(self) -> tuple[int, ...]:
        """The arguments that are one word, surely as the caller passed it, and large enough for an address."""
        return tuple(
            a.words[0] for a in self.arguments if a.exact and len(a.words) == 1 and a.words[0] >= SMALLEST_POINTER
        )


def calls(goroutine: Goroutine) -> list[Call]:
    """The calls of ``goroutine``, innermost first, without its creator. O(length of its text)."""
    found: list[Call] = []
    call = ""
    for line in goroutine.text.split("\n")[1:]:
        if not line.strip() or line.startswith((ANCESTORS, CREATED)):
            break
        where = place(line) if call else None
        if where is None:
            call = line.strip()
            continue
        function = function_of(call)
        found.append(Call(function, *where, tuple(_arguments(call[len(function) + 1 : -1]))))
        call = ""
    return found


def _arguments(text: str) -> Iterator[Argument]:
    """``0xc0001, {0x7, 0x2?}, ...``: braces may nest."""
    depth, start = 0, 0
    for end, letter in enumerate(text + ","):
        depth += (letter == "{") - (letter == "}")
        if letter == "," and depth <= 0:
            if argument := _argument(text[start:end]):
                yield argument
            start = end + 1


def _argument(text: str) -> Argument | None:
    words = [word.strip(" {}") for word in text.split(",")]
    read = [_word(word.removesuffix("?")) for word in words]
    known = tuple(word for word in read if word is not None)
    return Argument(known, len(known) == len(words) and "?" not in text) if known else None


def _word(text: str) -> int | None:
    try:
        return int(text, 16) if len(text) <= len("0x") + 16 else None
    except ValueError:
        return None
