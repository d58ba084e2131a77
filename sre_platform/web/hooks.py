"""How to configure the webhooks, and the one for changes. Alerts come in through ``web.door``."""

import inspect
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Annotated, Any, TypeVar

import structlog
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from sre_platform.catalog.models import Change
from sre_platform.clients import metrics
from sre_platform.engine import rollouts as walks
from sre_platform.intake import tokens
from sre_platform.intake.domain import Sender
from sre_platform.intake.receive import SOURCES
from sre_platform.intake.signatures import signed
from sre_platform.kernel.complaint import complaint
from sre_platform.kernel.errors import Malformed, Rejected, TooLarge, Unavailable
from sre_platform.kernel.storable import storable_text
from sre_platform.rollouts import walk

log = structlog.get_logger()
View = Callable[..., HttpResponse]


def refuse(request: HttpRequest, status: int, sentence: str, **headers: str) -> JsonResponse:
    """An answer that says in one sentence what is wrong; the log keeps it."""
    log.warning(
        "webhook_refused", path=request.path, status=status, reason=sentence, peer=request.META.get("REMOTE_ADDR")
    )
    return JsonResponse({"error": sentence}, status=status, headers=headers)


def bearer(view: View) -> View:
    """Lets only senders with a valid token for the source in; the body is not read before."""

    @wraps(view)
    def guarded(request: HttpRequest, source: str, *args: Any) -> HttpResponse:
        who = tokens.sender(request.headers.get("Authorization", ""))
        if who is None:
            sentence = "A valid bearer token is needed: make one with `manage.py intake_token NAME`."
            return refuse(request, 401, sentence, **{"WWW-Authenticate": 'Bearer realm="intake"'})
        if not who.may_send(source):
            return refuse(request, 403, f"The token of {who.name} is not for {source}.")
        return view(request, who, *args)

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
    about = {"url": url, "limit": settings.SRE_MAX_WEBHOOK_BYTES, "source": source}
    about["help"] = inspect.getdoc(sys.modules[type(SOURCES.get(source)).__module__])
    return render(request, [f"hooks/{source}.html", "hooks/any.html"], about)


@csrf_exempt
def changes(request: HttpRequest) -> HttpResponse:
    """POST takes one change, as a deploy pipeline reports it: service, before, after, at, by."""
    if request.method != "POST":
        return refuse(request, 405, "Use POST to report a change.", Allow="POST")
    return _counted("changes", _take(request, tokens.CHANGES, _store_change))


@csrf_exempt
def rollouts(request: HttpRequest) -> HttpResponse:
    """POST starts a roll-out, as a deploy pipeline does: service, release, and optionally steps, label, step_s, by."""
    if request.method != "POST":
        return refuse(request, 405, "Use POST to start a roll-out.", Allow="POST")
    return _counted("rollouts", _take(request, tokens.ROLLOUTS, _start_rollout))


def _counted(source: str, answer: HttpResponse) -> HttpResponse:
    metrics.delivery(source, answer.status_code)
    return answer


@bearer
def _take(request: HttpRequest, who: Sender, store: Callable[[bytes], dict[str, Any]]) -> HttpResponse:
    try:
        body = body_of(request)
        if not signed(who, body, request.headers.get(who.hmac_header, "")):
            return refuse(request, 401, f"The body's signature in {who.hmac_header} is missing or wrong.")
        return JsonResponse(store(body), status=202)
    except Unavailable as error:
        return refuse(request, 503, str(error), **{"Retry-After": "10"})
    except TooLarge as error:
        return refuse(request, 413, str(error))
    except Malformed as error:
        return refuse(request, 400, str(error))
    except Rejected as error:
        return refuse(request, 409, str(error))


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


Body = TypeVar("Body", bound=BaseModel)


def _read(kind: type[Body], body: bytes, what: str) -> Body:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise Malformed(f"In the {what}, {complaint(error, whole='body')}.") from error


class _RolloutBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    service: Annotated[Text, Field(min_length=1, max_length=100)]
    release: Annotated[Text, Field(min_length=1, max_length=200)]
    steps: Annotated[list[int], Field(min_length=1, max_length=walk.MOST_STEPS)] = list(walk.STEPS)
    label: Annotated[Text, Field(max_length=20)] = ""
    step_s: Annotated[float, Field(allow_inf_nan=False)] = walk.STEP_S
    by: Annotated[Text, Field(max_length=200)] = "a pipeline"
    reason: Annotated[Text, Field(max_length=1000)] = ""


def _start_rollout(body: bytes) -> dict[str, Any]:
    asked = _read(_RolloutBody, body, "roll-out")
    row = walks.start(asked.service, asked.release, asked.by, asked.steps, asked.label, asked.step_s, asked.reason)
    return {"rollout": row.pk}


def _store_change(body: bytes) -> dict[str, Any]:
    change = _read(_ChangeBody, body, "change")
    key = {"service": change.service, "kind": change.kind, "at": change.at, "after": change.after}
    row, _ = Change.objects.get_or_create(**key, defaults={"before": change.before, "by": change.by})
    return {"change": row.pk}
