"""The pages. Each view reads rows, hands them to a view model, and renders; the few that write call one function."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import HttpResponseStopPolling
from django_htmx.middleware import HtmxDetails

from sre_platform.diagnosis.models import EvidenceDocument
from sre_platform.engine import approvals
from sre_platform.guardrails.models import set_kill_switch
from sre_platform.incidents.domain import ENDED, State
from sre_platform.incidents.models import Incident
from sre_platform.tickets.models import LocalTicket, Ticket
from sre_platform.web import listing
from sre_platform.web.context import kill_switch
from sre_platform.web.files import as_file
from sre_platform.web.reading import Case, read
from sre_platform.web.stages import stages
from sre_platform.web.timeline import moments

NOTHING_NEW = 204  # htmx then leaves the page as it is
TICKETS_SHOWN = 200
REASON_LENGTH = 300
LONGEST_KEY = 18  # digits that fit into a key of the database


class Asked(HttpRequest):
    """A request as the middleware hands it on: ``htmx`` is true when a page asks for a part of itself."""

    htmx: HtmxDetails


@login_required
@require_GET
def incidents(request: Asked) -> HttpResponse:
    """All incidents, newest first. The page asks again every few seconds and gets 204 while nothing has changed."""
    switch = kill_switch()
    seen = f"{listing.mark()}-{int(switch.on)}"
    if request.htmx and request.GET.get("seen") == seen:
        return HttpResponse(status=NOTHING_NEW)
    show = request.GET.get("show", "")
    context = {
        "switch": switch,
        "seen": seen,
        "show": show if show in listing.FILTERS else "",
        "page": listing.page(show, request.GET.get("page", 1)),
        "tabs": listing.tabs(),
        "median_s": listing.recovery_median_s(),
        "base_url": settings.SRE_BASE_URL,
    }
    return render(request, "incidents_live.html" if request.htmx else "incidents.html", context)


@login_required
@require_GET
def incident(request: HttpRequest, incident_id: int) -> HttpResponse:
    """One incident from its first alert to its ticket."""
    return render(request, "incident.html", _case_context(incident_id))


@login_required
@require_GET
def incident_live(request: Asked, incident_id: int) -> HttpResponse:
    """The part of an incident's page that changes while it is worked on."""
    context = _case_context(incident_id)
    answer = render(request, "incident_live.html", context)
    if request.htmx and not context["live"]:
        return HttpResponseStopPolling(answer.content)
    return answer


def _case_context(incident_id: int) -> dict[str, Any]:
    row = get_object_or_404(Incident.objects.select_related("parent"), pk=incident_id)
    case = read(row)
    step = next(iter(case.repairs[::-1]), None)
    return {
        "case": case,
        "incident": row,
        "live": is_live(row.state, any(ticket.due_at for ticket in case.tickets)),
        "ended": row.state in ENDED,
        "awaiting": row.state == State.AWAITING_APPROVAL,
        "stages": stages(case),
        "moments": moments(case),
        "cause": next(iter(case.findings), None),
        "step": step,
        "offer_undo": row.state == State.ESCALATED and step is not None and step.can_be_taken_back,
        "verdict": _verdict(case),
    }


def is_live(state: str, ticket_pending: bool) -> bool:
    """Whether something about an incident is still going to change by itself."""
    return state not in ENDED or ticket_pending


def _verdict(case: Case):
    """The entry that last moved the incident."""
    return next((entry for entry in reversed(case.entries) if entry.to_state), None)


@login_required
@require_GET
def evidence(request: HttpRequest, incident_id: int, evidence_id: int, name: str) -> HttpResponse:
    """One raw document that a collector kept: text as plain text, whatever it holds, and a profile as a file.

    With ``?download`` text comes as a file too.
    """
    kept = EvidenceDocument.objects.filter(evidence=evidence_id, evidence__incident=incident_id)
    found = kept.filter(name=name).select_related("evidence", "blob").order_by("-kind").first()
    if found is None:
        known = ", ".join(kept.order_by("name").values_list("name", flat=True)) or "none"
        raise Http404(f"There is no document {name!r}; known are: {known}.")
    is_text = found.kind == EvidenceDocument.Kind.TEXT
    return as_file(found.evidence, name, found.blob.content, is_text, inline="download" not in request.GET)


