"""The ledger's pages: every webhook with its fate, how to find one, and one with all that it carried."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from sre_platform.incidents.board import Fate
from sre_platform.intake.models import Delivery, IntakeToken, LedgerEntry
from sre_platform.intake.receive import SOURCES
from sre_platform.kernel.storable import storable_text
from sre_platform.web.search import Wanted, find

ALERTS_SHOWN = 100
LATER_SHOWN = 500
BODY_SHOWN = 20_000  # characters
SENDERS_SHOWN = 100
LARGEST = 2**63 - 1
FATES = [("", "any"), *((fate.value, fate.value) for fate in Fate)]
STATES = [("", "any"), *((state.value, state.value) for state in Delivery.State)]


class Ask(forms.Form):
    """What somebody searches for. What is left empty does not matter."""

    text = forms.CharField(required=False, max_length=200)
    fate = forms.ChoiceField(required=False, choices=FATES)
    source = forms.CharField(required=False, max_length=40)
    sender = forms.CharField(required=False, max_length=100)
    incident = forms.IntegerField(required=False, min_value=1, max_value=LARGEST)
    state = forms.ChoiceField(required=False, choices=STATES)
    quiet = forms.BooleanField(required=False)
    before = forms.IntegerField(required=False, min_value=1, max_value=LARGEST)

    def terms(self) -> dict[str, Any]:
        """What was asked for, without what was left empty; everything when it cannot be read."""
        return {name: value for name, value in self.cleaned_data.items() if value} if self.is_valid() else {}


@login_required
@require_GET
def ledger(request: HttpRequest) -> HttpResponse:
    """Every webhook, newest first, or those that fit a search."""
    ask = Ask(request.GET)
    terms = ask.terms()
    before = terms.pop("before", None)
    context = {
        "ask": ask,
        "terms": terms,
        "before": before,
        "found": find(Wanted(**terms), before) if ask.is_valid() else None,
        "fates": FATES,
        "states": STATES,
        "sources": SOURCES.names(),
        "senders": IntakeToken.objects.order_by("name").values_list("name", flat=True).distinct()[:SENDERS_SHOWN],
        "search": urlencode(terms),
    }
    return render(request, "ledger.html", context)


@login_required
@require_GET
def delivery(request: HttpRequest, delivery_id: int) -> HttpResponse:
    """One webhook: each alert in it with its fate, and the body. ``after`` is the entry that the page begins behind."""
    row = get_object_or_404(Delivery, pk=delivery_id)
    entries = list(_entries(row, request.GET.get("after", "")))
    shown = entries[:ALERTS_SHOWN]
    later = _later(shown)
    context = {
        "delivery": row,
        "entries": [(entry, later.get(entry.alert_id, ())) for entry in shown],
        "next": shown[-1].pk if len(entries) > ALERTS_SHOWN else None,
        "paged": "after" in request.GET,
        "text": as_text(bytes(row.body)),
        "kept": len(row.body),
    }
    return render(request, "delivery.html", context)


def _entries(row: Delivery, after: str) -> QuerySet[LedgerEntry]:
    behind = int(after) if after.isdecimal() and len(after) < len(str(LARGEST)) else 0
    rows = LedgerEntry.objects.filter(delivery=row, pk__gt=behind).select_related("alert")
    return rows.order_by("delivery", "pk")[: ALERTS_SHOWN + 1]


def _later(entries: Sequence[LedgerEntry]) -> Mapping[int, Sequence[LedgerEntry]]:
    """What became of these alerts by themselves, once they were no longer quiet; by alert."""
    found = defaultdict(list)
    alerts = {entry.alert_id for entry in entries}
    for entry in LedgerEntry.objects.filter(alert__in=alerts, delivery=None).order_by("pk")[:LATER_SHOWN]:
        found[entry.alert_id].append(entry)
    return found


def as_text(body: bytes) -> str:
    """A body as people read it, JSON with line breaks, cut when it is long."""
    text = body.decode("utf-8", "replace")
    with suppress(ValueError, RecursionError):  # else as it came
        text = _laid_out(json.loads(text))
    return storable_text(text if len(text) <= BODY_SHOWN else f"{text[:BODY_SHOWN]}\n…")


def _laid_out(document: object) -> str:
    """As much JSON with line breaks as will be shown, however large the indentation makes the rest."""
    parts, length = [], 0
    for part in json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(document):
        parts.append(part)
        length += len(part)
        if length > BODY_SHOWN:
            break
    return "".join(parts)


@login_required
@require_GET
def body(_request: HttpRequest, delivery_id: int) -> HttpResponse:
    """The body as it came in, as a file."""
    row = get_object_or_404(Delivery, pk=delivery_id)
    answer = HttpResponse(bytes(row.body), content_type="application/json")
    answer.headers["Content-Disposition"] = f'attachment; filename="delivery-{row.pk}.json"'
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer
