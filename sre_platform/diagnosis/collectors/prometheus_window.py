import math
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sre_platform.catalog.domain import Target
from sre_platform.clients import http, prometheus
from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.investigate import Scene
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import SreError, Unavailable

QUERY_S = 3.0
MAX_QUERIES, MAX_SERIES, MAX_POINTS = 30, 50, 2000  # of a look, of a query, of a series


class PrometheusWindow:
    """What Prometheus recorded around the incident, for the queries that the playbook names."""

    name = "prometheus_window"

    class Params(BaseModel):
        model_config = ConfigDict(extra="forbid")
        queries: dict[str, str] = Field(default_factory=dict, max_length=MAX_QUERIES)
        minutes: float = Field(15, gt=0, le=24 * 60)
        step_s: float = Field(15, ge=1, le=3600)

    def collect(self, target: Target, scene: Scene, params: Params) -> Evidence:
        """``{service}`` in a query stands for the service. A query that fails is missing, the others are there."""
        if not scene.prometheus_url:
            raise Unavailable("No Prometheus is configured.", advice="Set SRE_PROMETHEUS_URL.")
        if not params.queries:
            raise Unavailable("The playbook names no queries.")
        end = now()
        start = min(scene.opened_at, end) - timedelta(minutes=params.minutes)
        step_s = max(params.step_s, math.ceil((end - start).total_seconds() / MAX_POINTS))
        window = (start.timestamp(), end.timestamp(), step_s)
        queries = {
            name: _answer(scene, promql.replace("{service}", target.service), window)
            for name, promql in params.queries.items()
        }
        data = {"queries": queries, "start": window[0], "end": window[1], "step_s": step_s}
        base = http.shown(scene.prometheus_url).rstrip("/")
        asked = tuple(f"GET {base}/api/v1/query_range: {answer['query']}" for answer in queries.values())
        return Evidence(self.name, target.service, now(), data, asked=asked)


def _answer(scene: Scene, promql: str, window: tuple[float, float, float]) -> dict[str, Any]:
    """The series of one query; points that are no number (NaN, infinite) are left out."""
    try:
        found = prometheus.query_range(scene.prometheus_url, promql, *window, deadline_s=scene.left_s(QUERY_S))
    except SreError as error:
        return {"query": promql, "series": [], "missing": str(error)}
    series = [
        {"labels": labels, "points": [[at, value] for at, value in points if math.isfinite(value)]}
        for labels, points in sorted(found, key=lambda one: sorted(one[0].items()))[:MAX_SERIES]
    ]
    missing = "" if series else "Prometheus has no data for it in this window."
    if len(found) > MAX_SERIES:
        missing = f"It gave {len(found)} series, of which the first {MAX_SERIES} were kept."
    return {"query": promql, "series": series, "missing": missing}
