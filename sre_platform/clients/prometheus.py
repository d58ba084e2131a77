"""Ask a Prometheus server (HTTP API v1)."""

from typing import Any
from urllib.parse import urlencode

from sre_platform.clients import http
from sre_platform.kernel.errors import Malformed, Rejected, Unavailable

Vector = list[tuple[dict[str, str], float]]
Points = list[tuple[float, float]]


def query(base_url: str, promql: str, at: float | None = None) -> Vector:
    """The instant value of ``promql``: (labels, value) for each series; a scalar is one series without labels.

    ``at`` is in Unix seconds, None means now. Values may be NaN or infinite, as in PromQL.
    Raises Unavailable, Rejected (bad PromQL, with Prometheus' message), Malformed.
    """
    arguments = {"query": promql} | ({} if at is None else {"time": f"{at:.3f}"})
    answer = http.request("GET", f"{base_url.rstrip('/')}/api/v1/query?{urlencode(arguments)}").json()
    try:
        return _vector(answer["data"])
    except (KeyError, TypeError, ValueError) as error:
        raise Malformed(f"{http.shown(base_url)} does not answer like Prometheus: {error!r}.") from error


def query_range(
    base_url: str, promql: str, start: float, end: float, step_s: float, *, deadline_s: float = 5.0
) -> list[tuple[dict[str, str], Points]]:
    """The values of ``promql`` from ``start`` to ``end``, every ``step_s`` seconds: (labels, [(time, value), ...]).

    Times are in Unix seconds. Values may be NaN or infinite. Prometheus refuses more than 11,000 points a series.
    Raises Unavailable, Rejected (bad PromQL, with Prometheus' message), TooLarge, Malformed.
    """
    arguments = {"query": promql, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step_s:g}"}
    url = f"{base_url.rstrip('/')}/api/v1/query_range?{urlencode(arguments)}"
    answer = http.request("GET", url, timeout=(2.0, deadline_s), deadline_s=deadline_s).json()
    try:
        return _matrix(answer["data"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise Malformed(f"{http.shown(base_url)} does not answer like Prometheus: {error!r}.") from error


def ready(base_url: str) -> bool:
    """Whether the server says that it can be asked."""
    try:
        return http.request("GET", f"{base_url.rstrip('/')}/-/ready").status == 200
    except (Unavailable, Rejected):
        return False


def _vector(data: dict[str, Any]) -> Vector:
    if data["resultType"] == "scalar":
        return [({}, float(data["result"][1]))]
    if data["resultType"] == "vector":
        return [(dict(series["metric"]), float(series["value"][1])) for series in data["result"]]
    raise Malformed(f"Expected a vector or a scalar, the expression gives a {data['resultType']}.")


def _matrix(data: dict[str, Any]) -> list[tuple[dict[str, str], Points]]:
    if data["resultType"] != "matrix":
        raise Malformed(f"Expected a matrix, the expression gives a {data['resultType']}.")
    return [
        (dict(series["metric"]), [(float(at), float(value)) for at, value in series["values"]])
        for series in data["result"]
    ]
