from sre_platform.guardrails.domain import Answer, Facts, Request


class EvidenceFirst:
    """What destroys evidence is asked about, unless the evidence is captured first."""

    name = "evidence_first"

    def judge(self, request: Request, facts: Facts) -> tuple[Answer, str]:  # noqa: ARG002
        if not request.destroys:
            return Answer.ALLOW, f"{request.action} destroys no evidence."
        if request.captured:
            return Answer.ALLOW, f"Evidence is captured before {request.action} destroys {request.destroys}."
        return Answer.ASK, f"{request.action} destroys {request.destroys}, and none of it is captured first."
