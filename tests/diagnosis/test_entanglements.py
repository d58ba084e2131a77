"""Locks: who holds what, by address, by the shape of the stacks, or nobody."""

import pytest

from sre_platform.diagnosis.parsers.goroutine_calls import Argument, calls
from sre_platform.diagnosis.parsers.goroutines import parse
from sre_platform.diagnosis.rca import lock_graph
from sre_platform.diagnosis.rca.goroutine_report import report

A, B, C, D = 0xC000100000, 0xC000200000, 0xC000300000, 0xC000400000  # objects
MUTEX = """internal/sync.(*Mutex).lockSlow({lock:#x})
\t/usr/local/go/src/internal/sync/mutex.go:149 +0x15a
sync.(*Mutex).Lock(...)
\t/usr/local/go/src/sync/mutex.go:46
"""
READ = """sync.runtime_SemacquireRWMutexR(0x0?, 0x0?, 0x0?)
\t/usr/local/go/src/runtime/sema.go:100 +0x25
sync.(*RWMutex).RLock(...)
\t/usr/local/go/src/sync/rwmutex.go:74
"""
WRITE = """sync.runtime_SemacquireRWMutex(0x0?, 0x0?, 0x0?)
\t/usr/local/go/src/runtime/sema.go:105 +0x25
sync.(*RWMutex).Lock(0x0?)
\t/usr/local/go/src/sync/rwmutex.go:155 +0x65
"""
ONCE = """sync.(*Once).doSlow(0x1?, 0x2?)
\t/usr/local/go/src/sync/once.go:{line} +0x48
sync.(*Once).Do(...)
\t/usr/local/go/src/sync/once.go:69
"""
NETWORK = """net.(*conn).Read(0x1, {0x2, 0x3, 0x4})
\t/usr/local/go/src/net/net.go:196 +0x45
"""
ROUND_TRIP = "net/http.(*persistConn).roundTrip(0x1)\n\tnet/http/transport.go:9 +0x1\n"


def call(function, line, *arguments):
    words = ", ".join(a if isinstance(a, str) else hex(a) for a in arguments)
    return f"{function}({words})\n\t/src/shop/{function.split('.')[-1].lower()}.go:{line} +0x1d\n"


def goroutine(id_, state, *parts, parent=7, starter="main.start", file="/src/shop/start.go"):
    created = f"created by {starter} in goroutine {parent}\n\t{file}:5 +0x4f\n"
    return f"goroutine {id_} [{state}]:\n{''.join(parts)}{created}\n"


def locked(id_, lock, *parts, **more):
    return goroutine(id_, "sync.Mutex.Lock", MUTEX.format(lock=lock), *parts, **more)


def told(*goroutines):
    """Cause and line of the first finding, the lines of those who only wait, and the kind of evidence."""
    found = report(parse("".join(goroutines)))
    first = found.causes[0]
    return first.cause, first.site.line, first.evidence


def test_two_locks_in_two_orders():
    one = locked(11, B, call("main.(*Till).Take", 20, B), call("main.(*Cart).Pay", 30, A))
    other = locked(12, A, call("main.(*Cart).Show", 40, A), call("main.(*Till).Close", 50, B))
    cause, line, evidence = told(one, other)
    assert (cause, evidence) == ("lock_order_abba", "lock-cycle")
    assert line in (20, 40)


def test_one_line_that_locks_two_accounts_in_the_order_of_its_arguments():
    one = locked(11, B, call("main.move", 20, A, B))
    other = locked(12, A, call("main.move", 20, B, A))
    assert told(one, other) == ("lock_order_abba", 20, "lock-cycle")


def test_circle_of_three():
    ring = [(11, B, A), (12, C, B), (13, A, C)]
    assert told(*(locked(n, lock, call("main.move", 20, own, lock)) for n, lock, own in ring))[0] == "lock_order_abba"


def test_second_lock_of_a_chain_whose_holder_shows_no_address():
    one = locked(11, B, call("main.(*Till).Take", 20, "0x0?"), call("main.(*Cart).Pay", 30, A))
    other = locked(12, A, call("main.(*Cart).Show", 40, A), call("main.run", 50, "0x0?"))
    assert told(one, other)[0] == "lock_order_abba"


