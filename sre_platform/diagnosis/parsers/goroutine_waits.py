"""What a goroutine waits for, read off its innermost functions where the profile does not say it."""

from collections.abc import Sequence

from sre_platform.diagnosis.parsers.goroutine_dump import CHAN_OPERATION, Frame

# By the first of these functions on the stack (innermost first). runtime_SemacquireMutex is left out on purpose: before
# Go 1.20 RWMutex and Mutex shared it, their callers tell them apart.
WAITS_BY_FUNCTION = {
    "runtime.chansend1": "chan send",
    "runtime.chanrecv1": "chan receive",
    "runtime.chanrecv2": "chan receive",
    "runtime.selectgo": "select",
    "runtime.block": "select (no cases)",
    "time.Sleep": "sleep",
    "internal/poll.runtime_pollWait": "IO wait",
    "internal/sync.(*Mutex).lockSlow": "sync.Mutex.Lock",
    "sync.(*Mutex).lockSlow": "sync.Mutex.Lock",
    "sync.(*Mutex).Lock": "sync.Mutex.Lock",
    "sync.(*RWMutex).RLock": "sync.RWMutex.RLock",
    "sync.(*RWMutex).Lock": "sync.RWMutex.Lock",
    "sync.(*WaitGroup).Wait": "sync.WaitGroup.Wait",
    "sync.(*Cond).Wait": "sync.Cond.Wait",
    "os/signal.signal_recv": "syscall",
}
WAIT_DEPTH = 5  # pollWait, SemacquireMutex > lockSlow > Mutex.Lock > sync.Mutex.Lock: no wait sits deeper

# debug=1 hides leading runtime frames but prints their addresses: gopark < selectgo, gopark < chansend < chansend1.
WAITS_BY_HIDDEN_FRAMES = {2: "select", 3: CHAN_OPERATION}


def wait_of(frames: Sequence[Frame]) -> str:
    """The wait reason that the innermost functions give away, or ""."""
    for frame in frames[:WAIT_DEPTH]:
        if state := WAITS_BY_FUNCTION.get(frame.function):
            return state
    return "syscall" if frames and frames[0].function.startswith("syscall.") else ""
