"""The whole way from dumps to causes: in which order, who is only a victim, and nothing that makes it fall over."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sre_platform.diagnosis.domain import Site
from sre_platform.diagnosis.parsers.goroutines import Bucket, Dump, Frame, Goroutine, parse
from sre_platform.diagnosis.rca.goroutine_answer import answer
from sre_platform.diagnosis.rca.goroutine_report import report
from sre_platform.diagnosis.rca.goroutine_words import confidence
from sre_platform.kernel.errors import Malformed
from tests.diagnosis.test_goroutine_corpus import cases

MAIN = Site("main.start", "shop/main.go", 7)


def own(line, function="main.work"):
    return Frame(function, "shop/work.go", line)


def bucket(state, count, *frames, first_id=100, created_by=MAIN, parent=1, **more):
    people = tuple(Goroutine(first_id + n, parent, f"goroutine {first_id + n} [{state}]:\n") for n in range(count))
    return Bucket(state, frames or (own(12),), created_by, count, sample_id=first_id, samples=people[:64], **more)


def dump(*buckets):
    return Dump(sum(b.count for b in buckets), False, buckets)


def causes(*args):
    return [(cause.cause, cause.site.line if cause.site else None) for cause in report(*args).causes]


def test_what_grew_comes_before_a_proven_few_that_did_not():
    """Five that were lost long ago are a bug, but not why the service is sick now."""
    lost = bucket("chan receive", 5, own(40), leaked=5)
    before, after = dump(lost, bucket("select", 10)), dump(lost, bucket("select", 40))
    assert causes(after, before)[0][1] == 12
    few = report(dump(lost), dump(lost)).causes[0]
    assert confidence(few) < 0.8 <= confidence(report(after, before).causes[0])


@pytest.mark.parametrize(
    ("state", "starter", "cause"),
    [
        ("chan receive", "shop/hub.(*Hub).Subscribe", "subscriber_never_unsubscribed"),
        ("chan send", "shop/pool.(*Limiter).Acquire", "semaphore_not_released"),
        ("chan receive", "shop/pool.(*Limiter).Acquire", "semaphore_not_released"),
        ("chan receive", "shop/cart.(*Debouncer).Start", "timer_stopped_receive"),
        ("chan receive", "shop/cart.Start", "chan_recv_no_sender"),
    ],
)
def test_names_tell_what_a_channel_is_for(state, starter, cause):
    born = Site(starter, "shop/x.go", 3)
    before = dump(bucket(state, 10, created_by=born, minutes=(2, 2)))
    assert causes(dump(bucket(state, 40, created_by=born, minutes=(2, 2))), before) == [(cause, 12)]


def test_what_is_proven_is_in_no_registry():
    born = Site("shop/hub.(*Hub).Subscribe", "shop/x.go", 3)
    assert causes(dump(bucket("chan receive", 40, created_by=born, leaked=40))) == [("chan_recv_no_sender", 12)]


@pytest.mark.parametrize(("minutes", "cause"), [(None, "ticker_never_stopped"), ((2, 2), "select_no_ctx_done")])
def test_what_never_waits_for_a_minute_goes_round(minutes, cause):
    idle = bucket("IO wait", 1, own(90), first_id=5, minutes=(2, 2))
    before = dump(bucket("select", 10, minutes=minutes), idle)
    assert causes(dump(bucket("select", 40, minutes=minutes), idle), before) == [(cause, 12)]


def with_context(type_, value):
    text = f"goroutine 100 [select]:\nmain.work({{{type_:#x}, {value:#x}}}, 0xc000001000)\n\tshop/work.go:12 +0x1d\n"
    return Bucket("select", (own(12),), MAIN, 40, (2, 2), sample_id=100, samples=(Goroutine(100, 1, text),))


@pytest.mark.parametrize(
    ("type_", "value", "cause"),
    [
        (0xA031A0, 0xBDE2C0, "context_not_propagated"),
        (0xA031A0, 0xC000302300, "ctx_never_cancelled"),
        (0xC000302300, 0x5, "select_no_ctx_done"),
    ],
    ids=["context.Background()", "one that can be cancelled", "a string"],
)
def test_kind_of_context_that_a_select_was_given(type_, value, cause):
    assert causes(dump(with_context(type_, value)), dump()) == [(cause, 12)]


def test_methods_of_one_object_that_all_send_wait_for_each_other():
    fellows = [bucket("chan send", 1, own(n, "main.(*Peer).tell"), first_id=100 + n) for n in (20, 30)]
    assert {cause for cause, _ in causes(dump(*fellows))} == {"chan_wait_cycle"}


def test_one_finding_for_each_line():
    loops = [
        bucket("select", 30, Frame(f"net/http.(*persistConn).{name}", "net/http/transport.go", 9), first_id=n)
        for n, name in ((100, "readLoop"), (200, "writeLoop"))
    ]
    assert causes(dump(*loops), dump()) == [("http_body_not_closed", None)]


def test_of_two_that_wait_for_each_other_none_is_only_a_victim():
    one = bucket("chan receive", 1, own(80, "main.a"), first_id=9, created_by=Site("main.b", "w.go", 1), parent=10)
    other = bucket("chan receive", 1, own(90, "main.b"), first_id=10, created_by=Site("main.a", "w.go", 2), parent=9)
    assert {line for _, line in causes(dump(one, other))} == {80, 90}


@pytest.mark.parametrize("state", ["", "coroutine", "some day's new wait reason"])
def test_what_is_proven_has_a_cause_whatever_it_waits_for(state):
    assert causes(dump(bucket(state, 40, leaked=40))) == [("chan_send_no_receiver", 12)]


def test_children_that_are_stuck_make_a_victim_of_their_parent():
    parent = bucket("sync.WaitGroup.Wait", 1, own(80, "main.batch"), first_id=9)
    child = bucket("chan send", 1, own(12), created_by=Site("main.batch", "shop/work.go", 70), parent=9)
    told = report(dump(parent, child))
    assert [cause.cause for cause in told.causes] == ["chan_send_no_receiver"]
    assert [(victim.bucket.state, victim.waits_for) for victim in told.victims] == [("sync.WaitGroup.Wait", 0)]


KERNELS = [case["goroutine"].split("\n") for case in cases("kernel")]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_dump_gets_an_answer(data):
    """Kernels put together and mutilated: a report or a refusal, and its answer can be written as JSON."""
    lines = [line for lines in data.draw(st.lists(st.sampled_from(KERNELS), min_size=1, max_size=4)) for line in lines]
    for _ in range(data.draw(st.integers(0, 10))):
        at, other = data.draw(st.integers(0, len(lines) - 1)), data.draw(st.integers(0, len(lines) - 1))
        lines[at] = data.draw(st.sampled_from([lines[other], "", lines[at][1:], lines[at] + ")", lines[at][::-1]]))
    try:
        told = answer("x", report(parse("\n".join(lines))))
    except Malformed:
        return
    assert all(0 <= victim["waits_for"] < len(told["findings"]) for victim in told["victims"])
    assert all(finding["because"] and finding["advice"] for finding in told["findings"])