def test_locks_by_closures_that_were_started_together():
    one = locked(11, A, call("main.start.func1", 20))
    other = locked(12, B, call("main.start.func2", 30))
    cause, _, evidence = told(one, other)
    assert (cause, evidence) == ("lock_order_abba", "state")


def test_own_outer_call_has_the_lock():
    waiter = locked(11, A + 24, call("main.(*Page).init", 20, A), call("main.(*Page).Render", 30, A))
    assert told(waiter) == ("mutex_double_lock", 20, "lock-cycle")


def test_address_that_may_be_stale_is_none():
    waiter = locked(11, A + 24, call("main.save", 20, "0x0?"), call("main.(*Page).Render", 30, f"{A:#x}?"))
    assert told(waiter) == ("mutex_missing_unlock", 20, "state")


def test_nobody_holds_it():
    waiters = [locked(n, A, call("main.(*Cart).Put", 20, A)) for n in (11, 12, 13)]
    assert told(*waiters) == ("mutex_missing_unlock", 20, "state")


def test_holder_that_waits_for_a_channel():
    holder = goroutine(11, "chan send", call("main.(*Board).Set", 45, A))
    waiter = locked(12, A, call("main.(*Board).Drop", 38, A), call("main.(*Board).sync", 30))
    assert told(holder, waiter) == ("chan_lock_cycle", 45, "lock-cycle")


@pytest.mark.parametrize(
    ("state", "stack"),
    [
        ("IO wait", NETWORK),
        ("select", "net/http.(*persistConn).roundTrip(0x1)\n\tnet/http/transport.go:9 +0x1\n"),
        ("sleep", ""),
    ],
)
def test_holder_that_waits_for_the_world(state, stack):
    holder = goroutine(11, state, stack, call("main.(*Cart).Quote", 45, A))
    waiters = [locked(n, A, call("main.(*Cart).Put", 20, A)) for n in (12, 13)]
    assert told(holder, *waiters) == ("mutex_held_across_io", 45, "lock-cycle")


def test_holder_that_runs_will_let_go():
    holder = goroutine(11, "running", call("main.(*Cart).Total", 45, A))
    waiters = [locked(n, A, call("main.(*Cart).Put", 20, A)) for n in (12, 13)]
    found = report(parse("".join([holder, *waiters])))
    assert found.leak is None
    assert {cause.evidence for cause in found.causes} == {"state"}


def test_stuck_further_on_in_the_function_that_locks():
    """Closures keep the lock where no address shows; the one behind the waiters' line has it."""
    waiters = [locked(n, A, call("main.round.func1", 63, C + 32 * n)) for n in (11, 12)]
    holder = goroutine(13, "chan receive", call("main.elect.func4", 49), call("main.round.func1", 68, C))
    assert told(*waiters, holder)[:2] == ("chan_lock_cycle", 49)


def test_sender_in_a_method_of_the_type_that_is_locked():
    waiter = locked(11, A + 8, call("main.(*Framer).monitor", 36, A), call("main.(*Framer).run", 20, A))
    sender = goroutine(12, "chan send", call("main.(*Framer).Write", 51, "0x0?"))
    assert told(waiter, sender)[:2] == ("chan_lock_cycle", 51)


def test_parent_that_waits_for_the_locked_child_is_not_its_holder():
    parent = goroutine(7, "chan receive", call("main.start", 95), parent=1, starter="main.main")
    waiters = [locked(n, A, call("main.(*Pool).New", 30, A)) for n in (11, 12)]
    found = report(parse("".join([parent, *waiters])))
    assert (found.causes[0].cause, found.causes[0].site.line) == ("mutex_missing_unlock", 30)
    assert [victim.bucket.state for victim in found.victims] == ["chan receive"]


def test_requests_of_one_server_are_no_siblings():
    serve = {"starter": "net/http.(*Server).Serve", "file": "/usr/local/go/src/net/http/server.go", "parent": 21}
    waiter = locked(11, A, call("main.(*Cart).Put", 20, A), **serve)
    sender = goroutine(12, "chan send", call("main.(*Mail).Post", 51, B), **serve)
    sites = {(cause.cause, cause.site.line) for cause in report(parse(waiter + sender)).causes}
    assert sites == {("mutex_missing_unlock", 20), ("chan_send_no_receiver", 51)}


