"""The values of a pprof profile, with the names that google/pprof's ``proto/profile.proto`` gives them."""

from dataclasses import dataclass
from typing import Literal

from sre_platform.kernel.errors import Malformed, Unknown

Kind = Literal["cpu", "heap", "allocs", "mutex", "block", "goroutine", "goroutineleak", "threadcreate", "other"]

# By the sample types, as runtime/pprof writes them (protomem.go, proto.go, pprof.go).
KINDS_BY_SAMPLE_TYPES: dict[tuple[str, ...], Kind] = {
    ("samples", "cpu"): "cpu",
    ("alloc_objects", "alloc_space", "inuse_objects", "inuse_space"): "heap",
    ("goroutine",): "goroutine",
    ("goroutineleak",): "goroutineleak",
    ("threadcreate",): "threadcreate",
}
# Mutex and block profiles differ in nothing but where they were taken: on giving a lock back, or on having waited.
CONTENTION = ("contentions", "delay")
UNLOCKS = (
    "sync.(*Mutex).Unlock", "sync.(*RWMutex).Unlock", "sync.(*RWMutex).RUnlock", "internal/sync.(*Mutex).Unlock",
    "internal/sync.(*Mutex).unlockSlow", "runtime.unlock", "runtime.unlock2", "runtime.unlockWithRank",
    "runtime._LostContendedRuntimeLock",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ValueType:
    """What a number counts and in which unit: ``cpu``, ``nanoseconds``."""

    type: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Mapping:
    """A binary or library, and where it was mapped."""

    id: int
    start: int = 0
    limit: int = 0
    offset: int = 0
    file: str = ""
    build_id: str = ""
    has_functions: bool = False
    has_filenames: bool = False
    has_line_numbers: bool = False
    has_inline_frames: bool = False


@dataclass(frozen=True, slots=True)
class Function:
    """``name`` is for people, ``system_name`` for the linker, ``start_line`` where it is declared (0: unknown)."""

    id: int
    name: str = ""
    system_name: str = ""
    filename: str = ""
    start_line: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a function; 0 is unknown."""

    function: Function
    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class Location:
    """An address on a stack. ``lines`` has more than one when calls were inlined there: the innermost first."""

    id: int
    mapping: Mapping | None = None
    address: int = 0
    lines: tuple[Line, ...] = ()
    is_folded: bool = False


@dataclass(frozen=True, slots=True)
class Label:
    """A word (``text``) or, when ``number`` is not None, a number with its unit ("" when it tells none)."""

    key: str
    text: str = ""
    number: int | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was measured on one stack: one value per sample type. ``locations`` begin with the leaf."""

    locations: tuple[Location, ...]
    values: tuple[int, ...]
    labels: tuple[Label, ...] = ()


@dataclass(frozen=True)
class Profile:
    """A profile as it was sent. ``time_nanos`` is Unix time (0: unknown), ``duration_nanos`` 0 for a moment.

    ``drop_frames`` and ``keep_frames`` are the regular expressions of frames to leave out when it is shown.
    """

    sample_types: tuple[ValueType, ...] = ()
    samples: tuple[Sample, ...] = ()
    mappings: tuple[Mapping, ...] = ()
    locations: tuple[Location, ...] = ()
    functions: tuple[Function, ...] = ()
    drop_frames: str = ""
    keep_frames: str = ""
    time_nanos: int = 0
    duration_nanos: int = 0
    period_type: ValueType = ValueType()
    period: int = 0
    comments: tuple[str, ...] = ()
    default_sample_type: str = ""
    doc_url: str = ""

    @property
    def kind(self) -> Kind:
        """What was profiled, by the sample types. "other" is no profile of Go's runtime.

        A contention profile is a mutex profile when it names a call that gives a lock back, else a block profile.
        """
        types = tuple(value.type for value in self.sample_types)
        if types == CONTENTION:
            return "mutex" if any(_leaf(sample) in UNLOCKS for sample in self.samples) else "block"
        kind = KINDS_BY_SAMPLE_TYPES.get(types, "other")
        return "allocs" if kind == "heap" and self.default_sample_type == "alloc_space" else kind

    def sample_index(self, name: str | int | None = None) -> int:
        """The index of the values that ``name`` selects, as ``-sample_index`` does; by default what the profile says.

        Raises Unknown when it has no such values, Malformed when it has none at all.
        """
        types = [value.type for value in self.sample_types]
        if not types:
            raise Malformed("The profile has no values: it names no sample type.")
        if name is None or name == "":
            known = self.default_sample_type in types and self.default_sample_type
            return types.index(self.default_sample_type) if known else len(types) - 1
        number = int(name) if isinstance(name, int) or (name.isascii() and name.isdecimal() and len(name) < 9) else None
        if number is not None and 0 <= number < len(types):
            return number
        for index, kind in enumerate(types):
            if number is None and kind in (name, str(name).removeprefix("inuse_")):
                return index
        raise Unknown(f"The profile has no values {str(name)[:80]!r}, it has: {', '.join(types)}.")


def _leaf(sample: Sample) -> str:
    lines = sample.locations[0].lines if sample.locations else ()
    return lines[0].function.name if lines else ""
