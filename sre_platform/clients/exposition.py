"""Read the ``/metrics`` page of an exporter (Prometheus text format 0.0.4)."""

from sre_platform.clients import http
from sre_platform.kernel.exposition import parse
from sre_platform.kernel.sample import Sample

__all__ = ["Sample", "fetch", "parse"]

_ACCEPT = {"Accept": "text/plain;version=0.0.4"}


def fetch(url: str, deadline_s: float = 5.0) -> list[Sample]:
    """The samples that ``url`` shows now, in the page's order. Raises Unavailable, Rejected, TooLarge, Malformed."""
    page = http.request("GET", url, headers=_ACCEPT, timeout=(deadline_s, deadline_s), deadline_s=deadline_s)
    return parse(page.text)
