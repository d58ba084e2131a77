"""The page of one look at a service's goroutines: the verdict, who waits for whom, and who waits alike."""

import zlib
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from sre_platform.diagnosis.models import EvidenceRow
from sre_platform.kernel.errors import Malformed
from sre_platform.web.goroutine_clusters import clusters
from sre_platform.web.goroutine_look import Look, look, verdict
from sre_platform.web.wait_drawing import NARROW, WIDE, draw
from sre_platform.web.wait_graph import wait_graph

COLLECTOR = "go_goroutines"
CLUSTERS_SHOWN = 50
LONGEST_QUESTION = 200


@login_required
@require_GET
def goroutines(request: HttpRequest, incident_id: int, evidence_id: int) -> HttpResponse:
    """What one look at a service's goroutines showed. ``?q=`` lists only the clusters that hold this text."""
    rows = EvidenceRow.objects.select_related("incident")
    row = get_object_or_404(rows, pk=evidence_id, incident_id=incident_id)
    if row.collector != COLLECTOR:
        raise Http404(f"The collector {row.collector} does not look at goroutines.")
    context: dict[str, Any] = {"row": row, "incident": row.incident, "asked": _question(request)}
    try:
        texts = _texts(row)
        context["texts"] = sorted(texts)
        context |= _seen(look(texts), context["asked"])
    except Malformed as error:
        context["refused"] = f"Not seen: {row.missing}" if row.missing else str(error)
    return render(request, "goroutines.html", context)


def _texts(row: EvidenceRow) -> Mapping[str, str | bytes]:
    """Raises Malformed when what was stored cannot be unpacked."""
    try:
        return {} if row.missing else {**row.profiles, **row.texts}
    except (zlib.error, ValueError) as error:
        raise Malformed(f"The stored dumps are damaged: {error}.") from error


def _question(request: HttpRequest) -> str:
    return request.GET.get("q", "").strip()[:LONGEST_QUESTION]


def _seen(seen: Look, asked: str) -> dict[str, Any]:
    found = clusters(seen)
    fitting = [cluster for cluster in found if cluster.has(asked.lower())] if asked else found
    shown = fitting[:CLUSTERS_SHOWN]
    roots = wait_graph(seen.report, {cluster.bucket.key: cluster.number for cluster in shown})
    return {
        "seen": seen,
        "verdict": verdict(seen),
        "roots": roots,
        "drawings": [drawing for shape in (WIDE, NARROW) if (drawing := draw(roots, shape))],
        "clusters": shown,
        "more": len(fitting) - len(shown),
        "fitting": len(fitting),
        "all": len(found),
        "suspected": sum(cluster.bucket.count for cluster in found if cluster.suspected),
        "suspects": sum(cluster.suspected for cluster in found),
    }
