"""Goroutines read from protobuf are those of the text that the runtime writes at the same moment."""

from collections import Counter

import pytest

from sre_platform.diagnosis.parsers import goroutines as text
from sre_platform.diagnosis.parsers.goroutines import Frame
from sre_platform.diagnosis.parsers.profile import Function, Label, Line, Location, Profile, Sample, ValueType
from sre_platform.diagnosis.parsers.profile_goroutines import goroutines
from sre_platform.kernel.errors import Malformed
from tests.diagnosis.profiles import FOLDER, recorded


def made(*stacks, kind="goroutine"):
    """A profile of stacks, each with its count, its functions from the leaf on and its labels."""
    names = sorted({name for _, stack, *_ in stacks for name in stack})
    functions = {name: Function(n, name, name, "f.go") for n, name in enumerate(names, 1)}
    places = {name: Location(n, None, n, (Line(functions[name], n),)) for n, name in enumerate(names, 1)}
    samples = (
        Sample(tuple(places[name] for name in stack), (count,), tuple(Label("k", word) for word in labels))
        for count, stack, *labels in stacks
    )
    return Profile((ValueType(kind, "count"),), tuple(samples), (), tuple(places.values()), tuple(functions.values()))


def counted(buckets):
    """How many wait alike, whoever created them; without the goroutine that wrote the profile."""
    found = Counter()
    for bucket in buckets:
        if "main.main" not in [frame.function for frame in bucket.frames]:
            found[bucket.state, bucket.frames] += bucket.count
    return found


def test_the_same_as_the_text_of_the_same_moment():
    """But what protobuf does not hold: creators, and whether a channel is nil."""
    said = counted(text.parse((FOLDER / "goroutine.debug2.txt").read_text()).buckets)
    expected = Counter({(state.removesuffix(" (nil chan)"), frames): count for (state, frames), count in said.items()})
    assert (len(expected), expected.total()) == (14, 24)
    assert counted(goroutines(recorded("goroutine")).buckets) == expected


def test_one_stack_with_many_labels_is_one_bucket():
    (labelled,) = [sample for sample in recorded("goroutine").samples if sample.labels][:1]
    assert {label.key for label in labelled.labels} == {"order", "tenant"}
    (bucket,) = [
        b for b in goroutines(recorded("goroutine")).buckets if b.frames == (Frame("main.send", "shop/main.go", 183),)
    ]
    assert (bucket.count, bucket.state, bucket.leaked) == (11, "chan send", 0)


def test_the_leak_profile_marks_all():
    dump = goroutines(recorded("goroutineleak"))
    said = text.parse((FOLDER / "goroutine.debug2.txt").read_text())
    leaked = sum(bucket.leaked for bucket in said.buckets)
    assert dump.total == leaked == 8
    assert all(bucket.leaked == bucket.count for bucket in dump.buckets)


PARKED = ("runtime.gopark", "runtime.goparkunlock")
TAKING = (*PARKED, "runtime.semacquire1")


@pytest.mark.parametrize(
    ("frames", "state"),
    [
        ((*PARKED, "runtime.chansend", "runtime.chansend1", "main.f"), "chan send"),
        (("runtime.gopark", "runtime.chanrecv", "runtime.chanrecv2", "main.f"), "chan receive"),
        (("runtime.gopark", "runtime.chanrecv", "reflect.chanrecv", "main.f"), "chan receive"),
        (("runtime.gopark", "runtime.selectgo", "main.f"), "select"),
        (("runtime.gopark", "runtime.selectgo", "reflect.rselect", "main.f"), "select"),
        (("runtime.gopark", "runtime.block", "main.f"), "select (no cases)"),
        (("runtime.gopark", "runtime.netpollblock", "internal/poll.runtime_pollWait", "main.f"), "IO wait"),
        (("runtime.gopark", "time.Sleep", "main.f"), "sleep"),
        ((*PARKED, "sync.runtime_notifyListWait", "sync.(*Cond).Wait", "main.f"), "sync.Cond.Wait"),
        ((*TAKING, "internal/sync.runtime_SemacquireMutex", "internal/sync.(*Mutex).lockSlow"),
         "sync.Mutex.Lock"),
        ((*TAKING, "sync.runtime_SemacquireMutex", "sync.(*Mutex).lockSlow"), "sync.Mutex.Lock"),
        ((*TAKING, "sync.runtime_SemacquireMutex", "sync.(*RWMutex).RLock"), "sync.RWMutex.RLock"),
        ((*TAKING, "sync.runtime_SemacquireRWMutex", "sync.(*RWMutex).Lock"), "sync.RWMutex.Lock"),
        ((*TAKING, "sync.runtime_Semacquire", "sync.(*WaitGroup).Wait"), "sync.WaitGroup.Wait"),
        ((*TAKING, "internal/poll.runtime_Semacquire", "main.f"), "semacquire"),
        (("runtime.cgocall", "main._Cfunc_wait", "main.f"), "syscall"),
        (("syscall.Syscall6", "main.f"), "syscall"),
        (("internal/runtime/syscall.Syscall6", "syscall.RawSyscall6", "main.f"), "syscall"),
        (("runtime.asyncPreempt", "main.f"), "runnable"),
        (("main.f",), ""),
        (("runtime.gopark", "main.f"), ""),
        ((), ""),
    ],
)  # fmt: skip
def test_state(frames, state):
    (bucket,) = goroutines(made((1, frames))).buckets
    assert bucket.state == state


@pytest.mark.parametrize(
    ("stack", "shown"),
    [
        (("runtime.gopark", "runtime.chansend1", "main.f", "runtime.main"), ["main.f"]),
        (("runtime.Gosched", "main.f"), ["runtime.Gosched", "main.f"]),
        (("main.d", "runtime.gopanic", "main.f"), ["main.d", "runtime.gopanic", "main.f"]),
        (("runtime.gopanic", "main.f"), ["main.f"]),
        (("runtime.(*Func).Entry", "runtime.(*mheap).Alloc", "runtime.GC"), ["runtime.(*Func).Entry", "runtime.GC"]),
        (("main.f", "runtime.runFinalizers"), ["main.f", "runtime.runFinalizers"]),
        (("internal/runtime/maps.newTable", "main.f"), ["internal/runtime/maps.newTable", "main.f"]),
        (("main.f[go.shape.int].func1", "gcWriteBarrier"), ["main.f[...].func1"]),
    ],
)
def test_frames_that_a_text_would_show(stack, shown):
    (bucket,) = goroutines(made((1, stack))).buckets
    assert [frame.function for frame in bucket.frames] == shown


def test_the_largest_bucket_comes_first_and_the_total_is_the_sum():
    dump = goroutines(made((2, ("main.a",), "x"), (5, ("main.b",)), (4, ("main.a",), "y")))
    assert [(bucket.frames[0].function, bucket.count) for bucket in dump.buckets] == [("main.a", 6), ("main.b", 5)]
    assert (dump.total, dump.truncated) == (11, False)


def test_another_kind_is_refused():
    with pytest.raises(Malformed, match="'heap'"):
        goroutines(recorded("heap"))
