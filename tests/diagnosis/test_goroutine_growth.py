"""Which buckets are suspected, where in the owner's code, and in which order."""

from time import process_time

import pytest

from sre_platform.diagnosis.domain import Site
from sre_platform.diagnosis.parsers.goroutines import Bucket, Dump, Frame
from sre_platform.diagnosis.rca.code import is_standard_library, user_site
from sre_platform.diagnosis.rca.goroutine_growth import MIN_GROWTH, suspects

PARK = Frame("internal/poll.runtime_pollWait", "/usr/local/go/src/runtime/netpoll.go", 351)
MAIN = Site("main.main", "lab/orders/main.go", 7)


def user(line, function="main.work"):
    return Frame(function, "lab/orders/work.go", line)


def bucket(count, *frames, state="chan send", created_by=MAIN, **more):
    return Bucket(state, frames or (user(12),), created_by, count, **more)


def dump(*buckets, truncated=False):
    return Dump(sum(b.count for b in buckets), truncated, buckets)


def lines(found):
    return [suspect.site.line if suspect.site else None for suspect in found]


def test_growth_makes_suspect():
    (suspect,) = suspects(dump(bucket(5)), dump(bucket(5 + MIN_GROWTH)), None)
    assert (suspect.evidence, suspect.growth, suspect.victim) == ("growth", MIN_GROWTH, False)
    assert suspect.site == Site("main.work", "lab/orders/work.go", 12)


def test_bucket_that_is_new_grew_from_nothing():
    assert suspects(dump(), dump(bucket(MIN_GROWTH)), None)[0].growth == MIN_GROWTH


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (dump(bucket(200)), dump(bucket(200 + MIN_GROWTH - 1))),
        (dump(bucket(200)), dump(bucket(10))),
        (None, dump(bucket(100_000))),
        (dump(bucket(5), truncated=True), dump(bucket(500))),
        (dump(bucket(5, state="running")), dump(bucket(500, state="running"))),
        (dump(bucket(5, state="")), dump(bucket(500, state=""))),
    ],
    ids=["below", "shrinks", "no earlier dump", "cut earlier dump", "does not wait", "may not wait"],
)
def test_no_evidence_no_suspect(earlier, later):
    assert suspects(earlier, later, None) == []


def test_a_place_that_goroutines_pass_is_no_leak():
    earlier, later = dump(bucket(29, sample_id=400)), dump(bucket(42, sample_id=700))
    assert suspects(earlier, later, None) == []


def test_a_leak_that_began_at_such_a_place_is_seen():
    earlier, later = dump(bucket(3, sample_id=400)), dump(bucket(42, sample_id=700))
    assert suspects(earlier, later, None)[0].growth == 39


@pytest.mark.parametrize(("after", "found"), [(100_600, []), (101_000, [12])])
def test_of_goroutines_without_numbers_some_come_and_go(after, found):
    """A profile in protobuf has none: traffic moves by 3 standard deviations (949 of 100,000) all by itself."""
    assert lines(suspects(dump(bucket(100_000)), dump(bucket(after)), None)) == found


@pytest.mark.parametrize(
    ("left", "came", "found"),
    [(0, MIN_GROWTH, [12]), (0, MIN_GROWTH - 1, []), (200, 240, []), (200, 300, [12]), (5, 12, [])],
    ids=["none left", "too few", "traffic", "a leak in traffic", "few of few"],
)
def test_growth_is_held_against_those_who_left(left, came, found):
    before = bucket(1000, ids=range(1000), sample_id=0)
    after = bucket(1000 - left + came, ids=[*range(left, 1000), *range(5000, 5000 + came)], sample_id=0)
    assert lines(suspects(dump(before), dump(after), None)) == found


def test_the_oldest_goroutine_stays_in_a_leak():
    earlier, later = dump(bucket(29, sample_id=400)), dump(bucket(42, sample_id=400))
    assert suspects(earlier, later, None)[0].growth == 13


def connections(count, sample_id):
    names = ("readLoop", "writeLoop")
    frames = [Frame(f"net/http.(*persistConn).{name}", "net/http/transport.go", 9) for name in names]
    return [bucket(count, frame, state="select", created_by=None, sample_id=sample_id) for frame in frames]