def test_reader_that_reads_again_behind_a_writer():
    reader = goroutine(
        11, "sync.RWMutex.RLock", READ, call("main.(*Cache).String", 37, A), call("main.(*Cache).Look", 30, A)
    )
    writer = goroutine(12, "sync.RWMutex.Lock", WRITE, call("main.(*Cache).Put", 46, A))
    late = goroutine(13, "sync.RWMutex.RLock", READ, call("main.(*Cache).Look", 29, A))
    assert told(late, writer, reader) == ("rwmutex_recursive_rlock", 37, "lock-cycle")


def test_writer_whose_readers_have_left_without_unlocking():
    writer = goroutine(11, "sync.RWMutex.Lock", WRITE, call("main.(*Cache).Put", 46, A))
    late = [goroutine(n, "sync.RWMutex.RLock", READ, call("main.(*Cache).Look", 29, A)) for n in (12, 13)]
    assert told(*late, writer)[:2] == ("mutex_missing_unlock", 46)


def test_once_inside_of_itself():
    inner = MUTEX.format(lock=A) + ONCE.format(line=74) + call("main.(*Conf).load", 20, B)
    waiter = goroutine(11, "sync.Mutex.Lock", inner, ONCE.format(line=78), call("main.(*Conf).Get", 30, B))
    assert told(waiter) == ("once_reentered", 20, "lock-cycle")


def test_who_waits_for_a_once_waits_for_who_runs_it():
    do = call("main.(*Page).plain", 64)
    waiter = goroutine(11, "sync.Mutex.Lock", MUTEX.format(lock=A), ONCE.format(line=74), do)
    inside = [call("main.(*Page).plain.func1", 66), ONCE.format(line=78), do, call("main.(*Page).Init", 60, B)]
    runner = locked(12, B + 36, *inside)
    found = report(parse(waiter + runner))
    assert (found.causes[0].cause, found.causes[0].site.line) == ("mutex_double_lock", 66)
    assert [victim.bucket.samples[0].id for victim in found.victims] == [11]


def test_hang_that_was_there_before_needs_no_growth():
    one = locked(11, B, call("main.move", 20, A, B))
    other = locked(12, A, call("main.move", 20, B, A))
    dump = parse(one + other)
    assert report(dump, dump).leak is True
    gone = parse((one + other).replace("goroutine 11", "goroutine 91").replace("goroutine 12", "goroutine 92"))
    assert report(dump, gone).leak is False, "two others waited for each other before: they come and go"


def test_arguments_are_words_and_what_is_known_of_them():
    text = "main.f(0xc000001000, {0x7f, 0xc000002000?}, {{0x1, 0x2}, 0x3}, 0xc000003000?, 0x5, ...)\n\t/a.go:1 +0x1\n"
    ((parsed),) = calls(parse(goroutine(11, "select", text)).buckets[0].samples[0])
    assert parsed.pointers == (0xC000001000,)
    assert parsed.arguments[1] == Argument((0x7F, 0xC000002000), False)
    assert parsed.arguments[2] == Argument((1, 2, 3), True)
    assert [argument.exact for argument in parsed.arguments] == [True, False, True, False, True]


def test_circle_is_found_behind_a_long_row_of_waiters():
    row = [(20 + n, D + n * 64) for n in range(40)]  # each has the lock of the one before within reach
    waiting = [locked(n, lock, call("main.hold", n, lock)) for n, lock in row]
    ring = [(11, B, A), (12, A, B)]
    circle = [locked(n, lock, call("main.move", n, own, lock)) for n, lock, own in ring]
    found = [cause for cause in report(parse("".join(waiting + circle))).causes if cause.evidence == "lock-cycle"]
    assert [{c.site.line for c in found if c.knot == knot} for knot in {c.knot for c in found}].count({11, 12}) == 1


def test_circles_are_looked_for_only_where_there_can_be_some(monkeypatch):
    looked: list[object] = []
    way_back = lock_graph._way_back
    monkeypatch.setattr(lock_graph, "_way_back", lambda start, *more: looked.append(start) or way_back(start, *more))
    row = [locked(20 + n, D + n * 64, call("main.hold", n + 1, D + n * 64)) for n in range(40)]
    graph = lock_graph.LockGraph(parse("".join(row)))
    assert len(graph.groups) == 40
    assert graph.circles() == []
    assert looked == []
