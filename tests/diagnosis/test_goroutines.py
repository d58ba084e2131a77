"""Every form in which Go writes its goroutines down, as a small case."""

from pathlib import Path
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.diagnosis.domain import Site
from sre_platform.diagnosis.parsers import goroutines
from sre_platform.diagnosis.parsers.goroutines import CHAN_OPERATION, Frame, parse
from sre_platform.kernel.errors import Malformed

RECORDINGS = Path(__file__).parents[1] / "recordings" / "go"
SENDER = """main.send(0xc000102000)
\t/src/app/send.go:12 +0x1d
created by main.main in goroutine 1
\t/src/app/main.go:7 +0x45
"""


def stack(header, body=SENDER):
    return f"{header}\n{body}\n"


def only(text):
    (bucket,) = parse(text).buckets
    return bucket


@pytest.mark.parametrize(
    ("header", "state", "minutes", "leaked"),
    [
        ("goroutine 18 [chan send]:", "chan send", None, 0),
        ("goroutine 18 [chan send, 5 minutes]:", "chan send", (5, 5), 0),
        ("goroutine 18 [chan send (leaked)]:", "chan send", None, 1),
        ("goroutine 18 [chan send (scan), 2 minutes]:", "chan send", (2, 2), 0),
        ("goroutine 18 [chan send (leaked) (scan)]:", "chan send", None, 1),
        ("goroutine 18 [chan send (durable), synctest bubble 3]:", "chan send", None, 0),
        ("goroutine 18 [sleep (durable), 1 minutes, synctest bubble 3]:", "sleep", (1, 1), 0),
        ("goroutine 18 [chan receive (nil chan), 7 minutes]:", "chan receive (nil chan)", (7, 7), 0),
        ("goroutine 18 [chan receive (nil chan) (leaked)]:", "chan receive (nil chan)", None, 1),
        ("goroutine 18 [select (no cases) (leaked) (scan)]:", "select (no cases)", None, 1),
        ("goroutine 18 [syscall, 33 minutes, locked to thread]:", "syscall", (33, 33), 0),
        ("goroutine 18 [GC worker (idle)]:", "GC worker (idle)", None, 0),
        ("goroutine 18 gp=0xc000006380 m=nil [select]:", "select", None, 0),
        ("goroutine 18 gp=0xc000006380 m=0 mp=0x1523a60 [running]:", "running", None, 0),
        ("goroutine 18 [select] {route: /orders}:", "select", None, 0),
        ('goroutine 18 [IO wait, 3 minutes, locked to thread] {"a]: [b": "x, 9 minutes]:"}:', "IO wait", (3, 3), 0),
        ("goroutine 18 [sync.RWMutex.RLock, 4 minutes]: \r", "sync.RWMutex.RLock", (4, 4), 0),
        ("goroutine 18 [???]:", "???", None, 0),
    ],
)
def test_header(header, state, minutes, leaked):
    bucket = only(stack(header))
    assert (bucket.state, bucket.minutes, bucket.leaked, bucket.sample_id) == (state, minutes, leaked, 18)
    assert bucket.frames == (Frame("main.send", "/src/app/send.go", 12),)
    assert bucket.created_by == Site("main.main", "/src/app/main.go", 7)


@pytest.mark.parametrize(
    ("call", "function"),
    [
        ("main.main()", "main.main"),
        ("main.(*T).m(...)", "main.(*T).m"),
        ("main.Map[...]({0x1?, 0x2}, _, 0x3)", "main.Map[...]"),
        ("main.func·001()", "main.func·001"),
        ("panic({0x6b3e20?, 0x7c1be8?})", "panic"),
        ("gopkg.in/yaml%2ev2.(*parser).parse(0xc0, {{0x1, 0x2}, ...})", "gopkg.in/yaml%2ev2.(*parser).parse"),
    ],
)
def test_function_has_no_arguments(call, function):
    assert only(stack("goroutine 1 [running]:", f"{call}\n\t/a.go:1 +0x1\n")).frames[0].function == function