def round_trips(count, sample_id):
    call = Frame("net/http.(*persistConn).roundTrip", "net/http/transport.go", 3092)
    return bucket(count, call, user(73), state="select", sample_id=sample_id)


def test_connections_in_use_by_passing_requests_are_no_leak():
    earlier = dump(round_trips(30, 50), *connections(30, 5))
    assert suspects(earlier, dump(round_trips(45, 80), *connections(45, 5)), None) == []


def test_connections_that_nobody_uses_are_suspect():
    found = suspects(dump(*connections(30, 5)), dump(round_trips(1, 80), *connections(45, 5)), None)
    assert lines(found) == [None, None]


def test_callers_that_stay_come_before_their_connections():
    earlier = dump(round_trips(30, 50), *connections(30, 5))
    assert lines(suspects(earlier, dump(round_trips(45, 50), *connections(45, 5)), None)) == [73, None, None]


@pytest.mark.parametrize(("child_before", "child_after", "found"), [(50, 80, []), (50, 50, [80, 12])])
def test_parent_of_passing_children_is_no_leak(child_before, child_after, found):
    """A connection's goroutine serves request after request and waits for the goroutine of each."""

    def serving(count, child_id):
        start = Site("main.serve", "lab/orders/work.go", 70)
        parent = bucket(count, user(12, "main.serve"), state="select", sample_id=1)
        return dump(parent, bucket(count, user(80), state="sleep", created_by=start, sample_id=child_id))

    assert lines(suspects(serving(20, child_before), serving(30, child_after), None)) == found


def test_lock_waiters_are_no_victims_of_a_select_that_only_grows():
    waiters, chooser = bucket(60, user(50), state="sync.Mutex.Lock"), bucket(12, state="select")
    assert lines(suspects(dump(), dump(waiters, chooser), None)) == [50, 12]


def test_leak_profile_proves_without_growth():
    proof = dump(bucket(3, state="", created_by=None, leaked=3))
    (suspect,) = suspects(None, dump(bucket(4)), proof)
    assert (suspect.evidence, suspect.growth) == ("gc-proof", None)
    assert (suspect.bucket.count, suspect.bucket.leaked, suspect.bucket.created_by) == (4, 3, MAIN)


def test_runtime_frames_do_not_hinder_the_proof():
    hidden = Frame("runtime.gopark", "/usr/local/go/src/runtime/proc.go", 462)
    proof = dump(bucket(3, hidden, user(12), state="", created_by=None, leaked=3))
    assert [s.bucket.leaked for s in suspects(None, dump(bucket(4)), proof)] == [3]


def test_stack_longer_than_debug_2_shows_is_proven():
    deep = [user(line) for line in range(120)]
    later, proof = dump(bucket(4, *deep[:50], *deep[70:])), dump(bucket(4, *deep, created_by=None, leaked=4))
    assert [s.bucket.leaked for s in suspects(None, later, proof)] == [4]


def test_two_creators_share_one_proof():
    later = dump(bucket(5), bucket(3, created_by=Site("main.other", "lab/orders/main.go", 9)))
    proof = dump(bucket(6, created_by=None, leaked=6))
    assert [s.bucket.leaked for s in suspects(None, later, proof)] == [5, 1]


def test_proof_without_a_place_in_the_dump_stands_alone():
    (suspect,) = suspects(None, dump(bucket(4)), dump(bucket(2, user(99), created_by=None, leaked=2)))
    assert (suspect.site, suspect.growth) == (Site("main.work", "lab/orders/work.go", 99), None)


def test_mark_in_the_dump_itself_is_proof():
    assert suspects(None, dump(bucket(4, leaked=1)), None)[0].evidence == "gc-proof"


def test_dumps_of_two_forms_compare_by_place():
    summary = dump(bucket(40, state="", created_by=None))
    assert suspects(summary, dump(bucket(42)), None) == []
    assert suspects(summary, dump(bucket(60)), None)[0].growth == 20


def test_proof_comes_before_growth_and_growth_before_size():
    earlier = dump(bucket(0), bucket(90, user(20), sample_id=1), bucket(10, user(30)))
    later = dump(bucket(2), bucket(100, user(20), sample_id=1), bucket(30, user(30)))
    assert lines(suspects(earlier, later, dump(bucket(2, created_by=None, leaked=2)))) == [12, 30, 20]


