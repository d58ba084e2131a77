from sre_platform.guardrails.domain import Answer, Facts, Request, uncovered


class AttemptBudget:
    """One incident may try only so many actions before people take over. What was taken back was tried, too."""

    name = "attempt_budget"

    def judge(self, request: Request, facts: Facts) -> tuple[Answer, str]:
        policy = facts.policy(request)
        if policy is None:
            return Answer.DENY, uncovered(request)
        tried = sum(p.incident_id == request.incident_id for p in facts.past)
        said = f"{tried} actions were tried for this incident; policy {policy.name} allows {policy.max_actions}."
        return (Answer.DENY if tried >= policy.max_actions else Answer.ALLOW), said
