"""How the platform is, for machines: alive, ready, and in numbers."""

import threading
from time import monotonic

from django.db import Error
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from sre_platform.clients.metrics import exposition
from sre_platform.engine.checks import VITAL, Check, examine
from sre_platform.engine.gauges import DatabaseGauges
from sre_platform.intake.tokens import sender
from sre_platform.web.hooks import refuse

WITHIN_S = 1.5  # Redis alone may take a second
FOR_S = 1.0
_asking = threading.Lock()
_known: tuple[float, list[Check]] = (float("-inf"), [])


async def healthz(_request: HttpRequest) -> HttpResponse:
    """200 as long as this process answers. Asks nobody, and needs no thread."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Web, database, broker, beat, workers and sweep, each with ``ok``; 503 unless all are well.

    With ``?only=web,database`` the status is about these alone: it takes no more to acknowledge a webhook, so that is
    what a load balancer should ask.
    """
    checks = [Check("web", True, "This process answers."), *_vital()]
    said = {check.name: {"ok": check.ok, "says": check.says} for check in checks}
    only = set(filter(None, request.GET.get("only", "").split(",")))
    if unknown := sorted(only - set(said)):
        return refuse(request, 400, f"There is no check {unknown[0][:40]!r}; known are: {', '.join(said)}.")
    ready = all(check.ok for check in checks if not only or check.name in only)
    body = {"ready": ready, "checks": said}
    answer = JsonResponse(body, status=200 if ready else 503, headers={"Cache-Control": "no-store"})
    answer._has_been_logged = True  # type: ignore[attr-defined]  # else Django writes an error line for each probe
    return answer


def _vital() -> list[Check]:
    """The vital checks, made at most once a second however many ask: the others wait for the one that looks."""
    global _known  # noqa: PLW0603 one answer for all threads
    with _asking:
        at, checks = _known
        if monotonic() - at >= FOR_S:
            checks = examine(VITAL, WITHIN_S)
            _known = (monotonic(), checks)
        return checks


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """What all processes counted, for whoever has a token, and for staff."""
    try:
        known = _may_read(request)
    except Error:
        return refuse(request, 503, "The database does not answer, so it cannot be known who may read this.")
    if not known:
        sentence = "A bearer token for this is needed: make one with `manage.py intake_token NAME --scope metrics`."
        return refuse(request, 401, sentence, **{"WWW-Authenticate": 'Bearer realm="metrics"'})
    return HttpResponse(exposition([DatabaseGauges()]), content_type=CONTENT_TYPE_LATEST)


def _may_read(request: HttpRequest) -> bool:
    who = sender(request.headers.get("Authorization", ""))
    if who is not None:
        return who.may_read_metrics
    return bool(request.user.is_active and request.user.is_staff)
