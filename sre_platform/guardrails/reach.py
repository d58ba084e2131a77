"""What can be said about the instances that an action takes away before any share is looked at. Pure."""

from sre_platform.guardrails.domain import Answer, Policy, Request, uncovered


def plain_case(request: Request, policy: Policy | None) -> tuple[Answer, str] | None:
    """The answer where no share decides: nothing is taken away, it is not known or cannot be, or there is one instance.

    None when the share has to be judged; then the request has a reach of several instances, and there is a policy.
    """
    reach = request.reach
    if reach is None and request.restarts:
        return Answer.DENY, f"It is not known how many instances of {request.target} {request.action} takes away."
    if reach is None or reach.takes == 0:
        return Answer.ALLOW, f"{request.action} takes no ready instance of {request.target} away."
    if not reach.possible:
        figures = f"{reach.takes} of {reach.ready} ready of {reach.total}"
        return Answer.DENY, f"{request.action} says that it takes away {figures} instances, which cannot be."
    if policy is None:
        return Answer.DENY, uncovered(request)
    if reach.total == 1:
        return Answer.ALLOW, f"{request.target} has one instance, of which no share could stay."
    return None
