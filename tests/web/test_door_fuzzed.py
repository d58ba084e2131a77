"""The door under bodies that nobody would send: a sentence for each, never a 5xx, and no memory kept."""

import gzip
import json
import os
import random
import resource
import socket
import string
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest

from sre_platform.embedded.parts import free_ports
from tests.fakes.alertmanager import alert, body

HOME = Path(__file__).resolve().parents[2]
BODIES = 10_000
SETUP = """
import django; django.setup()
from django.core.management import call_command
from sre_platform.intake import tokens
call_command("migrate", verbosity=0)
tokens.issue("fuzz", "a token for the fuzzer")
"""


@contextmanager
def web(data):
    port = free_ports({"web": 0})["web"]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SRE_")}
    env = kept | {"SRE_DATA": str(data), "SRE_ENV_FILE": "/nonexistent", "SRE_SECRET_KEY": "fuzz"}
    env |= {"DJANGO_SETTINGS_MODULE": "sre_platform.settings", "SRE_REDIS_URL": "redis://127.0.0.1:9/0"}
    env |= {"SRE_MAX_WEBHOOK_BYTES": "100000", "SRE_MAX_PENDING": "1000000", "SRE_LOG_LEVEL": "ERROR"}
    subprocess.run([sys.executable, "-c", SETUP], env=env, cwd=HOME, check=True)
    command = [sys.executable, "-m", "uvicorn", "sre_platform.asgi:application", "--port", str(port)]
    with (data / "web.log").open("wb") as log:
        process = subprocess.Popen([*command, "--log-level", "error"], env=env, cwd=HOME, stdout=log, stderr=log)
    try:
        _wait_for(port)
        yield port, process.pid, data / "web.log"
    finally:
        process.terminate()
        process.wait(20)


def _wait_for(port):
    until = monotonic() + 30
    while monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        sleep(0.1)
    raise AssertionError("the web did not start")


class Wire:
    """One kept connection; opened again when the other side closes it."""

    def __init__(self, port):
        self.port = port
        self.socket = None

    def post(self, path, content, *headers):
        lines = [f"POST {path} HTTP/1.1", "Host: x", "Authorization: Bearer a token for the fuzzer"]
        lines += [f"Content-Length: {len(content)}", *headers]
        if self.socket is None:
            self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=30)
            self.file = self.socket.makefile("rb")
        try:
            self.socket.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + content)
            return self._read()
        except (BrokenPipeError, ConnectionResetError):  # refused before it was read to its end
            self.socket = None
            return 413

    def _read(self):
        status = int(self.file.readline().split()[1])
        head = [line.lower() for line in iter(self.file.readline, b"\r\n")]
        length = next((int(line.split(b":")[1]) for line in head if line.startswith(b"content-length")), 0)
        self.file.read(length)
        if b"connection: close\r\n" in head:
            self.socket = None
        return status


def value(rng, depth=0):
    """JSON of any shape."""
    kind = rng.randrange(10 if depth < 5 else 7)
    if kind < 3:
        return rng.choice([None, True, 0, -1, 1e308, 10**40, -0.0, "", "a\u0000b", "\ud800", "0001-01-01T00:00:00Z"])
    if kind < 7:
        return "".join(rng.choices(string.printable, k=rng.randrange(30)))
    if kind < 8:
        return [value(rng, depth + 1) for _ in range(rng.randrange(5))]
    names = ["alerts", "labels", "status", "startsAt", "version", "fingerprint", "x"]
    return {rng.choice(names): value(rng, depth + 1) for _ in range(rng.randrange(6))}


def bodies(rng):
    """Bytes of every kind: noise, JSON of every shape, and good webhooks with a wound."""
    good = body(alert("A"), alert("B", labels={"node": "n1"}))
    while True:
        kind = rng.randrange(8)
        if kind == 0:
            yield rng.randbytes(rng.randrange(500))
        elif kind == 1:
            yield json.dumps(value(rng)).encode()
        elif kind == 2:
            document = json.loads(good)
            document["alerts"][0][rng.choice(list(document["alerts"][0]))] = value(rng)
            yield json.dumps(document).encode()
        elif kind == 3:
            document = json.loads(good)
            document[rng.choice(list(document))] = value(rng)
            yield json.dumps(document).encode()
        elif kind == 4:
            at = rng.randrange(len(good))
            yield good[:at] + rng.randbytes(rng.randrange(5)) + good[at + rng.randrange(9) :]
        elif kind == 5:
            yield rng.choice([b"[", b'{"a":', b'{"version": ']) * rng.randrange(1, 9000)
        elif kind == 6:
            yield b'{"version": ' + str(rng.randrange(10)).encode() * rng.randrange(1, 9000) + b"}"
        else:
            yield json.dumps(value(rng)).encode(rng.choice(["utf-16", "utf-32", "utf-8-sig"]), "surrogatepass")


def resident_kb(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() // 1024


@pytest.mark.timeout(300)
def test_whatever_comes_there_is_an_answer_and_no_5xx(tmp_path):
    rng = random.Random(20261121)
    paths = ["/hooks/alertmanager", "/hooks/grafana", "/hooks/cloudevents", "/hooks/generic"]
    with web(tmp_path) as (port, pid, log):
        wire, seen, source = Wire(port), set(), bodies(rng)
        for _ in range(BODIES // 4):
            seen.add(wire.post(rng.choice(paths), next(source)))
        before = resident_kb(pid)
        for _ in range(BODIES - BODIES // 4):
            seen.add(wire.post(rng.choice(paths), next(source)))
        assert seen <= {202, 400, 413}
        assert resident_kb(pid) - before < 20_000
        bomb = gzip.compress(b"0" * 10_000_000)
        assert wire.post(paths[0], bomb, "Content-Encoding: gzip") == 400
        assert wire.post(paths[0], b"x" * 200_000) == 413
        assert wire.post(paths[0], body(alert("Still"))) == 202
        assert "Traceback" not in log.read_text()