@login_required
@require_POST
def decision(request: HttpRequest, incident_id: int) -> HttpResponse:
    """A person decides what an incident waits for: ``decision`` is ``approve`` or ``reject``. Staff only.

    ``step`` is the key of what the page showed: on an old page nobody approves what took its place.
    """
    staff_only(request)
    said, shown = request.POST.get("decision"), request.POST.get("step", "")
    if said not in ("approve", "reject"):
        return HttpResponseBadRequest("decision has to be approve or reject.")
    if not (shown.isdecimal() and len(shown) <= LONGEST_KEY):
        return HttpResponseBadRequest("step has to be the key of what was shown.")
    get_object_or_404(Incident, pk=incident_id)
    if approvals.decide(incident_id, request.user.get_username(), said == "approve", int(shown)):
        messages.success(request, "Approved. It goes on now." if said == "approve" else "Rejected. People have it now.")
    else:
        messages.warning(request, "It no longer waits for this decision: somebody, or the clock, was faster.")
    return redirect("incident", incident_id)


@login_required
@require_POST
def take_back(request: HttpRequest, incident_id: int) -> HttpResponse:
    """A person wants what was done taken back, of an incident that was left to people. Staff only."""
    staff_only(request)
    get_object_or_404(Incident, pk=incident_id)
    if approvals.take_back(incident_id, request.user.get_username()):
        messages.success(request, "It is being taken back now.")
    else:
        messages.warning(request, "There is nothing to take back, or another incident of this service is open.")
    return redirect("incident", incident_id)


@login_required
@require_POST
def automation(request: HttpRequest) -> HttpResponse:
    """Stop or resume all automation: ``state`` is ``off`` or ``on``, with a ``reason``. Staff only."""
    staff_only(request)
    state, reason = request.POST.get("state"), request.POST.get("reason", "").strip()[:REASON_LENGTH]
    if state not in ("on", "off"):
        return HttpResponseBadRequest("state has to be on or off.")
    set_kill_switch(state == "off", request.user.get_username(), reason)
    if state == "on":  # a stop is said loudly enough by its banner
        messages.success(request, "Automation is on again.")
    return redirect(_back(request))


def staff_only(request: HttpRequest) -> None:
    """Raises PermissionDenied for everybody else."""
    if not request.user.is_staff:
        raise PermissionDenied("Only staff may do this. Ask an administrator to make you a member.")


def _back(request: HttpRequest) -> str:
    there = request.POST.get("next", "")
    known = url_has_allowed_host_and_scheme(there, {request.get_host()}, require_https=request.is_secure())
    return there if known else "incidents"


@login_required
@require_GET
def tickets(request: HttpRequest) -> HttpResponse:
    """The tickets of the built-in system, and those at other systems that are not yet as wanted."""
    rows = LocalTicket.objects.defer("body").order_by("closed", "-pk")[:TICKETS_SHOWN]
    late = Ticket.objects.filter(due_at__isnull=False).exclude(trouble="").select_related("incident")[:TICKETS_SHOWN]
    return render(request, "tickets.html", {"tickets": list(rows), "late": list(late)})


@login_required
@require_GET
def ticket(request: HttpRequest, ticket_id: int) -> HttpResponse:
    """One ticket of the built-in system."""
    row = get_object_or_404(LocalTicket, pk=ticket_id)
    filed = Ticket.objects.filter(system="local", key=row.key).select_related("incident").first()
    context = {"ticket": row, "comments": list(row.comments.all()), "incident": filed.incident if filed else None}
    return render(request, "ticket.html", context)
