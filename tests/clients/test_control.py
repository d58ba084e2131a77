"""A control endpoint that answers badly: every answer is a value or a typed error, bounded in bytes and time."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sre_platform.clients.control import Changed, Control
from sre_platform.kernel.errors import Malformed, Rejected, SreError, TooLarge, Unavailable
from tests.fakes.wire import Answer, serving


def read(answer):
    with serving(answer) as wire:
        return Control(wire.url + "/control/", "t0ken").read("settings", "pool size/1"), wire.calls[0]


def test_a_document_has_its_content_and_its_version():
    document, call = read(Answer(200, b'{"value": 10}', {"ETag": '"7"'}))
    assert (document.content, document.etag) == ({"value": 10}, '"7"')
    assert call.path == "/control/settings/pool%20size%2F1"
    assert call.headers["authorization"] == "Bearer t0ken"


def test_without_a_token_none_is_sent_and_its_repr_shows_none():
    with serving(Answer(200, b"{}")) as wire:
        assert Control(wire.url).read("flags", "x").etag == ""
        assert "authorization" not in wire.calls[0].headers
    assert "t0ken" not in repr(Control("http://x", "t0ken"))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(200, b"[]"), Malformed),
        (Answer(200, b"null"), Malformed),
        (Answer(200, b"<html>"), Malformed),
        (Answer(200, b"\xff"), Malformed),
        (Answer(200, b"{}", {"ETag": "x" * 201}), Malformed),
        (Answer(200, b'"' + b"x" * 70_000), TooLarge),
        (Answer(301, b"", {"Location": "http://127.0.0.1:1/"}), Rejected),
        (Answer(401), Rejected),
        (Answer(404), Rejected),
        (Answer(429), Unavailable),
        (Answer(503), Unavailable),
    ],
)
def test_what_an_endpoint_may_answer(answer, error):
    with pytest.raises(error):
        read(answer)


def test_one_that_drips_is_not_waited_for():
    began = time.monotonic()
    with pytest.raises(Unavailable, match="did not finish within 5 s"):
        read(Answer(200, b"{" + b" " * 100 + b"}", drip=0.2))
    assert time.monotonic() - began < 9


@pytest.mark.parametrize(("status", "error"), [(412, Changed), (428, Rejected), (400, Rejected), (500, Unavailable)])
def test_a_write_that_is_not_taken(status, error):
    with serving(Answer(status)) as wire:
        with pytest.raises(error) as refused:
            Control(wire.url).write("settings", "pool", {"value": 1}, '"3"')
        assert wire.calls[0].headers["if-match"] == '"3"'
    assert (status == 412) is isinstance(refused.value, Changed)


def test_a_write_without_a_version_is_unconditional():
    with serving(Answer(200)) as wire:
        Control(wire.url).write("flags", "x", {"enabled": False}, "")
        assert "if-match" not in wire.calls[0].headers
        assert json.loads(wire.calls[0].body) == {"enabled": False}


@settings(max_examples=60, deadline=None)
@given(body=st.binary(max_size=60), status=st.sampled_from([200, 204, 400, 418, 503]))
def test_any_answer_is_a_document_or_a_typed_error(answering, body, status):
    answering.answer = lambda _call: Answer(status, b"" if status == 204 else body)
    try:
        assert isinstance(Control(answering.url).read("flags", "x").content, dict)
    except SreError as error:
        assert str(error)


@pytest.fixture(scope="module")
def answering():
    with serving(Answer(200)) as wire:
        yield wire
