"""From suspected goroutines to a named cause: what they wait for, whose signature their stacks carry, what helps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.parsers.goroutines import CHAN_OPERATION, Bucket, Dump, Frame, parse
from sre_platform.diagnosis.rca.goroutine_growth import (
    CONNECTION_LOOPS,
    EXPLAINED_SHARE,
    ROUND_TRIP,
    Suspect,
    calls,
    is_standard_library,
    suspects,
)
from sre_platform.kernel.errors import Malformed

# Confidence follows the kind of evidence (goroutines.md, "What separates a leak from health", 7).
BY_PROOF, BY_GROWTH_AND_SIGNATURE, BY_GROWTH = 0.97, 0.85, 0.8

# The cause when the stack tells nothing more than what the runtime calls the wait.
CAUSES_BY_STATE = {
    "chan send": "chan_send_no_receiver",
    CHAN_OPERATION: "chan_send_no_receiver",
    "chan receive": "chan_recv_no_sender",
    "chan receive (nil chan)": "nil_chan",
    "chan send (nil chan)": "nil_chan",
    "select": "select_no_ctx_done",
    "select (no cases)": "select_no_ctx_done",
    "sync.Mutex.Lock": "mutex_missing_unlock",
    "sync.RWMutex.Lock": "mutex_missing_unlock",
    "sync.RWMutex.RLock": "mutex_missing_unlock",
    "semacquire": "mutex_missing_unlock",
    "sync.WaitGroup.Wait": "waitgroup_never_done",
    "sync.Cond.Wait": "cond_never_signaled",
    "sleep": "sleep_poll_loop",
    "IO wait": "net_read_no_deadline",
    "syscall": "blocked_syscall",
}

# A call of the standard library, between the wait and the owner's code, names the cause better than the state does.
SIGNATURES = {
    "database/sql.(*DB).conn": "db_pool_exhausted",
    "database/sql.(*Tx).awaitDone": "db_tx_or_rows_not_closed",
    "database/sql.(*Rows).awaitDone": "db_tx_or_rows_not_closed",
    "net/http.(*persistConn).roundTrip": "http_client_no_timeout",
    "net/http.(*connReader).Read": "server_no_read_timeout",
    "io.(*pipe).write": "io_pipe_no_reader",
    "net.(*TCPListener).Accept": "listener_never_closed",
    "net.(*UnixListener).Accept": "listener_never_closed",
    "os/exec.(*Cmd).Wait": "child_process_wait",
    "os.(*Process).Wait": "child_process_wait",
}

FAMILIES = {
    "chan-send": ("chan_send_no_receiver",),
    "chan-receive": ("chan_recv_no_sender", "nil_chan"),
    "select-no-cancel": ("select_no_ctx_done",),
    "timer": ("sleep_poll_loop",),
    "io-no-deadline": (
        "http_client_no_timeout",
        "http_body_not_closed",
        "server_no_read_timeout",
        "net_read_no_deadline",
        "io_pipe_no_reader",
        "listener_never_closed",
        "blocked_syscall",
        "child_process_wait",
        "db_pool_exhausted",
        "db_tx_or_rows_not_closed",
    ),
    "lock-wait": ("mutex_missing_unlock", "cond_never_signaled", "waitgroup_never_done"),
}
FAMILY_OF = {cause: family for family, causes in FAMILIES.items() for cause in causes}

# knowledge.md, section 1.
ADVICE = {
    "chan-send": (
        "Give a fire-and-forget result channel a buffer of 1, so that the sender can leave when nobody receives.",
        "Otherwise select on the send and on ctx.Done().",
    ),
    "chan-receive": (
        "Close the channel from its sender, on every way out of it.",
        "Otherwise select on the receive and on ctx.Done().",
    ),
    "select-no-cancel": ("Pass the caller's context on, and give the select a case for ctx.Done().",),
    "timer": ("Stop tickers and timers with defer, and end a polling loop when ctx is done.",),
    "io-no-deadline": ("Set a deadline or pass a context with a timeout to every call that leaves the process.",),
    "lock-wait": (
        "Unlock and Done with defer, right behind Lock and Add.",
        "Hold no lock over a channel operation or a network call, and take locks in one order everywhere.",
    ),
}
ADVICE_BY_CAUSE = {
    "nil_chan": ("Make the channel before it is used: an operation on a nil channel waits forever.",),
    "server_no_read_timeout": (
        "Give http.Server ReadHeaderTimeout 5 s, ReadTimeout 5 s, WriteTimeout 10 s, IdleTimeout 30-60 s and"
        " MaxHeaderBytes 64 KiB, and cap its connections.",
    ),
    "http_body_not_closed": ("Close the response body with defer, also when it is not read.",),
    "http_client_no_timeout": ("Give http.Client a Timeout, or each request a context with one.",),
    "db_pool_exhausted": ("Close rows and end transactions on every way out; then look at SetMaxOpenConns.",),
    "db_tx_or_rows_not_closed": ("Close rows with defer, and Commit or Rollback on every way out.",),
    "io_pipe_no_reader": ("Close the reading end with CloseWithError when the reader gives up.",),
    "listener_never_closed": ("Close the listener when its owner ends.",),
    "child_process_wait": ("Start the child with exec.CommandContext and a timeout.",),
}


@dataclass(frozen=True)
class _Seen:
    """The three profiles as far as they could be read, and a sentence for each that could not."""

    later: Dump
    earlier: Dump | None
    leaked: Dump | None
    seconds_apart: float | None
    unread: Sequence[str]


class GoroutineLeak:
    """Goroutines pile up at one line, or the garbage collector proved that some can never go on.

    Reads ``go_goroutines``: texts ``goroutine``, and where there are any ``earlier`` and ``goroutineleak``; data
    ``seconds_apart`` (seconds). Says nothing when the later dump is missing or cannot be read.
    """

    name = "goroutine_leak"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        seen = _seen(evidence.get("go_goroutines"))
        leads = suspects(seen.earlier, seen.later, seen.leaked) if seen else []
        return _finding(service, leads[0], seen) if seen and leads else None


def _seen(evidence: Evidence | None) -> _Seen | None:
    texts = evidence.texts if evidence and not evidence.missing else {}
    dumps: dict[str, Dump] = {}
    unread: list[str] = []
    for name in texts.keys() & {"goroutine", "earlier", "goroutineleak"}:
        try:
            dumps[name] = parse(texts[name])
        except Malformed as error:
            unread.append(f"The {name} profile could not be used: {error}")
    if evidence is None or "goroutine" not in dumps:
        return None
    apart = evidence.data.get("seconds_apart")
    return _Seen(dumps["goroutine"], dumps.get("earlier"), dumps.get("goroutineleak"), apart, sorted(unread))


def _finding(service: str, lead: Suspect, seen: _Seen) -> Finding:
    bucket = lead.bucket
    signature = _signature(bucket, seen.later)
    cause = signature or CAUSES_BY_STATE.get(bucket.state, CAUSES_BY_STATE[CHAN_OPERATION])
    return Finding(
        cause=cause,
        family=FAMILY_OF[cause],
        service=service,
        confidence=_confidence(lead, signature),
        evidence=lead.evidence,
        because=[*_because(service, lead, seen)],
        advice=ADVICE_BY_CAUSE.get(cause, ()) or ADVICE[FAMILY_OF[cause]],
        state=bucket.state,
        site=lead.site,
        created_by=bucket.created_by,
        count=bucket.count,
        growth=lead.growth,
    )


def _confidence(lead: Suspect, signature: str) -> float:
    if lead.evidence == "gc-proof":
        return BY_PROOF
    return BY_GROWTH_AND_SIGNATURE if signature else BY_GROWTH


def _signature(bucket: Bucket, later: Dump) -> str:
    """The cause that the library calls above the owner's code give away, or ""."""
    if calls(bucket, *CONNECTION_LOOPS):
        in_flight = sum(other.count for other in later.buckets if calls(other, ROUND_TRIP))
        return "http_client_no_timeout" if in_flight >= EXPLAINED_SHARE * bucket.count else "http_body_not_closed"
    library = [frame.function for frame in takewhile(is_standard_library, bucket.frames)]
    return next((SIGNATURES[call] for call in library if call in SIGNATURES), "")


