from sre_platform.guardrails.domain import Answer, Facts, Request, uncovered


class HealthyShare:
    """While an action takes instances away, enough of the service's instances stay ready.

    A service of one instance cannot keep a share of them: it is replaced as it is.
    """

    name = "healthy_share"

    def judge(self, request: Request, facts: Facts) -> tuple[Answer, str]:
        reach, policy = request.reach, facts.policy(request)
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
        left = reach.ready - reach.takes
        said = f"{left} of {reach.total} instances of {request.target} stay ready ({left / reach.total:.0%})"
        said += f"; policy {policy.name} wants {policy.min_healthy_share:.0%}."
        return (Answer.ALLOW if left / reach.total >= policy.min_healthy_share else Answer.DENY), said
