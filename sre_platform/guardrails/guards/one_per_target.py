from sre_platform.guardrails.domain import Answer, Facts, Request


class OnePerTarget:
    """While one incident's action holds a target, no other incident touches it."""

    name = "one_per_target"

    def judge(self, request: Request, facts: Facts) -> tuple[Answer, str]:
        holders = [p for p in facts.past if p.active and p.target == request.target]
        others = sorted({p.incident_id for p in holders} - {request.incident_id})
        if others:
            return Answer.DENY, f"Incident {others[0]} is acting on {request.target} right now."
        return Answer.ALLOW, f"Nobody else is acting on {request.target}."
