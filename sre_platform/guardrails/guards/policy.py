from sre_platform.guardrails.domain import Answer, Facts, Policy, Request, uncovered

STRICTNESS = (Answer.ALLOW, Answer.ASK, Answer.DENY)


class PolicyMode:
    """A policy has to allow the action, on this service, for this cause. Without one, nothing is touched.

    Of a service whose tier or environment is not known, a stricter policy for one of them might be meant: it counts.
    """

    name = "policy"

    def judge(self, request: Request, facts: Facts) -> tuple[Answer, str]:
        policy = facts.policy(request)
        if policy is None:
            return Answer.DENY, uncovered(request)
        said = _says(policy, request)
        for other, blank in facts.perhaps(request):
            answer, reason = _says(other, request)
            if STRICTNESS.index(answer) > STRICTNESS.index(said[0]):
                said = answer, f"The {blank} of {request.target} is not known, so it may be that: {reason}"
        return said


def _says(policy: Policy, request: Request) -> tuple[Answer, str]:
    if policy.mode == "auto":
        return Answer.ALLOW, f"Policy {policy.name} lets {request.action} act on its own."
    if policy.mode == "approve":
        return Answer.ASK, f"Policy {policy.name} wants a person to approve {request.action}."
    if policy.mode == "suggest":
        return Answer.DENY, f"Policy {policy.name} only suggests {request.action}: a person may do it."
    return Answer.DENY, f"Policy {policy.name} is set to {policy.mode}: it does not act."
