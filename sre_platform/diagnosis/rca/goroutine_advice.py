"""The causes of goroutine leaks and hangs, their families, and what helps (knowledge.md, section 1)."""

from collections.abc import Sequence

FAMILIES = {
    "chan-send": ("chan_send_no_receiver",),
    "chan-receive": (
        "chan_recv_no_sender",
        "nil_chan",
        "chan_wait_cycle",
        "semaphore_not_released",
        "subscriber_never_unsubscribed",
    ),
    "select-no-cancel": ("select_no_ctx_done", "ctx_never_cancelled", "context_not_propagated"),
    "timer": ("ticker_never_stopped", "timer_stopped_receive", "sleep_poll_loop"),
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
    "lock-wait": (
        "mutex_missing_unlock",
        "mutex_double_lock",
        "lock_order_abba",
        "rwmutex_recursive_rlock",
        "chan_lock_cycle",
        "mutex_held_across_io",
        "once_reentered",
        "cond_never_signaled",
        "waitgroup_never_done",
    ),
}
FAMILY_OF = {cause: family for family, causes in FAMILIES.items() for cause in causes}

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
    "chan_wait_cycle": ("Let one side only send and the other only receive, or give both a way out with ctx.Done().",),
    "semaphore_not_released": (
        "Release the slot with defer right behind taking it, and take it in a select with ctx.Done().",
    ),
    "subscriber_never_unsubscribed": (
        "Return an unsubscribe function and call it with defer; let the hub close the subscriber's channel.",
    ),
    "ctx_never_cancelled": ("Call the context's cancel function with defer, on every way out of who made it.",),
    "context_not_propagated": ("Pass the caller's context down instead of context.Background(), which is never done.",),
    "ticker_never_stopped": (
        "Stop the ticker with defer, and leave its loop when ctx is done: Stop does not close the channel.",
    ),
    "timer_stopped_receive": (
        "Do not receive from a timer that was stopped: nothing comes any more. Select on ctx.Done() as well.",
    ),
    "sleep_poll_loop": ("End the polling loop when ctx is done: wait in a select on a timer and ctx.Done().",),
    "server_no_read_timeout": (
        "Give http.Server ReadHeaderTimeout 5 s, ReadTimeout 5 s, WriteTimeout 10 s, IdleTimeout 30-60 s and"
        " MaxHeaderBytes 64 KiB, and cap its connections.",
    ),
    "http_body_not_closed": ("Close the response body with defer, also when it is not read.",),
    "http_client_no_timeout": ("Give http.Client a Timeout, or each request a context with one.",),
    "net_read_no_deadline": ("Call SetReadDeadline before every read, or close the connection when ctx is done.",),
    "db_pool_exhausted": (
        "Close rows and end transactions on every way out; then look at SetMaxOpenConns.",
        "Query with a context that has a timeout, so that who waits for a connection gives up.",
    ),
    "db_tx_or_rows_not_closed": ("Close rows with defer, and Commit or Rollback on every way out.",),
    "io_pipe_no_reader": ("Close the reading end with CloseWithError when the reader gives up.",),
    "listener_never_closed": ("Close the listener when its owner ends.",),
    "blocked_syscall": (
        "Use what the runtime can poll (os.File with a deadline, net.Conn) instead of raw system calls.",
    ),
    "child_process_wait": ("Start the child with exec.CommandContext and a timeout, and set WaitDelay.",),
    "mutex_missing_unlock": ("Unlock with defer right behind Lock, on every way out, panics included.",),
    "mutex_double_lock": (
        "Split the method into an exported one that locks and an inner one that expects the lock to be held.",
    ),
    "lock_order_abba": ("Take the two locks in one order everywhere, or guard both objects with one lock.",),
    "rwmutex_recursive_rlock": (
        "Do not call a method that takes RLock while holding RLock: a writer that arrives between them stops both.",
    ),
    "chan_lock_cycle": ("Unlock before the channel operation: copy what is to be sent, unlock, then send.",),
    "mutex_held_across_io": ("Unlock before the call that leaves the process, or give it a short deadline.",),
    "once_reentered": ("Do not call Do of a sync.Once from the function that it runs.",),
    "cond_never_signaled": (
        "Signal or Broadcast after every change of what the condition tests, with the lock held, and on shutdown.",
    ),
    "waitgroup_never_done": ("Call Add before the go statement and Done with defer as the goroutine's first line.",),
}


def advice_for(cause: str) -> Sequence[str]:
    """What helps against ``cause``, for the owner of the code."""
    return ADVICE_BY_CAUSE.get(cause, ADVICE[FAMILY_OF[cause]])