@pytest.mark.parametrize(
    ("place", "file", "line"),
    [
        ("\t/src/a.go:12 +0x1d", "/src/a.go", 12),
        ("\t/src/a.go:12 +0x1d fp=0xc00005 sp=0xc00006 pc=0x48cb6a", "/src/a.go", 12),
        ("\t/src/a.go:12", "/src/a.go", 12),
        ("        /src/a.go:12 +0x1d", "/src/a.go", 12),
        ("\tC:/Program Files/My App/a.go:12 +0x1d\r", "C:/Program Files/My App/a.go", 12),
        ("\tC:\\app\\a.go:12 +0x1d", "C:\\app\\a.go", 12),
        ("\tGOROOT/net/http/server.go:2358 +0x29", "GOROOT/net/http/server.go", 2358),
        ("\tlab/orders/a.go:3 +0x1d", "lab/orders/a.go", 3),
    ],
)
def test_place(place, file, line):
    assert only(stack("goroutine 1 [running]:", f"main.f(0x1)\n{place}\n")).frames == (Frame("main.f", file, line),)


@pytest.mark.parametrize("creator", ["created by main.start in goroutine 7", "created by main.start"])
def test_parent_id_is_no_part_of_the_creator(creator):
    bucket = only(stack("goroutine 9 [select]:", f"main.f()\n\t/a.go:1 +0x1\n{creator}\n\t/b.go:2 +0x2\n"))
    assert bucket.created_by == Site("main.start", "/b.go", 2)


def test_elided_frames_are_passed_over():
    body = "main.f(0x1)\n\t/a.go:1 +0x1\n...23 frames elided...\nmain.g(0x1)\n\t/a.go:9 +0x1\n"
    assert [frame.line for frame in only(stack("goroutine 9 [select]:", body)).frames] == [1, 9]


def test_stack_of_another_thread_has_no_frames_but_a_creator():
    body = "\tgoroutine running on other thread; stack unavailable\ncreated by main.f in goroutine 1\n\t/b.go:2 +0x2\n"
    bucket = only(stack("goroutine 9 [running]:", body))
    assert bucket.frames == ()
    assert bucket.created_by == Site("main.f", "/b.go", 2)


def test_stacks_of_ancestors_do_not_count():
    ancestors = "[originating from goroutine 1]:\nmain.main(...)\n\t/src/app/main.go:7 +0x45\n"
    assert only(stack("goroutine 9 [chan send]:", SENDER + ancestors)) == only(stack("goroutine 9 [chan send]:"))


def test_what_a_crash_prints_around_the_stacks_does_not_count():
    text = f"panic: boom: 1\n\n{stack('goroutine 9 [chan send]:')}rax    0x0\nrip    0x48cb6a\nexit status 2\n"
    assert parse(text).total == 1
    assert only(text) == only(stack("goroutine 9 [chan send]:"))


def test_alike_goroutines_share_a_bucket():
    text = (
        stack("goroutine 30 [chan send, 2 minutes]:")
        + stack(
            "goroutine 21 [chan send, 9 minutes, locked to thread] {k: v}:", SENDER.replace("0xc000102000", "0xd0?")
        )
        + stack(
            "goroutine 44 [chan send (leaked)]:", SENDER.replace("+0x1d", "+0x9d").replace("goroutine 1", "goroutine 5")
        )
    )
    bucket = only(text)
    assert (bucket.count, bucket.minutes, bucket.leaked, bucket.sample_id) == (3, (2, 9), 1, 21)


@pytest.mark.parametrize(
    ("old", "new"),
    [("send.go:12", "send.go:13"), ("main.go:7", "main.go:8"), ("main.send", "main.put"), ("chan send", "select")],
)
def test_state_frames_and_creating_line_part_buckets(old, new):
    one = stack("goroutine 9 [chan send]:")
    assert len(parse(one + one.replace(old, new)).buckets) == 2


