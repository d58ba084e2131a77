import threading
import time

from sre_platform.detection.courier import Courier, webhook
from sre_platform.detection.delivery import Alert, webhook_body
from sre_platform.kernel.errors import Unavailable
from tests.fakes.wire import Answer, serving


def body(name, ends_at=None):
    return webhook_body([Alert((("alertname", name), ("service", "s")), {}, 1.0, ends_at)])


def eventually(condition, seconds=5.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.005)


def test_posts_with_the_token_and_acknowledges():
    with serving(Answer(202)) as wire:
        courier = Courier(webhook(f"{wire.url}/hooks", "secret"))
        courier.start()
        courier.put(body("A"))
        eventually(lambda: wire.calls)
        courier.close()
    assert courier.delivered() == [body("A")]
    assert courier.delivered() == []
    [call] = wire.calls
    assert (call.method, call.path, call.headers["authorization"]) == ("POST", "/hooks", "Bearer secret")
    assert call.json()["alerts"][0]["labels"]["alertname"] == "A"


def test_unavailable_is_tried_again_and_only_the_newest_body_of_a_group_is_kept():
    up = threading.Event()
    with serving(lambda _call: Answer(200 if up.is_set() else 503)) as wire:
        courier = Courier(webhook(wire.url, ""), backoff_s=(0.02, 0.1))
        courier.start()
        courier.put(body("A"))
        courier.put(body("B"))
        eventually(lambda: len(wire.calls) >= 5)
        courier.put(body("A", ends_at=2.0))
        up.set()
        eventually(lambda: len(courier._delivered) == 2)
        time.sleep(0.2)
        courier.close()
    assert {(b.json["groupLabels"]["alertname"], b.json["status"]) for b in courier.delivered()} == {
        ("A", "resolved"), ("B", "firing")
    }  # fmt: skip


def test_a_refused_body_is_neither_repeated_nor_acknowledged():
    with serving(lambda call: Answer(401 if b'"A"' in call.body else 200)) as wire:
        courier = Courier(webhook(wire.url, "wrong"), backoff_s=(0.01, 0.01))
        courier.start()
        courier.put(body("A"))
        courier.put(body("B"))
        eventually(lambda: len(wire.calls) >= 2)
        time.sleep(0.1)
        courier.close()
    assert len(wire.calls) == 2
    assert courier.delivered() == [body("B")]


def test_what_is_on_its_way_when_it_closes_is_tried_once_more_all_the_same():
    closing, calls = threading.Event(), []

    def send(content):
        calls.append(content)
        closing.wait(5)
        raise Unavailable("The other side is away.")

    courier = Courier(send, backoff_s=(60, 60))
    courier.start()
    courier.put(body("A"))
    eventually(lambda: calls)
    threading.Timer(0.2, closing.set).start()
    courier.close()
    assert len(calls) == 2


def test_closing_tries_what_is_pending_once_more():
    with serving(Answer(503)) as wire:
        courier = Courier(webhook(wire.url, ""), backoff_s=(60, 60))
        courier.start()
        courier.put(body("A"))
        eventually(lambda: wire.calls)
        began = time.monotonic()
        courier.close()
    assert len(wire.calls) == 2
    assert time.monotonic() - began < 2
