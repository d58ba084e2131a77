"""Calls of well-known libraries that name the cause better than the wait does (goroutines.md, 5)."""

from collections.abc import Iterable
from itertools import takewhile

from sre_platform.diagnosis.parsers.goroutines import Bucket, Frame
from sre_platform.diagnosis.rca.code import is_library, is_standard_library
from sre_platform.diagnosis.rca.goroutine_growth import CONNECTION_LOOPS, EXPLAINED_SHARE, ROUND_TRIP, SERVING, calls

# By a call between the wait and the owner's code, the innermost that is listed.
SIGNATURES = {
    "database/sql.(*DB).conn": "db_pool_exhausted",
    "database/sql.(*Tx).awaitDone": "db_tx_or_rows_not_closed",
    "database/sql.(*Rows).awaitDone": "db_tx_or_rows_not_closed",
    "net/http.(*persistConn).roundTrip": "http_client_no_timeout",
    "net/http.(*Transport).getConn": "http_client_no_timeout",
    "net/http.(*connReader).Read": "server_no_read_timeout",
    "net/http.(*body).Read": "server_no_read_timeout",
    "io.(*pipe).write": "io_pipe_no_reader",
    "net.(*TCPListener).Accept": "listener_never_closed",
    "net.(*TCPListener).AcceptTCP": "listener_never_closed",
    "net.(*UnixListener).Accept": "listener_never_closed",
    "net.(*UnixListener).AcceptUnix": "listener_never_closed",
    "os/exec.(*Cmd).Wait": "child_process_wait",
    "os/exec.(*Cmd).awaitGoroutines": "child_process_wait",
    "os.(*Process).Wait": "child_process_wait",
    "os.(*Process).wait": "child_process_wait",
    "context.(*cancelCtx).propagateCancel.func2": "ctx_never_cancelled",
    "golang.org/x/sync/semaphore.(*Weighted).Acquire": "semaphore_not_released",
    "golang.org/x/sync/errgroup.(*Group).Wait": "waitgroup_never_done",
}
TWICE = {"sync.(*Once).doSlow": "once_reentered"}

# The cause when nothing tells more than what the runtime calls the wait.
CAUSES_BY_STATE = {
    "chan send": "chan_send_no_receiver",
    "chan operation": "chan_send_no_receiver",
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


def signature(bucket: Bucket, buckets: Iterable[Bucket]) -> str:
    """The cause that library calls on the stack give away, or "". ``buckets`` are all of the dump."""
    if calls(bucket, *CONNECTION_LOOPS):
        in_flight = sum(other.count for other in buckets if calls(other, ROUND_TRIP))
        return "http_client_no_timeout" if in_flight >= EXPLAINED_SHARE * bucket.count else "http_body_not_closed"
    library = [frame.function for frame in takewhile(_is_foreign, bucket.frames)]
    if bucket.state == "IO wait" and library[-1:] == [SERVING]:
        return "server_no_read_timeout"  # nothing of the owner's: reading a request, or shaking hands
    twice = (cause for call, cause in TWICE.items() if library.count(call) > 1)
    return next(twice, "") or next((SIGNATURES[call] for call in library if call in SIGNATURES), "")


def _is_foreign(frame: Frame) -> bool:
    return is_standard_library(frame) or is_library(frame)
