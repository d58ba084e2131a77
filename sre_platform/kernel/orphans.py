"""Children that do not outlive their parent, in whatever way it dies."""

import ctypes
import sys
from collections.abc import Callable
from functools import partial

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def signalled_with_parent(signal: int) -> Callable[[], None]:
    """A ``preexec_fn``: the kernel sends ``signal`` to the child when its parent dies (Linux; elsewhere nothing)."""
    if sys.platform != "linux":
        return partial(int)
    prctl = ctypes.CDLL(None).prctl  # looked up here: the child must do nothing between fork and exec but one call
    return partial(prctl, PR_SET_PDEATHSIG, signal)
