"""Whether the platform itself is well: small functions, each of which looks at one thing and says how it is.

``ok`` is None when it could not be checked, which is not well. A look is bounded: in time, because each group runs in
a thread that is left behind when it hangs, and in size, because every query has a LIMIT and an index.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

import redis
from django.conf import settings
from django.db import Error, ProgrammingError, connection, transaction
from redis.backoff import NoBackoff
from redis.retry import Retry

from sre_platform.clients import http
from sre_platform.engine.models import Heartbeat
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import SreError
from sre_platform.kernel.redaction import redact_text

FRESH = timedelta(seconds=15)
MISSED = timedelta(minutes=10)  # a worker that has been silent for longer is taken for one that was stopped
AUDITOR_FRESH_S = 60.0
WITHIN_S = 10.0
QUERY_MS = 3000
TOLD = 5  # of the stuck things, in one sentence
HEARTBEATS = 100


@dataclass(frozen=True)
class Stuck:
    """One thing that does not go on, such as ``incident 5``, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class Check:
    """How one thing is: ``ok`` is None when that could not be found out; ``advice`` is what to do next.

    ``because`` names the check that has to be well before this one can be made.
    """

    name: str
    ok: bool | None
    says: str
    advice: str = ""
    stuck: Sequence[Stuck] = field(default=())
    because: str = ""

    @property
    def text(self) -> str:
        """All of it in one line, with the first of what is stuck."""
        return " ".join([self.says, *(f"{one.what[:1].upper()}{one.what[1:]}: {one.why}" for one in self.stuck[:TOLD])])

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


Look = Callable[[], Check | None]


def database() -> Check:
    """Whether it answers, and is as new as this code needs it. O(1)."""
    try:
        connection.ensure_connection()
        Heartbeat.objects.exists()
    except Error as error:
        if connection.connection is not None and (isinstance(error, ProgrammingError) or "no such table" in str(error)):
            return Check("database", False, "The database lacks tables.", "Run `manage.py migrate`.")
        advice = "Start it, or correct SRE_DATABASE_URL; it has to be readable and writable for this user."
        return Check("database", False, f"The database does not answer: {_said(error)}", advice)
    return Check("database", True, f"{connection.display_name} answers.")


def broker() -> Check:
    """Whether Redis answers a PING within a second."""
    advice = "Start Redis, or correct SRE_REDIS_URL. Nothing is lost meanwhile: rows wait, and the sweep rings again."
    once = Retry(NoBackoff(), 0)
    try:
        with redis.Redis.from_url(
            settings.SRE_REDIS_URL, socket_timeout=1.0, socket_connect_timeout=1.0, retry=once
        ) as client:
            client.ping()
    except (redis.RedisError, OSError, ValueError) as error:
        return Check("broker", False, f"The broker does not answer: {_said(error)}", advice)
    return Check("broker", True, "The broker answers.")


def beat() -> Check:
    """Whether the process that rings for the sweep lives. O(1) by the index of kinds."""
    return _pulse("beat", FRESH, "Start `celery -A sre_platform beat`.")


def sweep() -> Check:
    """Whether a sweep ended lately: the way from beat over the broker to a worker and the database is open. O(1)."""
    return _pulse("sweep", FRESH, "See whether broker, beat and workers run, and what the workers' log says.")


def auditor() -> Check:
    """Whether somebody watches all the time. O(1)."""
    row = Heartbeat.objects.filter(kind="auditor").order_by("-at").first()
    every_s = float(row.details.get("every_s", 0)) if row else 0.0
    fresh = timedelta(seconds=max(AUDITOR_FRESH_S, 3 * every_s))
    return _pulse("auditor", fresh, "Start `manage.py auditor`: without it nobody is told that the platform is stuck.")


def workers() -> Check:
    """Whether at least one worker lives, and which have fallen silent lately. O(parts), at most 100 rows."""
    moment = now()
    rows = Heartbeat.objects.filter(kind="worker", at__gte=moment - MISSED).order_by("-at")[:HEARTBEATS]
    alive = [row for row in rows if row.at >= moment - FRESH]
    silent = [row for row in rows if row.at < moment - FRESH]
    missed = f" {len(silent)} fell silent lately: {', '.join(row.name for row in silent[:TOLD])}." if silent else ""
    says = f"{len(alive)} worker process{'' if len(alive) == 1 else 'es'} alive.{missed}"
    return Check("workers", bool(alive), says, "" if alive else "Start `celery -A sre_platform worker`.")


