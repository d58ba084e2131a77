from sre_platform.guardrails.domain import Answer, Facts, Request
from sre_platform.guardrails.reach import plain_case


class HealthyShare:
    """While an action takes instances away, enough of the service's instances stay ready.

    A service of one instance cannot keep a share of them: it is replaced as it is.
    """

    name = "healthy_share"

    def judge(self, request: Request, facts: Facts) -> tuple[Answer, str]:
        reach, policy = request.reach, facts.policy(request)
        if plain := plain_case(request, policy):
            return plain
        assert reach and policy  # noqa: S101 no plain case, for mypy
        left = reach.ready - reach.takes
        said = f"{left} of {reach.total} instances of {request.target} stay ready ({left / reach.total:.0%})"
        said += f"; policy {policy.name} wants {policy.min_healthy_share:.0%}."
        return (Answer.ALLOW if left / reach.total >= policy.min_healthy_share else Answer.DENY), said
