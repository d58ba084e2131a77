"""The samples of a ``/metrics`` page, in the Prometheus text format 0.0.4 or as OpenMetrics. No I/O."""

from collections.abc import Iterable, Iterator

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_fd_to_metric_families as openmetrics_families
from prometheus_client.parser import text_fd_to_metric_families as prometheus_families

from sre_platform.kernel.errors import Malformed
from sre_platform.kernel.sample import Sample

__all__ = ["parse", "parse_openmetrics"]


def parse(text: str) -> list[Sample]:
    """The samples of a page, without its time stamps: a sample counts as taken when fetched. Raises Malformed."""
    try:
        return _samples(prometheus_families(_sample_lines(text)))  # type: ignore[arg-type]
    except (ValueError, IndexError, OverflowError) as error:
        raise Malformed(f"This is not the Prometheus text format: {error}.") from error


def parse_openmetrics(text: str) -> list[Sample]:
    """The samples of an OpenMetrics page, without time stamps and exemplars. Raises Malformed."""
    try:
        return _samples(openmetrics_families(_lines(text)))
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise Malformed(f"This is not the OpenMetrics format: {error}.") from error


def _samples(families: Iterable[Metric]) -> list[Sample]:
    return [
        Sample(sample.name, tuple(sorted(sample.labels.items())), float(sample.value))
        for family in families
        for sample in family.samples
        if sample.value is not None  # a native histogram has buckets instead
    ]


def _lines(text: str) -> Iterator[str]:
    """All lines with their ends. Split at ``\\n`` only: a label value may hold U+2028."""
    *lines, last = text.split("\n")
    yield from (f"{line}\n" for line in lines)
    if last:
        yield last


def _sample_lines(text: str) -> Iterator[str]:
    """The lines that hold samples.

    Without the ``# TYPE`` lines, because the parser appends ``_total`` to any counter that lacks it; Prometheus keeps
    the name as it is, and Envoy has hundreds of such counters.
    """
    return (line for line in text.split("\n") if not line.lstrip(" \t").startswith("#"))
