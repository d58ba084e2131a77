import gzip
import json
import os
import socket
import time

import pytest

from sre_platform.clients import http
from sre_platform.kernel.errors import Malformed, Rejected, TooLarge, Unavailable
from tests.fakes.wire import Answer, serving


def test_sends_and_reads():
    with serving(lambda call: Answer(201, json.dumps({"got": call.json()}).encode(), {"X-Two": "2"})) as wire:
        answer = http.request("POST", f"{wire.url}/a?b=c", json={"x": 1}, headers={"X-One": "1"}, auth=("u", "p"))
    assert (answer.status, answer.json(), answer.headers["x-two"]) == (201, {"got": {"x": 1}}, "2")
    [call] = wire.calls
    assert (call.method, call.path, call.headers["x-one"]) == ("POST", "/a?b=c", "1")
    assert call.headers["authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("status", "error"), [(302, Rejected), (400, Rejected), (404, Rejected), (429, Unavailable), (503, Unavailable)]
)
def test_statuses_become_typed_errors(status, error):
    with serving(Answer(status, b"because " * 100, {"Location": "/elsewhere"})) as wire:
        with pytest.raises(error, match=f"answered {status}: because") as caught:
            http.request("GET", wire.url)
        assert http.request("GET", wire.url, raise_for_status=False).status == status
    assert len(str(caught.value)) < 400
    assert len(wire.calls) == 2, "a redirect must not be followed"


def test_an_answer_that_is_quoted_can_be_stored():
    with serving(Answer(500, b"no\0thing")) as wire, pytest.raises(Unavailable, match="no\ufffdthing"):
        http.request("GET", wire.url)


def test_too_large_even_when_it_comes_compressed():
    bomb = gzip.compress(b"0" * 5_000_000)
    with serving(Answer(200, bomb, {"Content-Encoding": "gzip"})) as wire:
        with pytest.raises(TooLarge, match="1000000 bytes"):
            http.request("GET", wire.url, max_bytes=1_000_000)
        assert len(http.request("GET", wire.url).body) == 5_000_000


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "", "Connection": "close"}])
def test_the_deadline_ends_an_answer_that_drips(headers):
    with serving(Answer(200, b"x" * 100, headers, drip=0.1)) as wire:
        began = time.monotonic()
        with pytest.raises(Unavailable, match=r"did not finish within 0\.4 s"):
            http.request("GET", wire.url, deadline_s=0.4)
        assert time.monotonic() - began < 2


def test_silence_is_unavailable():
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Unavailable):
        http.request("GET", f"http://127.0.0.1:{silent.getsockname()[1]}/", timeout=(0.3, 0.3))


def test_nobody_there_is_unavailable_and_keeps_the_secret():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(Unavailable, match="refused") as caught:
        http.request("GET", f"http://user:hunter2@127.0.0.1:{port}/x?token=hunter2")
    assert "hunter2" not in str(caught.value)


def test_an_answer_that_ends_early_is_unavailable():
    half = Answer(200, b"half", {"Content-Length": "8", "Connection": "close"})
    with serving(half) as wire, pytest.raises(Unavailable):
        http.request("GET", wire.url)


@pytest.mark.parametrize(
    "url", ["ftp://x/", "file:///etc/passwd", "//x", "http://", "http://[x", "http://x:99999/", ""]
)
def test_only_http_urls(url):
    with pytest.raises(Malformed, match="not an http"):
        http.request("GET", url)


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "2852039166", "0xa9.254.169.254"]
)
def test_link_local_addresses_are_refused(host):
    with pytest.raises(Rejected, match="link-local"):
        http.request("GET", f"http://{host}/latest/meta-data/")


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("[fd00:ec2::254]", "metadata"),
        ("[fd20:ce::254]", "metadata"),
        ("100.100.100.200", "metadata"),
        ("[::ffff:100.100.100.200]", "metadata"),
        ("[64:ff9b::a9fe:a9fe]", "link-local"),
    ],
)
def test_the_clouds_other_metadata_addresses_are_refused(host, kind):
    with pytest.raises(Rejected, match=f"the {kind} address"):
        http.request("GET", f"http://{host}/latest/meta-data/")


def test_a_server_that_repeats_the_token_in_its_complaint_does_not_bring_it_into_a_message():
    answer = http.Response(403, {}, b"no right for Authorization: Bearer abcdefgh12345678", "http://x/y")
    with pytest.raises(Rejected, match="answered 403: no right") as caught:
        http.check_status(answer, "PUT")
    assert "abcdefgh" not in str(caught.value)


def test_a_name_that_resolves_to_a_link_local_address_is_refused(monkeypatch):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: found)
    with pytest.raises(Rejected, match=r"metadata\.example is the link-local address"):
        http.request("GET", "http://metadata.example/")


def test_environment_proxies_and_cookies_are_ignored(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with serving(Answer(200, b"{", {"Set-Cookie": "a=b"})) as wire:
        answer = http.request("GET", wire.url)
        http.request("GET", wire.url)
    assert all("cookie" not in call.headers for call in wire.calls)
    with pytest.raises(Malformed, match="not JSON"):
        answer.json()


def test_a_forked_child_opens_its_own_connection():
    with serving(Answer(200)) as wire:
        http.request("GET", wire.url)
        child = os.fork()
        if child == 0:
            os._exit(0 if not http._local.__dict__ else 1)
        assert os.waitpid(child, 0)[1] == 0