def test_largest_bucket_comes_first():
    dump = parse(stack("goroutine 1 [running]:") + 2 * stack("goroutine 2 [chan send]:"))
    assert [bucket.count for bucket in dump.buckets] == [2, 1]
    assert dump.total == 3


@pytest.mark.parametrize(
    ("caller", "state"),
    [
        ("sync.(*WaitGroup).Wait", "sync.WaitGroup.Wait"),
        ("sync.(*RWMutex).RLock", "sync.RWMutex.RLock"),
        ("sync.(*Mutex).lockSlow", "sync.Mutex.Lock"),
        ("main.wait", "semacquire"),
    ],
)
def test_semacquire_of_old_versions_is_told_by_its_caller(caller, state):
    body = f"sync.runtime_SemacquireMutex(0x1)\n\t/go/src/runtime/sema.go:71 +0x25\n{caller}(0x1)\n\t/a.go:1 +0x1\n"
    assert only(stack("goroutine 9 [semacquire]:", body)).state == state


def test_cut_stack_keeps_its_whole_lines():
    text = (
        stack("goroutine 9 [chan send]:") + "goroutine 10 [select]:\nmain.f(0x1)\n\t/a.go:1 +0x1\nmain.g()\n\t/a.go:2"
    )
    dump = parse(text)
    assert dump.truncated
    assert dump.total == 2
    assert dump.buckets[1].frames == (Frame("main.f", "/a.go", 1),)


def test_cut_header_is_dropped():
    dump = parse(stack("goroutine 9 [chan send]:") + "goroutine 10 [sel")
    assert dump.truncated
    assert dump.total == 1


@pytest.mark.parametrize("text", [stack("goroutine 9 [select]:"), stack("goroutine 9 [select]:").strip()])
def test_whole_dump_is_not_truncated(text):
    assert not parse(text).truncated


def test_dump_that_fills_the_runtimes_buffer_is_truncated(monkeypatch):
    text = stack("goroutine 9 [select]:", SENDER.replace("send", "f·1"))
    monkeypatch.setattr(goroutines, "DUMP_LIMIT", len(text.encode()))
    assert parse(text).truncated
    monkeypatch.setattr(goroutines, "DUMP_LIMIT", len(text.encode()) + 1)
    assert not parse(text).truncated


COUNTS = """goroutine profile: total 12
5 @ 0x48cb6a 0x418d5c 0x418957 0x7353fd 0x493bc1
# labels: {"route":"/orders"}
#\t0x7353fc\tmain.send+0x1c\t\t/src/app/send.go:12

3 @ 0x48cb6a 0x418d5c 0x418957 0x7353fd 0x493bc1
# labels: {"route":"/ #x +0x1 y.go:1", "user":"a"}
#\t0x7353fc\tmain.send+0x1c\t\t/src/app/send.go:12

2 @ 0x48cb6a 0x465757 0x69a846 0x493da1
#\t0x69a845\tnet/http.(*persistConn).writeLoop+0xe5\t/go/src/net/http/transport.go:2833

1 @ 0x4664f2 0x4664c9 0x48df45 0x49707a 0x735491 0x493bc1
#\t0x48df44\tinternal/sync.runtime_SemacquireMutex+0x24\t/go/src/runtime/sema.go:95
#\t0x497079\tinternal/sync.(*Mutex).lockSlow+0x159\t/go/src/internal/sync/mutex.go:149
#\t0x735490\tmain.lock+0x30\tC:/My App/lock.go:70

1 @ 0x48cb6a 0x418d5c
#\t0x48cb69\truntime.gopark+0xc9\t/go/src/runtime/proc.go:462
#\t0x418d5b\truntime.chanrecv1+0x12\t/go/src/runtime/chan.go:509

"""


