from sre_platform.guardrails.domain import Answer, Facts, Request


class Proven:
    """A playbook that no experiment proves never acts alone."""

    name = "proven"

    def judge(self, request: Request, facts: Facts) -> tuple[Answer, str]:  # noqa: ARG002
        if facts.unproven:
            return Answer.ASK, f"No experiment proves the playbook {facts.unproven}."
        return Answer.ALLOW, "Its playbook names the experiments that prove it."
