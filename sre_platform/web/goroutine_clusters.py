"""Goroutines that wait alike, as a page lists them: suspects first, each with its stack. Pure."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from sre_platform.diagnosis.domain import Site
from sre_platform.diagnosis.parsers.goroutines import Bucket, Frame
from sre_platform.diagnosis.rca.code import is_library, is_standard_library, package_of, user_site
from sre_platform.web.goroutine_look import Look

FRAMES_SHOWN = 60  # debug=2 leaves out what is behind 100 frames itself
NAME_SHOWN = 300  # characters of a function's or a file's name
CAUSE, WAITS, SUSPECT, OTHER = "cause", "waits", "suspect", ""
ORDER = (CAUSE, WAITS, SUSPECT, OTHER)


class ShownFrame(NamedTuple):
    """A line of a stack. ``origin`` is "own", "library" or "go"; one line at most is ``blamed``."""

    site: Site
    origin: str
    blamed: bool


@dataclass(frozen=True)
class Cluster:
    """A bucket as it is shown. ``number`` stays the same however the list is narrowed.

    ``role`` is one of ORDER, ``of`` the number of the cause it is or waits for, counted from 1. ``growth`` is None when
    it cannot be known. ``site`` is the line that stands for the stack: the blamed one, else the first.
    """

    number: int
    bucket: Bucket
    growth: int | None
    role: str
    of: int | None

    @property
    def suspected(self) -> bool:
        return self.role != OTHER

    @cached_property
    def blamed(self) -> Site | None:
        """The innermost line of the owner's code, of a cluster that is suspected."""
        return user_site(self.bucket.frames) if self.suspected else None

    @cached_property
    def site(self) -> Site | None:
        frames = self.bucket.frames
        return clipped(user_site(frames) or frames[0]) if frames else None

    @property
    def function(self) -> str:
        """The function of ``site`` without its folder."""
        return short(self.site.function) if self.site else ""

    @property
    def role_words(self) -> str:
        """``cause 1``, ``waits for 1``, ``suspect``."""
        return {CAUSE: f"cause {self.of}", WAITS: f"waits for {self.of}"}.get(self.role, self.role)

    @property
    def proof(self) -> str:
        """How many of them the garbage collector proved to be stuck for ever."""
        return "leaked" if self.bucket.leaked == self.bucket.count else f"{self.bucket.leaked} leaked"

    @property
    def shrunk(self) -> int:
        return max(0, -(self.growth or 0))

    @property
    def created_by(self) -> Site | None:
        return clipped(self.bucket.created_by) if self.bucket.created_by else None

    @property
    def frames(self) -> Sequence[ShownFrame]:
        """The stack, innermost first, as much of it as is shown."""
        return list(_shown(self.bucket.frames[:FRAMES_SHOWN], self.blamed))

    @property
    def more_frames(self) -> int:
        return max(0, len(self.bucket.frames) - FRAMES_SHOWN)

    @property
    def waits(self) -> str:
        """``3 min``, ``3 to 12 min``, or nothing where the runtime has stamped no minutes."""
        low, high = self.bucket.minutes or (0, 0)
        return "" if not high else f"{high} min" if low == high else f"{low} to {high} min"

    def has(self, text: str) -> bool:
        """Whether its state, its creator or a line of its stack holds ``text``, in small letters."""
        creator = [self.bucket.created_by] if self.bucket.created_by else []
        places: list[Frame | Site] = [*self.bucket.frames, *creator]
        return text in self.bucket.state.lower() or any(
            text in f"{place.function} {place.file}:{place.line}".lower() for place in places
        )


def clusters(seen: Look) -> list[Cluster]:
    """All clusters: causes, those who wait for them, other suspects, the rest; each kind largest first."""
    roles = _roles(seen)
    known = {bucket.key for bucket in seen.later.buckets}
    only_proven = [lead.bucket for key, lead in seen.leads.items() if key not in known]
    found = [*seen.later.buckets, *only_proven]
    found.sort(key=lambda bucket: (*_rank(*roles.get(bucket.key, (OTHER, None))), -bucket.count))
    return [_cluster(seen, number, bucket, roles) for number, bucket in enumerate(found, start=1)]


Roles = dict[Hashable, tuple[str, int | None]]


def _roles(seen: Look) -> Roles:
    roles: Roles = dict.fromkeys(seen.leads, (SUSPECT, None))
    roles |= {victim.bucket.key: (WAITS, victim.waits_for + 1) for victim in seen.report.victims}
    return roles | {cause.bucket.key: (CAUSE, n) for n, cause in enumerate(seen.report.causes, start=1)}


def _rank(role: str, of: int | None) -> tuple[int, int]:
    return ORDER.index(role), (of or 0) if role == CAUSE else 0


def _cluster(seen: Look, number: int, bucket: Bucket, roles: Roles) -> Cluster:
    lead = seen.leads.get(bucket.key)
    role, of = roles.get(bucket.key, (OTHER, None))
    return Cluster(number, lead.bucket if lead else bucket, seen.growth_of(bucket), role, of)


def _shown(frames: Sequence[Frame], blamed: Site | None) -> Iterator[ShownFrame]:
    for frame in frames:
        origin = "go" if is_standard_library(frame) else "library" if is_library(frame) else "own"
        here = blamed is not None and (frame.function, frame.file, frame.line) == (
            blamed.function,
            blamed.file,
            blamed.line,
        )
        yield ShownFrame(clipped(frame), origin, here)
        blamed = None if here else blamed


def clipped(place: Frame | Site) -> Site:
    """A place in code with names that a page can hold."""
    return Site(_clip(place.function), _clip(place.file), place.line)


def short(function: str) -> str:
    """``payments.(*Till).Charge`` of ``example.com/shop/payments.(*Till).Charge``; Go escapes dots in paths as %2e."""
    folder = package_of(function).rpartition("/")[0]
    return function.removeprefix(f"{folder}/").replace("%2e", ".")


def _clip(name: str) -> str:
    return name if len(name) <= NAME_SHOWN else f"{name[: NAME_SHOWN - 1]}…"
