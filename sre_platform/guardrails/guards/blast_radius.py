from sre_platform.guardrails.domain import Answer, Facts, Request, uncovered


class BlastRadius:
    """One action takes away only so large a share of the service's instances at the same time.

    It judges this action alone: nothing else acts on the service meanwhile (``one_per_target``), and how many services
    are acted on at the same time, in a cluster or in all, is what ``limits`` bounds with ``at_once``.
    """

    name = "blast_radius"

    def judge(self, request: Request, facts: Facts) -> tuple[Answer, str]:
        reach, policy = request.reach, facts.policy(request)
        if reach is None and request.restarts:
            return Answer.DENY, f"It is not known how many instances of {request.target} {request.action} takes away."
        if reach is None or reach.takes == 0:
            return Answer.ALLOW, f"{request.action} takes no ready instance of {request.target} away."
        if not reach.possible:
            figures = f"{reach.takes} of {reach.ready} ready of {reach.total}"
            return Answer.DENY, f"{request.action} says that it takes away {figures} instances, which cannot be."
        if policy is None:
            return Answer.DENY, uncovered(request)
        if reach.total == 1:
            return Answer.ALLOW, f"{request.target} has one instance, which is all that it can take away."
        share = reach.takes / reach.total
        said = f"It takes away {reach.takes} of {reach.total} instances of {request.target} at once ({share:.0%})"
        said += f"; policy {policy.name} allows {policy.max_blast_share:.0%}."
        return (Answer.ALLOW if share <= policy.max_blast_share else Answer.DENY), said
