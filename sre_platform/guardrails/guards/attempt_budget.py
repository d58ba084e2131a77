from sre_platform.guardrails.domain import Answer, Facts, Request


class AttemptBudget:
    """One incident may try only so many actions before people take over."""

    name = "attempt_budget"

    def judge(self, request: Request, facts: Facts) -> tuple[Answer, str]:
        policy = facts.policy(request)
        tried = sum(p.incident_id == request.incident_id for p in facts.past)
        if policy and tried >= policy.max_actions:
            return Answer.DENY, f"{tried} actions were tried for this incident, policy {policy.name} allows no more."
        return Answer.ALLOW, f"{tried} actions were tried for this incident before."
