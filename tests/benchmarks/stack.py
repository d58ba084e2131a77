"""The installation that is measured: real processes on either database, with a person who looks at the pages."""

import http.cookiejar
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import psycopg

from tests.torture.installation import Installation, installation

HOME = Path(__file__).resolve().parents[2]
PASSWORD = "only for the benchmark"
SETUP = f"""
import os, django
django.setup()
from django.contrib.auth import get_user_model
from django.core.management import call_command
from sre_platform.intake import tokens
call_command("migrate", verbosity=0)
tokens.issue("bench", os.environ["SRE_INTAKE_TOKEN"])
get_user_model().objects.create_superuser("sre", password={PASSWORD!r})
"""


@contextmanager
def measured(database: str, **settings: str) -> Iterator[Installation]:
    """An installation with an empty database, up while the block runs."""
    data = HOME / "var" / "bench"
    shutil.rmtree(data, ignore_errors=True)
    with installation(data, database, "http://sre:x@127.0.0.1:9") as it:
        it.environment |= {"SRE_LOG_LEVEL": "WARNING"} | settings
        subprocess.run([sys.executable, "-c", SETUP], env=dict(it.environment), cwd=HOME, check=True)
        it.start()
        sleep(4)
        yield it


def send(
    it: Installation, port: int, alerts: int, seconds: float, senders: int = 16, most: int = 8000, pause_s: float = 0
) -> Any:
    """Let senders send from a process of their own; returns what they measured."""
    words = [port, "/hooks/alertmanager", it.token, seconds, alerts, senders, most, pause_s]
    command = [sys.executable, "-m", "tests.benchmarks.senders", *map(str, words)]
    done = subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=True, env=os.environ)
    return json.loads(done.stdout)


@contextmanager
def asking(it: Installation) -> Iterator[Callable[[str], list[tuple[Any, ...]]]]:
    """A function that runs a query and returns its rows, over one connection."""
    if it.database:
        with psycopg.connect(it.database.url, connect_timeout=10, autocommit=True) as server:
            yield lambda sql: server.execute(sql).fetchall()
    else:
        with closing(sqlite3.connect(Path(it.environment["SRE_DATA"]) / "sre.sqlite3", timeout=20)) as file:
            yield lambda sql: file.execute(sql).fetchall()


def rows(it: Installation, sql: str) -> list[tuple[Any, ...]]:
    """What the database says right now."""
    with asking(it) as ask:
        return ask(sql)


class Reader(threading.Thread):
    """A person who looks at the dashboard every second; ``seconds`` is how long each look took."""

    def __init__(self, base: str) -> None:
        super().__init__(daemon=True)
        self.base, self.seconds, self.over = base, [], threading.Event()
        self.jar = http.cookiejar.CookieJar()
        self.browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))
        self.browser.open(f"{base}/login/", timeout=60).read()
        token = next(cookie.value for cookie in self.jar if cookie.name == "csrftoken")
        form = {"username": "sre", "password": PASSWORD, "csrfmiddlewaretoken": token}
        self.browser.open(f"{base}/login/", urllib.parse.urlencode(form).encode(), timeout=60).read()

    def run(self) -> None:
        while not self.over.wait(1.0):
            began = perf_counter()
            page = self.browser.open(f"{self.base}/", timeout=60).read()
            self.seconds.append(perf_counter() - began)
            assert b"Incidents" in page
