from sre_platform.guardrails.domain import Answer, Facts, Request, uncovered


class ErrorBudget:
    """A policy may want some of the service's error budget to be left before anything is risked there.

    Denied, not asked about: an approval would count for a whole step, however little is left by then. Who wants it
    nevertheless does it by hand, or changes the policy, which is written down as a version.
    """

    name = "error_budget"

    def judge(self, request: Request, facts: Facts) -> tuple[Answer, str]:
        policy = facts.policy(request)
        if policy is None:
            return Answer.DENY, uncovered(request)
        wanted = policy.min_budget_left
        if wanted == 0:
            return Answer.ALLOW, f"Policy {policy.name} asks for no error budget."
        wants = f"policy {policy.name} wants {wanted:.0%}"
        left = facts.budgets.get(request.target)
        if left is None:
            return Answer.DENY, f"What is left of the error budget of {request.target} could not be measured; {wants}."
        said = f"{left:.0%} of the error budget of {request.target} is left; {wants}."
        return (Answer.ALLOW if left >= wanted else Answer.DENY), said
