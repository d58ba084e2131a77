"""OpenTelemetry, when OTEL_EXPORTER_OTLP_ENDPOINT is set: one trace for each incident, from the webhook to the ticket.

The stages run in different processes at different times and hand nothing on, so the trace's id and its root's follow
from the incident itself, and every process adds its spans to the same trace. The root ``incident`` is written when the
incident ends. Nothing here raises or waits: spans are queued, sent in batches by a thread with timeouts, and dropped
when nobody takes them. A process that is killed loses the spans that it had not sent.
"""

import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache, wraps
from typing import Any, ParamSpec

import structlog
from django.conf import settings

from sre_platform.incidents.models import Incident
from sre_platform.kernel.clock import now

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
SEND_EVERY_MS, SEND_TIMEOUT_S, FLUSH_MS, QUEUE = 500, 2, 1000, 2048
BAD = {"failed", "lost", "error"}
P = ParamSpec("P")
log = structlog.get_logger()


def _quietly(write: Callable[P, None]) -> Callable[P, None]:
    """Only when tracing is on, and whatever goes wrong in it is a log line."""

    @wraps(write)
    def written(*args: P.args, **kwargs: P.kwargs) -> None:
        if not os.environ.get(ENDPOINT):
            return
        try:
            write(*args, **kwargs)
        except Exception as error:  # the stage that is watched must not fail with its watcher
            log.warning("span_not_written", reason=f"{type(error).__name__}: {error}")

    return written


@_quietly
def received(incident_ids: Sequence[int]) -> None:
    """A webhook was digested into these new incidents: a span from its arrival until now in the trace of each."""
    for incident_id, arrived in Incident.objects.filter(pk__in=incident_ids).values_list("pk", "opened_at"):
        _child(incident_id, "receive", arrived)


@_quietly
def stage(incident_id: int, name: str, outcome: str, began: datetime) -> None:
    """A stage ended; with the last one, the incident's own span is written."""
    _child(incident_id, name, began, outcome=outcome)
    row = Incident.objects.get(pk=incident_id)
    if row.ended_at and outcome not in BAD:
        _root(row, row.ended_at)


@_quietly
def ticket(incident_id: int, ticket_id: int, began: datetime) -> None:
    """A ticket's delivery was tried."""
    _child(incident_id, "ticket", began, ticket=ticket_id)


@_quietly
def flush() -> None:
    """Send what is queued, within a second: the process is about to end."""
    if provider := _provider(os.getpid()):
        provider.force_flush(FLUSH_MS)


def ids(incident_id: int) -> tuple[int, int]:
    """The trace's id (16 bytes) and the root span's (8 bytes)."""
    digest = hashlib.sha256(f"{settings.SRE_BASE_URL}|incident|{incident_id}".encode()).digest()
    return int.from_bytes(digest[:16]), int.from_bytes(digest[16:24])


def _child(incident_id: int, name: str, began: datetime, **facts: Any) -> None:
    if not (provider := _provider(os.getpid())):
        return
    from opentelemetry import trace

    trace_id, root_id = ids(incident_id)
    root = trace.SpanContext(trace_id, root_id, is_remote=True, trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED))
    above = trace.set_span_in_context(trace.NonRecordingSpan(root))
    facts = {"incident": incident_id, **facts}
    span = provider.get_tracer("sre_platform").start_span(name, above, attributes=facts, start_time=_ns(began))
    if facts.get("outcome") in BAD:
        span.set_status(trace.StatusCode.ERROR)
    span.end(_ns(now()))


def _root(row: Incident, ended: datetime) -> None:
    if not (provider := _provider(os.getpid())):
        return
    from opentelemetry.context import Context

    facts = {"incident": row.pk, "service": row.service, "state": str(row.state)}
    provider.id_generator.fixed.ids = ids(row.pk)
    try:
        tracer = provider.get_tracer("sre_platform")
        tracer.start_span("incident", Context(), attributes=facts, start_time=_ns(row.opened_at)).end(_ns(ended))
    finally:
        provider.id_generator.fixed.ids = None


def _ns(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1000


@cache
def _provider(pid: int) -> Any:  # a forked child sets up its own; None without the packages
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
    except ImportError as error:
        advice = "pip install -r requirements-otel.txt, or unset the variable."
        log.warning("tracing_off", reason=f"{ENDPOINT} is set, but {error}.", advice=advice, pid=pid)
        return None

    class Ids(RandomIdGenerator):
        """Random, but for a root span, whose ids are ``fixed`` for the thread that writes it."""

        fixed = threading.local()

        def generate_trace_id(self) -> int:
            return self.fixed.ids[0] if getattr(self.fixed, "ids", None) else super().generate_trace_id()

        def generate_span_id(self) -> int:
            return self.fixed.ids[1] if getattr(self.fixed, "ids", None) else super().generate_span_id()

    provider = TracerProvider(resource=Resource.create({"service.name": "sre-platform"}), id_generator=Ids())
    exporter = OTLPSpanExporter(timeout=SEND_TIMEOUT_S)
    provider.add_span_processor(
        BatchSpanProcessor(exporter, QUEUE, SEND_EVERY_MS, export_timeout_millis=SEND_TIMEOUT_S * 1000)
    )
    return provider
