from sre_platform.guardrails.domain import Answer, Facts, Request, uncovered


class PolicyMode:
    """A policy has to allow the action, on this service, for this cause. Without one, nothing is touched."""

    name = "policy"

    def judge(self, request: Request, facts: Facts) -> tuple[Answer, str]:
        policy = facts.policy(request)
        if policy is None:
            return Answer.DENY, uncovered(request)
        if policy.mode == "auto":
            return Answer.ALLOW, f"Policy {policy.name} lets {request.action} act on its own."
        if policy.mode == "approve":
            return Answer.ASK, f"Policy {policy.name} wants a person to approve {request.action}."
        if policy.mode == "suggest":
            return Answer.DENY, f"Policy {policy.name} only suggests {request.action}: a person may do it."
        return Answer.DENY, f"Policy {policy.name} is set to {policy.mode}: it does not act."
