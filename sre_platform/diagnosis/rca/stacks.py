"""Stacks of a profile as the owner of the code sees them: frames, the line to blame, and what lies below it."""

from collections.abc import Iterator, Sequence
from itertools import takewhile

from sre_platform.diagnosis.domain import Evidence, Site
from sre_platform.diagnosis.parsers.goroutines import Frame
from sre_platform.diagnosis.parsers.profile import Profile, Sample, parse
from sre_platform.diagnosis.rca.code import is_standard_library, user_site
from sre_platform.diagnosis.rca.values import positive
from sre_platform.kernel.errors import Malformed


def frames(sample: Sample) -> list[Frame]:
    """The calls of one stack, innermost first, inlined ones too."""
    return [
        Frame(line.function.name, line.function.filename, line.line)
        for location in sample.locations
        for line in location.lines
    ]


def blamed(stack: Sequence[Frame]) -> Site | None:
    """The innermost line that is the owner's, or None: then the runtime or a library works for itself."""
    return user_site(frame for frame in stack if not _is_nameless(frame))


def library_calls(stack: Sequence[Frame]) -> Iterator[str]:
    """The functions of the standard library that the blamed line called, innermost first."""
    own = takewhile(lambda frame: is_standard_library(frame) or _is_nameless(frame), stack)
    return (frame.function for frame in own)


def _is_nameless(frame: Frame) -> bool:
    """Assembly of the runtime, whose functions have no package: ``gogo``, ``gcWriteBarrier``, ``_.goready.func1``."""
    package, dot, _ = frame.function.partition(".")
    return (not dot or package in ("", "_")) and is_standard_library(Frame("runtime.f", frame.file, frame.line))


class Profiles:
    """The profiles of ``go_profiles`` evidence, each read when it is asked for.

    ``unread`` holds a sentence for each that was there and could not be used.
    """

    def __init__(self, evidence: Evidence | None) -> None:
        there = evidence is not None and not evidence.missing
        self._bytes = evidence.profiles if evidence and there else {}
        self.data = evidence.data if evidence and there else {}
        self.unread: list[str] = []

    @property
    def seconds_apart(self) -> float:
        """Between the two looks; 0.0 when it is not known."""
        return positive(self.data.get("seconds_apart"))

    def get(self, name: str, *types: str) -> Profile | None:
        """The profile called ``name``, if it is there, can be read and has exactly the sample ``types``."""
        if name not in self._bytes:
            return None
        try:
            profile = parse(self._bytes[name])
        except Malformed as error:
            self.unread.append(f"The {name} profile could not be used: {error}")
            return None
        found = tuple(value.type for value in profile.sample_types)
        if found == types:
            return profile
        self.unread.append(f"The {name} profile could not be used: it counts {', '.join(found) or 'nothing'}.")
        return None

    def pair(self, name: str, *types: str) -> tuple[Profile, Profile] | None:
        """The earlier look and the later one, if both can be used."""
        earlier, later = self.get(f"{name}.earlier", *types), self.get(name, *types)
        return (earlier, later) if earlier and later else None
