"""The pages about roll-outs: all of them, one of them, and what a person decides about it."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import HttpResponseStopPolling

from sre_platform.kernel.clock import now
from sre_platform.rollouts import record
from sre_platform.rollouts.models import Rollout
from sre_platform.rollouts.walk import State, Wish
from sre_platform.web import walked
from sre_platform.web.pages import Asked, staff_only

SHOWN = 100
EVENTS_SHOWN = 300
SAID = {
    Wish.ABORT: "All traffic goes back to the baseline now.",
    Wish.GO_ON: "It takes its next step as soon as nothing holds it.",
    Wish.PROMOTE: "It gets all the traffic as soon as nothing holds it.",
}


@login_required
@require_GET
def rollouts(request: HttpRequest) -> HttpResponse:
    """The newest roll-outs."""
    return render(request, "rollouts.html", {"rollouts": list(Rollout.objects.defer("counters", "facts")[:SHOWN])})


@login_required
@require_GET
def rollout(request: Asked, rollout_id: int) -> HttpResponse:
    """One roll-out; asked by its own page, the part that changes."""
    context = _context(rollout_id)
    answer = render(request, "rollout_live.html" if request.htmx else "rollout.html", context)
    if request.htmx and context["rollout"].ended:
        return HttpResponseStopPolling(answer.content)
    return answer


def _context(rollout_id: int) -> dict[str, Any]:
    row = get_object_or_404(Rollout, pk=rollout_id)
    events = list(row.events.order_by("-pk")[:EVENTS_SHOWN])[::-1]
    return {
        "rollout": row,
        "events": [(event, walked.checks(event.data.get("numbers"))) for event in events],
        "course": walked.course(events, row.started_at, row.ended_at or now()),
        "checks": walked.checks(row.judgement),
        "open": not row.ended and row.state != State.ROLLING_BACK,
        "waits": row.state == State.WAITS_FOR_PERSON,
    }


@login_required
@require_POST
def decision(request: HttpRequest, rollout_id: int) -> HttpResponse:
    """A person decides: ``decision`` is ``abort``, ``go_on`` or ``promote``. Staff only."""
    staff_only(request)
    get_object_or_404(Rollout, pk=rollout_id)
    said = request.POST.get("decision")
    if said not in SAID:
        return HttpResponseBadRequest("decision has to be abort, go_on or promote.")
    wish = Wish(said)
    if record.ask(rollout_id, wish, request.user.get_username()):
        messages.success(request, SAID[wish])
    else:
        messages.warning(request, "It has ended, or is on its way back already.")
    return redirect("rollout", rollout_id)
