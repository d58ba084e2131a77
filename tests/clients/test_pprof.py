"""Profiles behind authentication: the secret is in the request, and nowhere else."""

import base64

import pytest

from sre_platform.clients.pprof import Door
from sre_platform.kernel.errors import Malformed, Rejected, SreError, TooLarge, Unavailable
from tests.fakes.wire import Answer, serving

TOKEN = "s3cr3t-t0ken-of-ann"


def echo(call):
    """A server that refuses, and repeats what it was sent, as some proxies do."""
    return Answer(403, f"no: {call.headers.get('authorization')}".encode())


def test_a_bearer_token_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("PPROF_TOKEN", TOKEN + "\n")
    with serving(Answer(200, b"profile")) as wire:
        door = Door(f"{wire.url}/debug/pprof/", bearer_env="PPROF_TOKEN")
        assert door.fetch("heap", deadline_s=2) == b"profile"
    assert wire.calls[0].path == "/debug/pprof/heap"
    assert wire.calls[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_a_user_and_password_do_too(monkeypatch):
    monkeypatch.setenv("PPROF_USER", "ann:hunter2")
    with serving(Answer(200)) as wire:
        Door(wire.url, basic_env="PPROF_USER").fetch("heap", deadline_s=2)
    assert base64.b64decode(wire.calls[0].headers["authorization"].removeprefix("Basic ")) == b"ann:hunter2"


@pytest.mark.parametrize(("name", "secret"), [("bearer_env", TOKEN), ("basic_env", "ann:hunter2-and-more")])
def test_no_message_repeats_the_secret(monkeypatch, name, secret):
    monkeypatch.setenv("PPROF_SECRET", secret)
    with serving(echo) as wire, pytest.raises(Rejected) as caught:
        Door(wire.url, **{name: "PPROF_SECRET"}).fetch("heap", deadline_s=2)
    sent = wire.calls[0].headers["authorization"].partition(" ")[2]
    assert "answered 403: no: [redacted]" in str(caught.value)
    assert sent not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("name", "secret", "error"),
    [
        ("bearer_env", None, Unavailable),
        ("bearer_env", "  ", Unavailable),
        ("bearer_env", "a\nX-Injected: b", Malformed),
        ("basic_env", "nocolon", Malformed),
    ],
)
def test_a_secret_that_is_not_there_or_none_is_said_by_its_name(monkeypatch, name, secret, error):
    monkeypatch.delenv("PPROF_SECRET", raising=False)
    if secret is not None:
        monkeypatch.setenv("PPROF_SECRET", secret)
    with serving(Answer(200)) as wire, pytest.raises(error, match="PPROF_SECRET"):
        Door(wire.url, **{name: "PPROF_SECRET"}).fetch("heap", deadline_s=2)
    assert wire.calls == []


def test_what_was_asked_is_told_without_credentials():
    assert Door("http://ann:hunter2@a:1/debug/pprof/?token=x").shown("heap") == "GET http://a:1/debug/pprof/heap"


def test_bounds():
    with serving(Answer(200, b"x" * 100)) as wire, pytest.raises(TooLarge):
        Door(wire.url).fetch("heap", deadline_s=2, max_bytes=99)
    with serving(Answer(200, b"x" * 100, drip=0.1)) as wire, pytest.raises(Unavailable, match="did not finish"):
        Door(wire.url).fetch("heap", deadline_s=0.3)
    with pytest.raises(SreError):
        Door("https://127.0.0.1:1").fetch("heap", deadline_s=1)
