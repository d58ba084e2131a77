from sre_platform.guardrails.domain import Answer, Facts, Request


class PolicyMode:
    """A policy has to allow the action, on this service, for this cause. Without one, nothing is touched."""

    name = "policy"

    def judge(self, request: Request, facts: Facts) -> tuple[Answer, str]:
        policy = facts.policy(request)
        if policy is None:
            return Answer.DENY, f"No policy covers {request.action} on {request.target} for {request.cause}."
        if policy.mode == "auto":
            return Answer.ALLOW, f"Policy {policy.name} lets {request.action} act on its own."
        if policy.mode == "approve":
            return Answer.ASK, f"Policy {policy.name} wants a person to approve {request.action}."
        return Answer.DENY, f"Policy {policy.name} is set to {policy.mode}: it does not act."
