from sre_platform.guardrails.domain import Answer, Facts, Request


class RolloutMoves:
    """While a roll-out moves a service's processes and traffic itself, nobody else does: each would undo the other."""

    name = "rollout"

    def judge(self, request: Request, facts: Facts) -> tuple[Answer, str]:
        if moving := facts.moving.get(request.target):
            return Answer.DENY, f"{moving} is moving {request.target} at this moment."
        return Answer.ALLOW, f"No roll-out is moving {request.target}."