def alertmanager() -> Check | None:
    """Whether the Alertmanagers answer, where some are configured: the first that does not, else the last."""
    answers = [_ready("alertmanager", url, "SRE_ALERTMANAGER_URL") for url in settings.SRE_ALERTMANAGER_URLS]
    return next((answer for answer in answers if answer and not answer.ok), answers[-1] if answers else None)


def prometheus() -> Check | None:
    """Whether the Prometheus answers, where one is configured."""
    return _ready("prometheus", settings.SRE_PROMETHEUS_URL, "SRE_PROMETHEUS_URL")


def _pulse(kind: str, fresh: timedelta, advice: str) -> Check:
    at = Heartbeat.objects.filter(kind=kind).order_by("-at").values_list("at", flat=True).first()
    if at is None:
        return Check(kind, False, f"There has never been a heartbeat of the {kind}.", advice)
    says = f"The last heartbeat of the {kind} was {ago(at)}."
    return Check(kind, True, says) if now() - at <= fresh else Check(kind, False, says, advice)


def _ready(name: str, url: str, setting: str) -> Check | None:
    if not url:
        return None
    try:
        http.request("GET", f"{url.rstrip('/')}/-/ready", timeout=(1.0, 2.0), deadline_s=3.0, max_bytes=65536)
    except SreError as error:
        return Check(name, False, _said(error), f"Start it, or correct {setting}.")
    return Check(name, True, f"{http.shown(url)} is ready.")


def ago(moment: datetime) -> str:
    """How long ago that was, in words."""
    seconds = max(0.0, (now() - moment).total_seconds())
    if seconds < 120:
        return f"{seconds:.0f} s ago"
    return f"{seconds / 60:.0f} min ago" if seconds < 7200 else f"{seconds / 3600:.0f} h ago"


def _said(error: Exception) -> str:
    text = redact_text(" ".join(str(error).split())) or type(error).__name__
    return text if text.endswith(".") else f"{text}."


VITAL: Sequence[Sequence[Look]] = [[database, beat, workers, sweep], [broker]]
_hanging: dict[str, threading.Thread] = {}


def examine(groups: Sequence[Sequence[Look]], within_s: float = WITHIN_S) -> list[Check]:
    """Every check of every group; the groups run side by side and have ``within_s`` seconds together. Never raises.

    The later checks of a group need its first one: where that is not well, they could not be made.
    """
    runs = [_Run(group) for group in groups]
    deadline = monotonic() + within_s
    for run in runs:
        run.thread.join(max(0.0, deadline - monotonic()))
    return [check for run in runs for check in run.result(within_s)]


class _Run:
    """A group in its thread. One that still hangs from an earlier time is not joined by another."""

    def __init__(self, group: Sequence[Look]) -> None:
        self.group, self.name, self.done = group, group[0].__name__, dict[str, Check | None]()
        before = _hanging.get(self.name)
        self.thread = threading.Thread(target=self._work, name=f"check-{self.name}", daemon=True)
        if before and before.is_alive():
            self.thread = before
        else:
            _hanging[self.name] = self.thread
            self.thread.start()

    def _work(self) -> None:
        try:
            for look in self.group:
                self.done[look.__name__] = self._look(look)
        finally:
            connection.close()

    def _look(self, look: Look) -> Check | None:
        first = self.done.get(self.name)
        if first and not first.ok:
            return Check(look.__name__, None, f"Could not be checked: {first.says}", first.advice, because=first.name)
        try:
            return _limited(look)
        except Exception as error:  # whatever it is: not having been able to look is an answer
            return Check(look.__name__, None, f"Could not be checked: {type(error).__name__}: {_said(error)}")

    def result(self, within_s: float) -> list[Check]:
        """A check for each look; those that have not come back could not be made."""
        done = dict(self.done)
        names = [look.__name__ for look in self.group]
        hangs = next((name for name in names if name not in done), "")
        late = f"No answer within {within_s:g} s."
        found = [done.get(name, Check(name, None, late, because="" if name == hangs else hangs)) for name in names]
        return [check for check in found if check]


def _limited(look: Look) -> Check | None:
    """In PostgreSQL no query takes longer than QUERY_MS. ``database`` itself makes the connection."""
    if connection.vendor != "postgresql" or connection.connection is None:
        return look()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL statement_timeout = {QUERY_MS}")
        return look()
