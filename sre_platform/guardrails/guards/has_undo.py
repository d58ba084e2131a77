from sre_platform.guardrails.domain import Answer, Facts, Request


class HasUndo:
    """What cannot be taken back is asked about first."""

    name = "has_undo"

    def judge(self, request: Request, facts: Facts) -> tuple[Answer, str]:  # noqa: ARG002
        if request.irreversible:
            return Answer.ASK, f"{request.action} cannot be undone: {request.irreversible}."
        return Answer.ALLOW, f"{request.action} can be undone."