def test_own_code_comes_before_library_code():
    idle = bucket(50, PARK, state="IO wait")
    assert lines(suspects(dump(), dump(idle, bucket(20)), None)) == [12, None]


def test_lock_waiters_are_victims_of_a_blocked_channel_operation():
    waiters = bucket(60, user(50), state="sync.Mutex.Lock", leaked=60)
    found = suspects(None, dump(waiters, bucket(1, leaked=1)), None)
    assert lines(found) == [12, 50]
    assert [suspect.victim for suspect in found] == [False, True]


def test_parent_that_waits_for_its_children_is_a_victim():
    parent = bucket(40, user(80, "main.batch"), state="sync.WaitGroup.Wait", leaked=40)
    child = bucket(10, leaked=10, created_by=Site("main.batch", "lab/orders/work.go", 70))
    assert lines(suspects(None, dump(parent, child), None)) == [12, 80]


def test_lock_waiters_are_no_victims_of_their_waiting_parent():
    parent = bucket(9, user(80, "main.batch"), state="chan receive", leaked=9)
    child = bucket(2, state="sync.Mutex.Lock", leaked=2, created_by=Site("main.batch", "lab/orders/work.go", 70))
    assert lines(suspects(None, dump(parent, child), None)) == [12, 80]


def test_goroutine_that_starts_its_like_is_not_its_own_victim():
    itself = bucket(9, user(80, "main.batch"), state="select", leaked=9, created_by=Site("main.batch", "a.go", 1))
    assert [suspect.victim for suspect in suspects(None, dump(itself), None)] == [False]


@pytest.mark.parametrize(
    ("function", "file"),
    [
        ("net/http.(*conn).serve", "/usr/local/go/src/net/http/server.go"),
        ("net/http.(*conn).serve", "net/http/server.go"),
        ("net/http.(*conn).serve", "GOROOT/net/http/server.go"),
        ("net/http.(*conn).serve", "C:\\Program Files\\Go\\src\\net\\http\\server.go"),
        ("net/http.(*conn).serve", "external/go_sdk/src/net/http/server.go"),
        ("time.Sleep", "/usr/local/go/src/runtime/time.go"),
        ("internal/sync.(*Mutex).lockSlow", "/usr/lib/go-1.24/src/internal/sync/mutex.go"),
        ("sync/atomic.(*Pointer[...]).Load", "sync/atomic/type.go"),
        ("vendor/golang.org/x/net/http2/hpack.(*Decoder).Write", "vendor/golang.org/x/net/http2/hpack/hpack.go"),
    ],
)
def test_standard_library(function, file):
    assert is_standard_library(Frame(function, file, 1))


@pytest.mark.parametrize(
    ("function", "file"),
    [
        ("main.(*cashier).hedge", "lab/orders/quote_v2.go"),
        ("main.main", "/src/cases/app/main.go"),
        ("main.main", "/home/me/go/src/log/main.go"),
        ("lab/internal/service.(*Client).send", "lab/internal/service/client.go"),
        ("lab/internal/service.(*Client).send", "/home/lab/internal/service/client.go"),
        ("github.com/lib/pq.(*conn).recv", "github.com/lib/pq@v1.10.9/conn.go"),
        ("github.com/lib/pq.(*conn).recv", "/root/go/pkg/mod/github.com/lib/pq@v1.10.9/conn.go"),
        ("golang.org/x/net/http2.(*Framer).ReadFrame", "golang.org/x/net@v0.1.0/http2/frame.go"),
        ("log.Write", "/home/me/log/write.go"),
        ("lab/src/net.Dial", "lab/src/net/dial.go"),
    ],
)
def test_not_the_standard_library(function, file):
    assert not is_standard_library(Frame(function, file, 1))


def test_site_is_the_innermost_own_line():
    wrapper = Frame("main.(*T).Close", "<autogenerated>", 1)
    assert user_site([PARK, wrapper, user(12), user(13)]) == Site("main.work", "lab/orders/work.go", 12)
    assert user_site([PARK]) is None


def test_many_suspects_cost_no_more_than_their_number():
    many = [bucket(1, user(n, f"main.f{n}"), state="select", leaked=1) for n in range(20_000)]
    start = process_time()
    assert len(suspects(None, dump(*many), None)) == 20_000
    assert process_time() - start < 5