def _because(service: str, lead: Suspect, seen: _Seen) -> Iterator[str]:
    bucket = lead.bucket
    yield f"{service}: {_crowd(bucket)} {_place(lead)}{_more(lead.growth, seen.seconds_apart)}."
    if bucket.leaked:
        yield f"The garbage collector proved {bucket.leaked} of them unreachable (goroutineleak profile)."
    if bucket.created_by:
        yield f"Created by {bucket.created_by.function} at {bucket.created_by}."
    if bucket.minutes:
        yield f"The longest of these waits that the runtime has stamped lasts {bucket.minutes[1]} min."
    if bucket.state in ("", CHAN_OPERATION):
        yield "This profile does not tell a send from a receive: the line does."
    if seen.later.truncated:
        yield "The dump was cut: its counts are lower bounds."
    yield from seen.unread


def _crowd(bucket: Bucket) -> str:
    noun, verb = ("goroutine", "waits") if bucket.count == 1 else ("goroutines", "wait")
    return f"{bucket.count} {noun} {verb} in {bucket.state or CHAN_OPERATION}"


def _place(lead: Suspect) -> str:
    if lead.site:
        return f"at {lead.site}"
    return f"under {_outermost(lead.bucket.frames)}, and the call that left them there is not on their stacks"


def _outermost(frames: Sequence[Frame]) -> str:
    return f"{frames[-1].function} at {frames[-1].file}:{frames[-1].line}" if frames else "an unknown function"


def _more(growth: int | None, seconds_apart: float | None) -> str:
    if not growth or growth < 0:
        return ""
    before = f"{seconds_apart:.1f} s before" if seconds_apart else "in the earlier dump"
    return f", {growth} more than {before}"
