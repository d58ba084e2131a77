"""How to configure the webhooks, and the one for changes. Alerts come in through ``web.door``."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Annotated, Any

import structlog
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from sre_platform.catalog.models import Change
from sre_platform.intake.receive import SOURCES
from sre_platform.intake.tokens import sender
from sre_platform.kernel.errors import Malformed, TooLarge
from sre_platform.kernel.storable import storable_text

log = structlog.get_logger()
View = Callable[..., HttpResponse]


def refuse(request: HttpRequest, status: int, sentence: str, **headers: str) -> JsonResponse:
    """An answer that says in one sentence what is wrong; the log keeps it."""
    log.warning(
        "webhook_refused", path=request.path, status=status, reason=sentence, peer=request.META.get("REMOTE_ADDR")
    )
    return JsonResponse({"error": sentence}, status=status, headers=headers)


def bearer(view: View) -> View:
    """Lets only senders with a valid token in; the body is not read before."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any) -> HttpResponse:
        if sender(request.headers.get("Authorization", "")) is None:
            sentence = "A valid bearer token is needed: make one with `manage.py intake_token NAME`."
            return refuse(request, 401, sentence, **{"WWW-Authenticate": 'Bearer realm="intake"'})
        return view(request, *args)

    return guarded


def body_of(request: HttpRequest) -> bytes:
    """The body. Raises TooLarge beyond the limit, Malformed for a compressed one."""
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise Malformed("The body must not be compressed.")
    limit = settings.SRE_MAX_WEBHOOK_BYTES
    body = request.read(limit + 1)  # not request.body, which trusts Content-Length: a chunked request has none
    if len(body) > limit:
        raise TooLarge(f"The body is larger than {limit} bytes.")
    return body


def explain(request: HttpRequest, source: str) -> HttpResponse:
    """GET explains how to configure a source; its POST is answered by ``web.door`` before Django sees it."""
    if source not in SOURCES.names():
        raise Http404(f"There is no source {source!r}; known are: {', '.join(SOURCES.names())}.")
    if request.method != "GET":
        return refuse(request, 405, "Use POST to deliver a webhook, GET to read how.", Allow="GET, POST")
    url = request.build_absolute_uri(request.path)
    return render(request, f"hooks/{source}.html", {"url": url, "limit": settings.SRE_MAX_WEBHOOK_BYTES})


@csrf_exempt
def changes(request: HttpRequest) -> HttpResponse:
    """POST takes one change, as a deploy pipeline reports it: service, before, after, at, by."""
    if request.method != "POST":
        return refuse(request, 405, "Use POST to report a change.", Allow="POST")
    return _take(request, _store_change)


@bearer
def _take(request: HttpRequest, store: Callable[[bytes], dict[str, Any]]) -> HttpResponse:
    try:
        return JsonResponse(store(body_of(request)), status=202)
    except TooLarge as error:
        return refuse(request, 413, str(error))
    except Malformed as error:
        return refuse(request, 400, str(error))


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("outside the years 1 to 9999 in UTC") from error


Text = Annotated[str, AfterValidator(storable_text)]


class _ChangeBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    service: Annotated[Text, Field(min_length=1, max_length=100)]
    kind: Annotated[Text, Field(max_length=40)] = "deploy"
    at: Annotated[AwareDatetime, AfterValidator(_in_utc)]
    before: Annotated[Text, Field(max_length=200)] = ""
    after: Annotated[Text, Field(max_length=200)] = ""
    by: Annotated[Text, Field(max_length=200)] = ""


def _store_change(body: bytes) -> dict[str, Any]:
    try:
        change = _ChangeBody.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))[:100] or "body"
        raise Malformed(f"In the change, {where}: {first['msg'].lower()}.") from error
    key = {"service": change.service, "kind": change.kind, "at": change.at, "after": change.after}
    row, _ = Change.objects.get_or_create(**key, defaults={"before": change.before, "by": change.by})
    return {"change": row.pk}
