from sre_platform.guardrails.domain import Answer, Facts, Request


class Storm:
    """Nothing is touched while alerts storm: the cause is larger than what any playbook knows."""

    name = "storm"

    def judge(self, request: Request, facts: Facts) -> tuple[Answer, str]:  # noqa: ARG002
        if facts.storm:
            return Answer.DENY, f"Automation is paused, because {facts.storm}."
        return Answer.ALLOW, "There is no storm of alerts."
