"""Alarms about the platform itself: when one is raised, and the ways by which it gets out.

No way needs Redis, Celery or the database: a line on standard error, a webhook, an Alertmanager. Each is tried by
itself, with a timeout; what it does not take is kept and tried again in the next round. The rows for the pages are
written whenever the database answers.

Crash rule: an auditor that died and starts again looks anew, and tells what has still been wrong for long enough.
"""

import socket
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

import structlog
from django.conf import settings
from django.db import transaction

from sre_platform.clients import http
from sre_platform.engine.checks import Check
from sre_platform.engine.models import Alarm
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import SreError

REMINDED_EVERY = timedelta(hours=1)
FIRES_FOR = timedelta(hours=2)  # at an Alertmanager, unless it is told again
KEPT_UNSENT = 200
DEADLINE_S = 5.0
log = structlog.get_logger()


class Kind(StrEnum):
    """Why an alarm is told."""

    RAISED = "raised"
    CHANGED = "changed"
    REMINDER = "reminder"
    WELL = "well"


@dataclass(frozen=True)
class News:
    """One thing to tell: a check is not well since ``since``, or is well again."""

    kind: Kind
    check: Check
    since: datetime

    def as_json(self) -> dict[str, str]:
        return {
            "problem": self.check.name,
            "state": self.kind.value,
            "says": self.check.text,
            "advice": self.check.advice,
            "since": self.since.isoformat(),
            "host": socket.gethostname(),
        }


@dataclass
class _Case:
    """What is known about a check that is not well."""

    since: datetime
    check: Check
    told_at: datetime | None = None
    told: set[str] = field(default_factory=set)


class Watch:
    """Turns rounds of checks into news: once for each problem, again when it changes, and hourly. Does no I/O."""

    def __init__(self, for_s: float) -> None:
        self.held = timedelta(seconds=for_s)
        self.cases: dict[str, _Case] = {}

    def round(self, found: Iterable[Check], moment: datetime) -> list[News]:
        """What is to be told after a look at everything at ``moment``.

        What could not be checked because another check is not well stays as it was: that other one is the problem.
        """
        made = [check for check in found if not check.because]
        return [news for check in made for news in (self._well(check) if check.ok else self._bad(check, moment))]

    def _well(self, check: Check) -> list[News]:
        case = self.cases.pop(check.name, None)
        return [News(Kind.WELL, check, case.since)] if case and case.told_at else []

    def _bad(self, check: Check, moment: datetime) -> list[News]:
        case = self.cases.setdefault(check.name, _Case(moment, check))
        case.check = check
        kind = self._kind(case, moment)
        if kind is None:
            return []
        case.told_at, case.told = moment, case.told | _signature(check)
        return [News(kind, check, case.since)]

    def _kind(self, case: _Case, moment: datetime) -> Kind | None:
        if case.told_at is None:
            return Kind.RAISED if moment - case.since >= self.held else None
        if moment - case.told_at >= REMINDED_EVERY:
            return Kind.REMINDER
        # What joins an incident that is told already comes in bursts: not more often than the first alarm would.
        fresh = bool(_signature(case.check) - case.told) and moment - case.told_at >= self.held
        return Kind.CHANGED if fresh else None

    def raised(self) -> list[News]:
        """What has been told and still is so."""
        return [News(Kind.RAISED, case.check, case.since) for case in self.cases.values() if case.told_at]


def _signature(check: Check) -> set[str]:
    """What makes a problem another one; ages and counts in its sentence do not."""
    return {str(check.ok), *(one.what for one in check.stuck)}


@dataclass
class Way:
    """A way out: ``send`` raises SreError when the news was not taken."""

    name: str
    send: Callable[[News], None]
    unsent: deque[News] = field(default_factory=lambda: deque(maxlen=KEPT_UNSENT))

    def tell(self, news: Sequence[News]) -> None:
        """Send these after what was not taken before; stops at the first that is not taken."""
        self.unsent.extend(news)
        while self.unsent:
            try:
                self.send(self.unsent[0])
            except SreError as error:
                log.error("alarm_not_sent", way=self.name, waiting=len(self.unsent), reason=str(error))
                if not error.permanent:
                    return
            self.unsent.popleft()


def ways() -> list[Way]:
    """The ways that are configured; the log is always one."""
    found = [Way("log", _log)]
    if settings.SRE_ALARM_URL:
        found.append(Way("webhook", _webhook))
    if settings.SRE_ALARM_ALERTMANAGER_URL:
        found.append(Way("alertmanager", _alertmanager))
    return found


def _log(news: News) -> None:
    if news.kind is Kind.WELL:
        log.warning("alarm_over", **news.as_json())
    else:
        log.error("alarm", **news.as_json())


def _webhook(news: News) -> None:
    headers = {"Authorization": f"Bearer {settings.SRE_ALARM_TOKEN}"} if settings.SRE_ALARM_TOKEN else {}
    http.request("POST", settings.SRE_ALARM_URL, json=news.as_json(), headers=headers, deadline_s=DEADLINE_S)


def _alertmanager(news: News) -> None:
    over = now() if news.kind is Kind.WELL else now() + FIRES_FOR
    alert = {
        "labels": {"alertname": "SrePlatformStuck", "check": news.check.name, "severity": "critical"},
        "annotations": {"summary": news.check.text, "description": news.check.advice},
        "startsAt": news.since.isoformat(),
        "endsAt": over.isoformat(),
        "generatorURL": settings.SRE_BASE_URL,
    }
    url = f"{settings.SRE_ALARM_ALERTMANAGER_URL}/api/v2/alerts"
    http.request("POST", url, json=[alert], deadline_s=DEADLINE_S)


@transaction.atomic
def keep(found: Iterable[Check], raised: Iterable[News]) -> None:
    """Bring the rows that the pages show to what is so: an open one for each raised alarm. Raises django.db.Error."""
    well = [check.name for check in found if check.ok]
    Alarm.objects.filter(ended_at=None, check_name__in=well).update(ended_at=now())
    for news in raised:
        values = {"says": news.check.text, "advice": news.check.advice}
        Alarm.objects.update_or_create(
            check_name=news.check.name, ended_at=None, defaults=values, create_defaults=values | {"since": news.since}
        )
