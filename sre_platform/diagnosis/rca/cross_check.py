"""The cross-check of three signals: goroutines pile up, a lock is contended, threads are starved.

One signal alone is a symptom. Two that agree name the cause. All three: the lock is the root, and the others follow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

BY_THREE, BY_TWO, BY_ONE = 0.95, 0.85, 0.5

LOCK, SATURATION = "go.lock.contention", "go.sched.saturation"


@dataclass(frozen=True)
class Signal:
    """``present`` is None when it could not be looked at; ``says`` is a sentence, with the values seen or why not.

    ``of_lock`` is False for a pile-up in front of something that is no lock.
    """

    present: bool | None
    says: str
    of_lock: bool = True


@dataclass(frozen=True)
class Verdict:
    """``cause`` with the signals that support it, those that speak against it and those that nobody could see."""

    cause: str
    confidence: float
    means: str
    because: Sequence[str]
    against: Sequence[str]
    missing: Sequence[str]


def cross_check(pile_up: Signal, contention: Signal, starvation: Signal) -> Verdict | None:
    """What the three signals mean together; None when none of them is there."""
    signals = (pile_up, contention, starvation)
    support = [signal for signal in signals if signal.present]
    if not support:
        return None
    cause, confidence, means = _meaning(*signals)
    support = support if confidence > BY_ONE else support[:1]
    return Verdict(
        cause,
        confidence,
        means,
        [signal.says for signal in support],
        [signal.says for signal in signals if signal.present is not None and signal not in support],
        [signal.says for signal in signals if signal.present is None],
    )


def _meaning(pile_up: Signal, contention: Signal, starvation: Signal) -> tuple[str, float, str]:
    """The cause, how sure it is, and why, of at least one signal."""
    lock = contention.present and pile_up.present and pile_up.of_lock
    if lock and starvation.present:
        return LOCK, BY_THREE, "All three signals agree: the lock is the root, the pile-up and the starvation follow."
    if lock:
        return LOCK, BY_TWO, "Two signals agree: goroutines pile up at a lock, and a lock is contended."
    if starvation.present and (pile_up.present or contention.present):
        return SATURATION, BY_TWO, "Two signals agree: what waits does so for a processor, lock holders among it."
    named = {"pile-up": pile_up, "lock-contention": contention, "starvation": starvation}
    name = next(name for name, signal in named.items() if signal.present)
    return f"go.symptom.{name}", BY_ONE, "One signal alone is a symptom and not a cause."
