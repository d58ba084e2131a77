"""Profiles behind authentication: the secret is in the request, and nowhere else."""

import base64
import shutil
import ssl
import subprocess
import threading

import pytest

from sre_platform.clients import http
from sre_platform.clients.pprof import Door
from sre_platform.kernel.errors import Malformed, Rejected, SreError, TooLarge, Unavailable
from tests.fakes.wire import Answer, Wire, serving

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


@pytest.fixture
def secured(tmp_path):
    """A server behind TLS whose certificate only its own authority vouches for: its URL, and the certificate's file."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    made += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(made, check=True, capture_output=True)
    wire = Wire(lambda _call: Answer(200, b"profile"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    wire._server.socket = context.wrap_socket(wire._server.socket, server_side=True)
    with wire.running():
        yield wire, wire.url.replace("http:", "https:"), certificate


def in_new_thread(act):
    """A thread has a session of its own, so it sees the environment as it is now."""
    caught = []

    def run():
        try:
            caught.append(act())
        except SreError as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(10)
    return caught[0]


def test_https_is_verified_before_any_secret_is_sent(secured, monkeypatch):
    wire, url, certificate = secured
    monkeypatch.setenv("PPROF_TOKEN", TOKEN)
    door = Door(url, bearer_env="PPROF_TOKEN")
    refused = in_new_thread(lambda: door.fetch("heap", deadline_s=3))
    assert isinstance(refused, Unavailable)
    assert "certificate" in str(refused)
    assert wire.calls == []
    monkeypatch.setenv("SRE_CA_BUNDLE", str(certificate))
    assert in_new_thread(lambda: door.fetch("heap", deadline_s=3)) == b"profile"
    assert wire.calls[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert http.shown(url) == url
