"""One incident is one trace, written by different processes; and a collector that is away costs nothing."""

import os
import subprocess
import sys
from collections import Counter
from time import monotonic

import pytest
from django.conf import settings

from sre_platform.engine import tracing
from tests.fakes.wire import Answer, serving

trace_service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")

BEGIN = """
import django, os
django.setup()
from sre_platform.engine import tasks, tracing
tasks.ring = lambda *_: None
"""
DIGEST = """
from django.core.management import call_command
from tests.fakes.alertmanager import alert, body
from sre_platform.intake.receive import receive
call_command("migrate", verbosity=0)
receive("alertmanager", body(alert()))
tasks.digest.apply(throw=True)
tracing.flush()
"""
ADVANCE = """
tasks.advance.apply((1,), throw=True)
tracing.flush()
"""
FORKED = """
from time import monotonic
from django.db import connection
tracing._provider(os.getpid())  # the parent has one, with its thread
connection.close()
if (pid := os.fork()) == 0:
    tasks.deliver.apply((1,), throw=True)
    tracing.flush()
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
"""


def run(data, code: str, endpoint: str, **more: str) -> str:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SRE_", "PROMETHEUS"))}
    env = {"SRE_DATA": str(data), "SRE_ENV_FILE": "/nonexistent", tracing.ENDPOINT: endpoint} | more
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code],
        env=kept | env,
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def spans(calls) -> list:
    assert {call.path for call in calls} == {"/v1/traces"}
    requests = [trace_service.ExportTraceServiceRequest.FromString(call.body) for call in calls]
    return [s for r in requests for resource in r.resource_spans for scope in resource.scope_spans for s in scope.spans]


def test_three_processes_write_one_trace_from_webhook_to_ticket(tmp_path):
    with serving(Answer()) as collector:
        for code in (DIGEST, ADVANCE, FORKED):
            run(tmp_path, code, collector.url)
        found = spans(collector.calls)
    assert Counter(span.name for span in found) == Counter(["incident", "receive", "diagnose", "ticket"])
    assert len({span.trace_id for span in found}) == 1
    [root] = [span for span in found if not span.parent_span_id]
    assert root.name == "incident"
    assert {span.parent_span_id for span in found if span is not root} == {root.span_id}
    by_name = {span.name: span for span in found}
    assert root.start_time_unix_nano == by_name["receive"].start_time_unix_nano
    assert by_name["diagnose"].start_time_unix_nano <= root.end_time_unix_nano
    assert by_name["ticket"].start_time_unix_nano >= root.end_time_unix_nano
    facts = {a.key: a.value for a in by_name["diagnose"].attributes}
    assert (facts["outcome"].string_value, facts["incident"].int_value) == ("no_cause", 1)


def test_a_collector_that_is_away_fails_no_stage_and_holds_nobody_up(tmp_path):
    run(tmp_path, DIGEST, "http://127.0.0.1:1")
    began = monotonic()
    run(tmp_path, ADVANCE + FORKED, "http://127.0.0.1:1")
    assert monotonic() - began < 20


def test_without_the_packages_one_line_says_what_to_do(tmp_path):
    (tmp_path / "opentelemetry").mkdir()
    (tmp_path / "opentelemetry" / "__init__.py").write_text("raise ImportError('there is none')")
    said = run(tmp_path, DIGEST + ADVANCE, "http://127.0.0.1:1", PYTHONPATH=str(tmp_path))
    assert said.count("tracing_off") == 1
    assert "pip install -r requirements-otel.txt" in said


def test_incidents_and_installations_have_traces_of_their_own(settings):
    first = tracing.ids(1)
    assert tracing.ids(1) == first
    assert tracing.ids(2) != first
    settings.SRE_BASE_URL = "https://elsewhere.example"
    assert tracing.ids(1) != first
