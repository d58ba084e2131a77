from sre_platform.guardrails.domain import Answer, Facts, Request
from sre_platform.guardrails.reach import plain_case


class BlastRadius:
    """One action takes away only so large a share of the service's instances at the same time.

    It judges this action alone: nothing else acts on the service meanwhile (``one_per_target``), and how many services
    are acted on at the same time, in a cluster or in all, is what ``limits`` bounds with ``at_once``.
    """

    name = "blast_radius"

    def judge(self, request: Request, facts: Facts) -> tuple[Answer, str]:
        reach, policy = request.reach, facts.policy(request)
        if plain := plain_case(request, policy):
            return plain
        assert reach and policy  # noqa: S101 no plain case, for mypy
        share = reach.takes / reach.total
        said = f"It takes away {reach.takes} of {reach.total} instances of {request.target} at once ({share:.0%})"
        said += f"; policy {policy.name} allows {policy.max_blast_share:.0%}."
        return (Answer.ALLOW if share <= policy.max_blast_share else Answer.DENY), said
