"""Goroutines from a ``goroutine`` or ``goroutineleak`` profile in protobuf, as the texts of parsers/goroutines.py give.

A profile in protobuf stops the process for a moment only, and says nothing of wait reasons and creators. The reasons
are told from the runtime's frames, which it keeps (``runtime/traceback.go`` hides them in a text, by the same rules
here); the creator is unknown. O(frames of distinct stacks + samples).
"""

from collections.abc import Iterable

from sre_platform.diagnosis.parsers.goroutine_dump import Bucket, Dump, Frame
from sre_platform.diagnosis.parsers.profile_model import Line, Profile
from sre_platform.kernel.errors import Malformed

KINDS = ("goroutine", "goroutineleak")
PARKED = ("runtime.gopark", "runtime.goparkunlock")
# The wait reason (runtime2.go) of a parked goroutine, by the first of these functions from the leaf. Locks are told by
# their own functions, because runtime_SemacquireMutex served both kinds before Go 1.20. A channel that is nil looks
# like any other here.
REASONS = {
    "runtime.chansend": "chan send",
    "runtime.chanrecv": "chan receive",
    "runtime.selectgo": "select",
    "runtime.block": "select (no cases)",
    "runtime.netpollblock": "IO wait",
    "time.Sleep": "sleep",
    "internal/sync.(*Mutex).lockSlow": "sync.Mutex.Lock",
    "sync.(*Mutex).lockSlow": "sync.Mutex.Lock",
    "sync.(*Mutex).Lock": "sync.Mutex.Lock",
    "sync.(*RWMutex).RLock": "sync.RWMutex.RLock",
    "sync.(*RWMutex).Lock": "sync.RWMutex.Lock",
    "sync.(*WaitGroup).Wait": "sync.WaitGroup.Wait",
    "sync.(*Cond).Wait": "sync.Cond.Wait",
    "internal/poll.runtime_Semacquire": "semacquire",
    "runtime.gcParkAssist": "GC assist wait",
    "runtime.gcWaitOnMark": "wait for GC cycle",
    "runtime.coroswitch": "coroutine",
}
# gopark < goparkunlock < semacquire1 < SemacquireMutex < lockSlow < Lock < Mutex.Lock: no reason sits deeper.
REASON_DEPTH = 8
# What a goroutine does that is not parked, by its leaf.
DOING = {
    "runtime.Gosched": "runnable",
    "runtime.asyncPreempt": "runnable",
    "runtime.goroutineProfileWithLabels": "running",
    "runtime.cgocall": "syscall",
    "runtime.notetsleepg": "syscall",
}
SYSCALLS = ("syscall.", "internal/runtime/syscall.", "runtime/internal/syscall.")


def goroutines(profile: Profile) -> Dump:
    """The goroutines of ``profile``, alike ones in one bucket whatever their labels; ``created_by`` is always None.

    All of a ``goroutineleak`` profile are leaked. Raises Malformed when the profile is of another kind.
    """
    if profile.kind not in KINDS:
        raise Malformed(f"This is a profile of kind {profile.kind!r}, not of goroutines.")
    index = profile.sample_index()
    counts: dict[int, int] = {}
    stacks = {id(sample.locations): sample.locations for sample in profile.samples}
    for sample in profile.samples:
        counts[id(sample.locations)] = counts.get(id(sample.locations), 0) + sample.values[index]
    groups: dict[tuple[str, tuple[Frame, ...]], int] = {}
    for key, stack in stacks.items():
        told = _told([line for location in stack for line in location.lines])
        groups[told] = groups.get(told, 0) + counts[key]
    return _dump(((state, frames, count) for (state, frames), count in groups.items()), profile.kind == "goroutineleak")


def _dump(groups: Iterable[tuple[str, tuple[Frame, ...], int]], leaked: bool) -> Dump:
    buckets = [
        Bucket(state, frames, None, count, leaked=count if leaked else 0)
        for state, frames, count in groups
        if count > 0
    ]
    return Dump(
        sum(bucket.count for bucket in buckets), False, tuple(sorted(buckets, key=lambda bucket: -bucket.count))
    )


def _told(lines: list[Line]) -> tuple[str, tuple[Frame, ...]]:
    """What the goroutine waits for, and its frames without the runtime's."""
    names = [line.function.name for line in lines]
    shown = (line for at, line in enumerate(lines) if _is_shown(names[at], at == 0))
    frames = tuple(Frame(_printed(line.function.name), line.function.filename, line.line) for line in shown)
    return _state(names), frames


def _state(names: list[str]) -> str:
    """The reason in the runtime's words, "" when the stack does not tell."""
    if not names:
        return ""
    if names[0] not in PARKED:
        return DOING.get(names[0]) or ("syscall" if names[0].startswith(SYSCALLS) else "")
    return next((REASONS[name] for name in names[:REASON_DEPTH] if name in REASONS), "")


def _is_shown(name: str, first: bool) -> bool:
    """Whether a text would show this frame: ``showfuncinfo`` of runtime/traceback.go."""
    if not name.startswith("runtime."):
        return "." in name
    if name in ("runtime.runFinalizers", "runtime.runCleanups") or (name == "runtime.gopanic" and not first):
        return True
    receiver, _, method = name.removeprefix("runtime.").rpartition(".")
    bare = receiver[2:-1] if receiver.startswith("(*") and receiver.endswith(")") else receiver
    return _is_exported(method) and (not receiver or _is_exported(bare))


def _is_exported(name: str) -> bool:
    return "A" <= name[:1] <= "Z"


def _printed(name: str) -> str:
    """``main.total[...]`` of ``main.total[go.shape.string]``."""
    begin, end = name.find("["), name.rfind("]")
    return f"{name[:begin]}[...]{name[end + 1 :]}" if 0 <= begin < end else name
