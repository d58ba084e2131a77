from sre_platform.guardrails.domain import Answer, Facts, Request


class Flapping:
    """A person decides about alerts that come and go: by the time an action is done they may be gone anyway."""

    name = "flapping"

    def judge(self, request: Request, facts: Facts) -> tuple[Answer, str]:  # noqa: ARG002
        if facts.flapping:
            return Answer.ASK, f"{facts.flapping} comes and goes."
        return Answer.ALLOW, "None of its alerts comes and goes."
