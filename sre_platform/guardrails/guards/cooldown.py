from sre_platform.guardrails.domain import Answer, Facts, Request, uncovered


class Cooldown:
    """The same action on the same target has to be a while ago, as its policy says."""

    name = "cooldown"

    def judge(self, request: Request, facts: Facts) -> tuple[Answer, str]:
        policy = facts.policy(request)
        if policy is None:
            return Answer.DENY, uncovered(request)
        same = [p.at for p in facts.past if (p.target, p.action) == (request.target, request.action)]
        if not same:
            return Answer.ALLOW, f"{request.action} has not been done on {request.target} lately."
        ago = (facts.now - max(same)).total_seconds()
        said = (
            f"{request.action} was done on {request.target} {ago:.0f} s ago; its cooldown is {policy.cooldown_s:g} s."
        )
        return (Answer.ALLOW if ago >= policy.cooldown_s else Answer.DENY), said
