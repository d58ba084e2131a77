"""What a channel is for, told by the names around it and by the context that its function was given.

A dump shows that somebody waits on a channel, but not on which one. The source tells (``source_lines.py``); where it
is not at hand, the words that people use for these things do, less surely: that is why they decide only between causes
of one wait, and never whether something is wrong.
"""

import re
from collections.abc import Iterator

from sre_platform.diagnosis.domain import Site
from sre_platform.diagnosis.parsers.goroutine_calls import Argument, calls
from sre_platform.diagnosis.parsers.goroutines import CHAN_OPERATION, Bucket
from sre_platform.diagnosis.rca.code import user_site

# Words in names of functions, types and packages, by what they speak of. Checked in this order.
WORDS = {
    "timer_stopped_receive": {
        "timer",
        "debounce",
        "debouncer",
        "debounced",
        "timeout",
        "countdown",
        "delayed",
        "expiry",
    },
    "semaphore_not_released": {
        *("sem", "semaphore", "acquire", "limit", "limiter", "slot", "slots", "token", "tokens", "permit", "permits"),
        *("throttle", "throttled", "gate", "bulkhead"),
    },
    "subscriber_never_unsubscribed": {
        *(
            "subscribe",
            "subscriber",
            "subscribers",
            "subscription",
            "sub",
            "hub",
            "broker",
            "topic",
            "pubsub",
            "listener",
        ),
        *("watch", "watcher", "observer", "observe", "broadcast", "broadcaster", "bus", "feed"),
    },
    "ctx_never_cancelled": {"ctx", "cancel", "canceled", "cancelled", "done"},
    "ticker_never_stopped": {"ticker", "tick", "ticks"},
}
BY_STATE = {
    "chan send": ("semaphore_not_released",),
    CHAN_OPERATION: ("semaphore_not_released",),
    "chan receive": (
        *("timer_stopped_receive", "semaphore_not_released", "ctx_never_cancelled", "ticker_never_stopped"),
        "subscriber_never_unsubscribed",
    ),
    "select": ("ticker_never_stopped", "subscriber_never_unsubscribed"),
}
OF_THE_WAITER = frozenset({"ctx_never_cancelled"})  # how its starter is called says nothing of these
# Somebody refers to these channels for as long as they are in use, a registry or the runtime's timers, so the garbage
# collector does not prove their receivers; and one of them alone is no leak.
REFERRED_TO = frozenset({"subscriber_never_unsubscribed", "ticker_never_stopped"})
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")

# An interface prints as its type's and its value's address. context.Background() has a value in the binary's own data,
# next to its types; a context that can be cancelled lies on the heap, which starts far away.
BINARY_SIZE = 256 << 20  # bytes between two addresses of one binary's data


def named_cause(bucket: Bucket, grew: bool) -> str:
    """The cause that names give away for this wait, or ""; ``grew``: it piles up, and the collector has no proof."""
    site = user_site(bucket.frames)
    own, starter = set(_words(site)), set(_words(bucket.created_by))
    for cause in BY_STATE.get(bucket.state, ()):
        words = own if cause in OF_THE_WAITER else own | starter
        if words & WORDS[cause] and (grew or cause not in REFERRED_TO):
            return cause
    return ""


def _words(place: Site | None) -> Iterator[str]:
    """Of a function's name without its folders: ``hub``, ``hub``, ``subscribe`` of ``shop/hub.(*Hub).Subscribe``."""
    if place:
        yield from (word.lower() for word in WORD.findall(place.function.rpartition("/")[2]))


def context_cause(bucket: Bucket) -> str:
    """What its first argument says if that looks like a context: one that nobody can cancel, or nobody did; or ""."""
    site = user_site(bucket.frames)
    for goroutine in bucket.samples[:1]:
        for call in calls(goroutine):
            if site and call.function == site.function:
                method = "(*" in call.function
                return next((_judged(a) for a in call.arguments[method : method + 1] if _is_interface(a)), "")
    return ""


def _is_interface(argument: Argument) -> bool:
    """Two addresses (a string's second word is a length)."""
    return len(argument.words) == 2 and argument.exact and min(argument.words) > 1 << 16


def _judged(argument: Argument) -> str:
    type_, value = argument.words
    return "context_not_propagated" if abs(type_ - value) < BINARY_SIZE else "ctx_never_cancelled"
