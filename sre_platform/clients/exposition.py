"""Read the ``/metrics`` page of an exporter (Prometheus text format 0.0.4)."""

from collections.abc import Iterator

from prometheus_client.parser import text_fd_to_metric_families

from sre_platform.clients import http
from sre_platform.kernel.errors import Malformed
from sre_platform.kernel.sample import Sample

__all__ = ["Sample", "fetch", "parse"]

_ACCEPT = {"Accept": "text/plain;version=0.0.4"}


def fetch(url: str, deadline_s: float = 5.0) -> list[Sample]:
    """The samples that ``url`` shows now, in the page's order. Raises Unavailable, Rejected, TooLarge, Malformed."""
    page = http.request("GET", url, headers=_ACCEPT, timeout=(deadline_s, deadline_s), deadline_s=deadline_s)
    return parse(page.text)


def parse(text: str) -> list[Sample]:
    """The samples of a page, without its time stamps: a sample counts as taken when fetched. Raises Malformed."""
    try:
        return [
            Sample(sample.name, tuple(sorted(sample.labels.items())), float(sample.value))
            for family in text_fd_to_metric_families(_sample_lines(text))  # type: ignore[arg-type]
            for sample in family.samples
        ]
    except (ValueError, IndexError, OverflowError) as error:
        raise Malformed(f"This is not the Prometheus text format: {error}.") from error


def _sample_lines(text: str) -> Iterator[str]:
    """The lines that hold samples.

    Without the ``# TYPE`` lines, because the parser appends ``_total`` to any counter that lacks it; Prometheus keeps
    the name as it is, and Envoy has hundreds of such counters. Split at ``\\n`` only: a label value may hold U+2028.
    """
    return (line for line in text.split("\n") if not line.lstrip(" \t").startswith("#"))
