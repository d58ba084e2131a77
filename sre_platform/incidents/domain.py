"""The life of an incident: its states, the events that move it, and nothing else. Pure."""

from enum import StrEnum


class State(StrEnum):
    """What is known about an incident. Who works on it is the lease's business."""

    OPEN = "open"
    DIAGNOSED = "diagnosed"
    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    REMEDIATED = "remediated"
    UNHEALTHY = "unhealthy"
    RESOLVED = "resolved"
    ESCALATED = "escalated"


class Event(StrEnum):
    """What a stage found out or did."""

    CAUSE_FOUND = "cause_found"
    NO_CAUSE = "no_cause"
    ALERTS_CLEARED = "alerts_cleared"
    ALLOWED = "allowed"
    NEEDS_APPROVAL = "needs_approval"
    REFUSED = "refused"
    HUMAN_APPROVED = "approved"
    REJECTED = "rejected"
    STEPS_DONE = "steps_done"
    STEP_FAILED = "step_failed"
    STEP_UNKNOWN = "step_unknown"
    CHANGED = "changed"
    FIXED = "fixed"
    NOT_FIXED = "not_fixed"
    WORSE = "worse"
    UNVERIFIED = "unverified"
    ROLLED_BACK = "rolled_back"
    ROLLBACK_FAILED = "rollback_failed"
    TAKE_BACK = "take_back"
    TAKEN_BACK = "taken_back"
    RELAPSED = "relapsed"


ENDED = frozenset({State.RESOLVED, State.ESCALATED})

TRANSITIONS: dict[State, dict[Event, State]] = {
    State.OPEN: {
        Event.CAUSE_FOUND: State.DIAGNOSED,
        Event.NO_CAUSE: State.ESCALATED,
        Event.ALERTS_CLEARED: State.RESOLVED,
    },
    State.DIAGNOSED: {
        Event.ALLOWED: State.APPROVED,
        Event.NEEDS_APPROVAL: State.AWAITING_APPROVAL,
        Event.REFUSED: State.ESCALATED,
        Event.ALERTS_CLEARED: State.RESOLVED,
    },
    State.AWAITING_APPROVAL: {
        Event.HUMAN_APPROVED: State.APPROVED,
        Event.REJECTED: State.ESCALATED,
        Event.ALERTS_CLEARED: State.RESOLVED,
    },
    State.APPROVED: {
        Event.STEPS_DONE: State.REMEDIATED,
        Event.STEP_FAILED: State.UNHEALTHY,
        Event.STEP_UNKNOWN: State.REMEDIATED,
        Event.NEEDS_APPROVAL: State.AWAITING_APPROVAL,
        Event.CHANGED: State.OPEN,
        Event.REFUSED: State.ESCALATED,
        Event.ALERTS_CLEARED: State.RESOLVED,
    },
    State.REMEDIATED: {
        Event.FIXED: State.RESOLVED,
        Event.NOT_FIXED: State.UNHEALTHY,
        Event.WORSE: State.UNHEALTHY,
        Event.UNVERIFIED: State.ESCALATED,
    },
    State.UNHEALTHY: {
        Event.ROLLED_BACK: State.DIAGNOSED,
        Event.ROLLBACK_FAILED: State.ESCALATED,
        Event.TAKEN_BACK: State.ESCALATED,
    },
    State.RESOLVED: {
        Event.RELAPSED: State.OPEN,
    },
    State.ESCALATED: {
        Event.TAKE_BACK: State.UNHEALTHY,
    },
}


def after(state: State, event: Event) -> State:
    """The state that ``event`` leads to. Raises ValueError for an event that cannot happen in ``state``."""
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        known = ", ".join(TRANSITIONS.get(state, {})) or "none"
        raise ValueError(f"{event} cannot happen to an incident that is {state}; possible are: {known}") from None