def test_counts_regroup_over_labels_and_derive_states():
    dump = parse(COUNTS)
    assert (dump.total, dump.truncated) == (12, False)
    assert [(bucket.count, bucket.state) for bucket in dump.buckets] == [
        (8, CHAN_OPERATION),
        (2, "select"),
        (1, "sync.Mutex.Lock"),
        (1, "chan receive"),
    ]
    assert dump.buckets[0].frames == (Frame("main.send", "/src/app/send.go", 12),)
    assert dump.buckets[2].frames[-1] == Frame("main.lock", "C:/My App/lock.go", 70)
    assert not any(bucket.leaked or bucket.created_by or bucket.sample_id for bucket in dump.buckets)


def test_leak_profile_counts_as_leaked():
    dump = parse(COUNTS.replace("goroutine profile", "goroutineleak profile"))
    assert [bucket.leaked for bucket in dump.buckets] == [8, 2, 1, 1]


def test_empty_leak_profile_is_a_profile():
    assert parse("goroutineleak profile: total 0\n") == goroutines.Dump(0, False, ())


def test_counts_that_end_early_are_truncated():
    dump = parse(COUNTS[: COUNTS.index("2 @")])
    assert dump.truncated
    assert sum(bucket.count for bucket in dump.buckets) == 8


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "<html>404 page not found</html>",
        "Unknown profile\n",
        "heap profile: 5: 7 [5: 7] @ heap/1048576\n",
        "threadcreate profile: total 12\n",
        "goroutine profile: total many\n",
        "goroutine profile: total ٣\n",
        f"goroutine {'9' * 5000} [select]:\n",
        "goroutine ² [select]:\n",
        "goroutine 5 [select",
        "A goroutine 5 [select]: is blocked.",
    ],
)
def test_what_is_no_goroutine_profile_is_refused(text):
    with pytest.raises(Malformed):
        parse(text)


PIECES = [
    "goroutine 18 [chan send (leaked), 5 minutes, locked to thread]:\n",
    "goroutine 18 gp=0xc0 m=nil [select] {a: b}:\n",
    "goroutine profile: total 4\n",
    "goroutineleak profile: total 999999999999999999\n",
    "4 @ 0x1 0x2\n",
    "# labels: {}\n",
    "#\t0x1\tmain.f+0x0\t/a.go:1\n",
    "main.f(0x1)\n",
    "\t/a.go:1 +0x1\n",
    "created by main.f in goroutine 1\n",
    "...2 frames elided...\n",
    "[originating from goroutine 1]:\n",
    "\n",
    ":",
    "(",
    "[",
    "]",
    " ",
    "9" * 30,
]


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=40).map("".join))
def test_any_text_is_read_or_refused(text):
    try:
        dump = parse(text)
    except Malformed:
        return
    assert all(bucket.count >= bucket.leaked >= 0 for bucket in dump.buckets)


@given(st.integers(0, 3000))
def test_any_cut_of_a_real_dump_is_read_or_refused(size):
    whole = (RECORDINGS / "healthy" / "goroutine.txt").read_text()
    try:
        assert parse(whole[:size]).total <= parse(whole).total
    except Malformed:
        assert size < whole.index("\n") + 1


@pytest.mark.parametrize(
    "piece", ["goroutine 1 [", "goroutine 1 [a]:\n", "main.f((", "\t:1:", "#\t", "1 @ 0x1 ", ", ["]
)
def test_cost_grows_with_length_only(piece):
    start = process_time()
    parse("goroutine 1 [select]:\n" + piece * (1_000_000 // len(piece)))
    parse("goroutine profile: total 1\n" + piece * (1_000_000 // len(piece)))
    assert process_time() - start < 5


@pytest.mark.parametrize(("folder", "leaks"), [("leak", 118), ("healthy", 0)])
def test_real_dumps(folder, leaks):
    later, leaked = (
        parse((RECORDINGS / folder / f"{name}.txt").read_text()) for name in ("goroutine", "goroutineleak")
    )
    assert not later.truncated
    assert sum(bucket.count for bucket in later.buckets if bucket.state == "chan send") == leaks
    assert leaked.total == leaks
    assert all(bucket.frames for bucket in later.buckets)
