"""The rule: named cause, figures and advice when there is evidence, and silence when there is none."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sre_platform.diagnosis.domain import Evidence, Site
from sre_platform.diagnosis.investigate import RULES
from sre_platform.diagnosis.rca.goroutine_advice import ADVICE, FAMILIES, FAMILY_OF, advice_for
from sre_platform.diagnosis.rca.goroutine_growth import WAITS
from sre_platform.diagnosis.rca.goroutine_names import WORDS
from sre_platform.diagnosis.rca.goroutine_signatures import CAUSES_BY_STATE, SIGNATURES, TWICE
from sre_platform.diagnosis.rules.goroutine_leak import GoroutineLeak
from tests.diagnosis.test_collectors import goroutines

RECORDINGS = Path(__file__).parents[1] / "recordings" / "go"
USER = "main.work"
CREATED = "created by main.start in goroutine 1\n\tlab/app/main.go:9 +0x1\n"


def frame(function):
    package = function.partition(".")[0]
    return f"{function}(0x1)\n\t{'lab/app' if package == 'main' else package}/f.go:12 +0x1\n"


def stacks(count, state, *functions, first_id=100):
    """``count`` goroutines in ``state``, with ``functions`` on their stacks, innermost first."""
    body = "".join(map(frame, functions)) + CREATED
    return "".join(f"goroutine {first_id + n} [{state}]:\n{body}\n" for n in range(count))


def judge(goroutine, earlier=None, goroutineleak=None, **more):
    texts = {"goroutine": goroutine, "earlier": earlier, "goroutineleak": goroutineleak}
    given = {name: text for name, text in texts.items() if text is not None}
    seen = Evidence("go_goroutines", "orders", datetime.now(UTC), {"seconds_apart": 1.0}, given, **more)
    return GoroutineLeak().judge("orders", {"go_goroutines": seen})


def grown(state, *functions):
    return judge(stacks(30, state, *functions), stacks(10, state, *functions))


def recording(folder, *names):
    return {name: (RECORDINGS / folder / f"{name}.txt").read_text() for name in names}


def test_rule_is_found_by_its_name():
    assert isinstance(RULES.get("goroutine_leak"), GoroutineLeak)


def test_leaking_release_of_the_lab_with_proof():
    finding = judge(**recording("leak", "earlier", "goroutine", "goroutineleak"))
    assert finding is not None
    assert (finding.cause, finding.family, finding.service) == ("chan_send_no_receiver", "chan-send", "orders")
    assert (finding.evidence, finding.confidence) == ("gc-proof", 0.97)
    assert (str(finding.site), finding.count, finding.growth) == ("lab/orders/quote_v2.go:35", 118, 39)
    assert list(finding.because) == [
        "orders: 118 goroutines wait in chan send at lab/orders/quote_v2.go:35, 39 more than 1.0 s before.",
        "The garbage collector proved 118 of them unreachable (goroutineleak profile).",
        "Created by main.(*cashier).quote at lab/orders/quote_v2.go:22.",
    ]
    assert "buffer of 1" in finding.advice[0]


def test_leaking_release_of_the_lab_without_proof():
    finding = judge(**recording("leak", "earlier", "goroutine"))
    assert finding is not None
    assert (finding.cause, finding.evidence, finding.confidence) == ("chan_send_no_receiver", "growth", 0.8)
    assert str(finding.site) == "lab/orders/quote_v2.go:35"


def test_leaking_release_of_the_lab_from_counts():
    text = recording("leak", "goroutine_debug1")["goroutine_debug1"]
    finding = judge(text, **recording("leak", "goroutineleak"))
    assert finding is not None
    assert (finding.cause, finding.confidence) == ("chan_send_no_receiver", 0.97)
    assert "This profile does not tell a send from a receive: the line does." in finding.because


def test_profiles_in_protobuf_do_as_well():
    """What a service with very many goroutines is asked for; here of 1,000 that became 2,000."""
    profiles = {"earlier": goroutines(1000), "goroutine": goroutines(2000)}
    seen = Evidence("go_goroutines", "orders", datetime.now(UTC), {"seconds_apart": 1.0}, profiles=profiles)
    finding = GoroutineLeak().judge("orders", {"go_goroutines": seen})
    assert finding is not None
    assert (finding.evidence, finding.growth) == ("growth", 1000)


def test_healthy_release_of_the_lab():
    assert judge(**recording("healthy", "earlier", "goroutine", "goroutineleak")) is None


def test_connections_that_have_just_been_served_are_no_leak():
    """Recorded when the queue for a pool dissolved: 15 more than 1 s before served nobody; 10 of these had served."""
    texts = {
        name: gzip.decompress((RECORDINGS / "burst" / f"{name}.txt.gz").read_bytes()).decode()
        for name in ("earlier", "goroutine")
    }
    assert judge(**texts) is None


@pytest.mark.parametrize(("later", "hit"), [(17, True), (16, False), (10, False)], ids=["hit", "near miss", "healthy"])
def test_threshold(later, hit):
    finding = judge(stacks(later, "chan send", USER), stacks(10, "chan send", USER))
    assert (finding is not None) == hit


@pytest.mark.parametrize(
    ("state", "cause", "family"),
    [
        ("chan send", "chan_send_no_receiver", "chan-send"),
        ("chan receive", "chan_recv_no_sender", "chan-receive"),
        ("chan receive (nil chan)", "nil_chan", "chan-receive"),
        ("select", "select_no_ctx_done", "select-no-cancel"),
        ("select (no cases)", "select_no_ctx_done", "select-no-cancel"),
        ("sync.Mutex.Lock", "mutex_missing_unlock", "lock-wait"),
        ("sync.RWMutex.RLock", "mutex_missing_unlock", "lock-wait"),
        ("sync.WaitGroup.Wait", "waitgroup_never_done", "lock-wait"),
        ("sync.Cond.Wait", "cond_never_signaled", "lock-wait"),
        ("sleep", "sleep_poll_loop", "timer"),
        ("IO wait", "net_read_no_deadline", "io-no-deadline"),
        ("syscall", "blocked_syscall", "io-no-deadline"),
    ],
)
def test_state_names_the_cause(state, cause, family):
    finding = grown(state, USER)
    assert finding is not None
    assert (finding.cause, finding.family, finding.confidence) == (cause, family, 0.8)
    assert finding.advice


@pytest.mark.parametrize(
    ("state", "stack", "cause"),
    [
        ("select", ["database/sql.(*DB).conn", "database/sql.(*DB).query", USER], "db_pool_exhausted"),
        ("select", ["database/sql.(*Tx).awaitDone"], "db_tx_or_rows_not_closed"),
        ("select", ["net/http.(*persistConn).roundTrip", "net/http.(*Client).Do", USER], "http_client_no_timeout"),
        ("select", ["net/http.(*persistConn).writeLoop"], "http_body_not_closed"),
        ("IO wait", ["net/http.(*body).Read", "io.ReadAll", USER], "server_no_read_timeout"),
        ("IO wait", ["net.(*TCPListener).Accept", USER], "listener_never_closed"),
        ("select", ["io.(*pipe).write", "io.(*PipeWriter).Write", USER], "io_pipe_no_reader"),
    ],
)
def test_library_call_names_the_cause(state, stack, cause):
    finding = grown(state, *stack)
    assert finding is not None
    assert (finding.cause, finding.family, finding.confidence) == (cause, "io-no-deadline", 0.85)
    assert (finding.site is not None) == (USER in stack)


@pytest.mark.parametrize(("connections", "sure"), [(30, 0.5), (4_999, 0.5), (5_000, 0.85)])
def test_connections_that_serve_nobody_are_no_reason_to_act_until_they_are_very_many(connections, sure):
    stack = ["net.(*conn).Read", "net/http.(*connReader).Read", "net/http.(*conn).serve"]
    finding = judge(stacks(connections, "IO wait", *stack), stacks(10, "IO wait", *stack))
    assert finding is not None
    assert (finding.cause, finding.confidence) == ("server_no_read_timeout", sure)
    assert any("as many connections as they need" in said for said in finding.against) == (sure < 0.8)
    assert finding.site is None


def test_library_below_the_owners_code_is_no_signature():
    finding = grown("chan send", USER, "net/http.(*persistConn).roundTrip")
    assert finding is not None
    assert finding.cause == "chan_send_no_receiver"


def test_connections_with_their_callers_lack_a_timeout():
    loops = stacks(30, "select", "net/http.(*persistConn).readLoop")
    callers = stacks(30, "select", "net/http.(*persistConn).roundTrip", USER, first_id=500)
    loops_before = stacks(10, "select", "net/http.(*persistConn).readLoop")
    finding = judge(
        loops + callers, loops_before + stacks(28, "select", "net/http.(*persistConn).roundTrip", USER, first_id=500)
    )
    assert finding is not None
    assert finding.cause == "http_client_no_timeout"


def test_culprit_that_is_not_on_the_stacks_is_said_to_be_elsewhere():
    finding = grown("select", "net/http.(*persistConn).readLoop")
    assert finding is not None
    assert finding.site is None
    assert finding.created_by == Site("main.start", "lab/app/main.go", 9)
    assert "the call that left them there is not on their stacks" in finding.because[0]


@pytest.mark.parametrize(
    "evidence",
    [
        {},
        {"go_goroutines": Evidence("go_goroutines", "orders", datetime.now(UTC), missing="No pprof_url.")},
        {"go_goroutines": Evidence("go_goroutines", "orders", datetime.now(UTC), texts={"goroutine": "404"})},
    ],
    ids=["no evidence", "missing", "unreadable"],
)
def test_no_evidence_no_finding(evidence):
    assert GoroutineLeak().judge("orders", evidence) is None


def test_profiles_that_cannot_be_used_are_told():
    finding = judge(stacks(30, "chan send", USER), stacks(10, "chan send", USER), "Unknown profile\n")
    assert finding is not None
    assert finding.because[-1].startswith(
        "The goroutineleak profile could not be used: This is not a goroutine profile"
    )


def test_cut_dump_and_minutes_are_told():
    later = stacks(30, "chan send, 4 minutes", USER) + "goroutine 999 [chan se"
    finding = judge(later, stacks(10, "chan send", USER))
    assert finding is not None
    assert "The longest of these waits that the runtime has stamped lasts 4 min." in finding.because
    assert "The dump was cut: its counts are lower bounds." in finding.because


def test_one_goroutine_is_one():
    finding = judge(stacks(1, "chan send (leaked)", USER))
    assert finding is not None
    assert finding.because[0] == "orders: 1 goroutine waits in chan send at lab/app/f.go:12."


def test_every_wait_has_a_cause_and_every_cause_a_family():
    assert CAUSES_BY_STATE.keys() >= WAITS
    assert {*CAUSES_BY_STATE.values(), *SIGNATURES.values(), *TWICE.values(), *WORDS} <= FAMILY_OF.keys()
    assert ADVICE.keys() == FAMILIES.keys()
    assert all(advice_for(cause) for cause in FAMILY_OF)
