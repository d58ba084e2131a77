"""The page of one profile: its flame graph, alone or against another one, and its functions as a table.

The page works without its script: a frame is a link that looks at it, the search is a form.
"""

from typing import NamedTuple

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.http import urlencode
from django.views.decorators.http import require_GET

from sre_platform.diagnosis.models import EvidenceRow
from sre_platform.diagnosis.parsers.flamegraph import FlameGraph, flamegraph
from sre_platform.diagnosis.parsers.profile import Profile, parse
from sre_platform.diagnosis.parsers.profile_diff import difference
from sre_platform.diagnosis.parsers.profile_encode import encode
from sre_platform.diagnosis.parsers.profile_top import Row, Top, top
from sre_platform.diagnosis.parsers.profile_units import amount
from sre_platform.kernel.errors import Malformed, Unknown
from sre_platform.web.files import as_file
from sre_platform.web.flame_drawing import draw, percent
from sre_platform.web.reading import document_names

FRAMES_SHOWN = 1_200  # about 700 KB of page
ROWS_SHOWN = 30


@login_required
@require_GET
def flame(request: HttpRequest, incident_id: int, evidence_id: int, name: str) -> HttpResponse:
    """A profile as a flame graph. ``against`` is the name of an earlier one, ``sample`` of the values, ``frame`` the
    number of the frame to look at, ``q`` what to look for; ``download`` gives the difference as a file."""
    row = get_object_or_404(EvidenceRow, pk=evidence_id, incident_id=incident_id)
    against = request.GET.get("against", "")
    raw, raw_before = _document(row, name), _document(row, against) if against else None
    try:
        profile, before = parse(raw), parse(raw_before) if raw_before is not None else None
        if before is not None and "download" in request.GET:
            return as_file(row, f"{name}-less-{against}", encode(difference(before, profile)), is_text=False)
        context = _context(request, row, name, _Pair(profile, before))
    except (Malformed, Unknown) as error:
        return render(request, "flame_refused.html", {"error": str(error), "incident": row.incident_id}, status=400)
    return render(request, "flame.html", context)


def _document(row: EvidenceRow, name: str) -> bytes:
    try:
        return row.document(name)
    except Unknown as error:
        raise Http404(str(error)) from error


class _Pair(NamedTuple):
    now: Profile
    before: Profile | None


class Choice(NamedTuple):
    """A link to the same page with something else chosen."""

    name: str
    href: str
    chosen: bool


class ShownRow(NamedTuple):
    """A row of the table of functions."""

    name: str
    inline: str
    flat: str
    flat_percent: str
    cum: str
    cum_percent: str
    href: str


def _context(request: HttpRequest, row: EvidenceRow, name: str, pair: _Pair) -> dict[str, object]:
    against, words = request.GET.get("against", ""), request.GET.get("q", "")[:200]
    kind = pair.now.sample_types[pair.now.sample_index(request.GET.get("sample"))]
    graph = flamegraph(pair.now, pair.before, kind.type, FRAMES_SHOWN)
    kept = {"sample": request.GET.get("sample", ""), "against": against}
    looked_for = kept | {"q": words}
    table = top(difference(pair.before, pair.now) if pair.before else pair.now, kind.type, count=ROWS_SHOWN)
    return {
        "row": row,
        "name": name,
        "against": against,
        "words": words,
        "kind": pair.now.kind,
        "sample": kind,
        "drawing": draw(graph, _number(request.GET.get("frame", "")), words, **looked_for),
        "facts": _facts(graph),
        "empty": not graph.root.weight,
        "table": table,
        "rows": [_shown(line, table, kept) for line in table.rows],
        "samples": _samples(pair.now, kind.type, looked_for),
        "others": _others(row, name, looked_for),
        "whole": _query(looked_for),
        "kept": kept.items(),
        "download": f"?{urlencode({'against': against, 'download': ''})}" if against else "",
    }


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 0


def _facts(graph: FlameGraph) -> list[tuple[str, str]]:
    """The whole in words: how much there is, and how much there was."""
    unit, now, before = graph.sample_type.unit, graph.root.now.total, graph.root.before.total
    if not graph.compares:
        return [("Whole", amount(now, unit))]
    change = f"{(now - before) / before * 100:+.1f} %" if before else "none before"
    return [("Now", amount(now, unit)), ("Before", amount(before, unit)), ("Change", change)]


def _query(chosen: dict[str, str]) -> str:
    return "?" + urlencode({key: value for key, value in chosen.items() if value})


def _shown(line: Row, table: Top, kept: dict[str, str]) -> ShownRow:
    flat, cum = table.amount(line.flat), table.amount(line.cum)
    shares = percent(line.flat_percent / 100), percent(line.cum_percent / 100)
    return ShownRow(line.name, line.inline, flat, shares[0], cum, shares[1], _query(kept | {"q": line.name[:200]}))


def _samples(profile: Profile, chosen: str, kept: dict[str, str]) -> list[Choice]:
    names = dict.fromkeys(value.type for value in profile.sample_types)
    return [Choice(name, _query(kept | {"sample": name}), name == chosen) for name in names]


def _others(row: EvidenceRow, name: str, kept: dict[str, str]) -> list[Choice]:
    """The profiles of the same kind that this one can be compared with, by the names that the collector gives them."""
    kind = name.partition(".")[0]
    names = [
        other
        for other, drawn in document_names([row])[row.pk]
        if drawn and other.partition(".")[0] == kind and other != name
    ]
    if not names:
        return []
    return [
        Choice(other or "nothing", _query(kept | {"against": other}), other == kept["against"])
        for other in ["", *names]
    ]
