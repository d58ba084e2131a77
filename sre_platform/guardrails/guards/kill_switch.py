from sre_platform.guardrails.domain import Answer, Facts, Request


class KillSwitch:
    """Nothing is touched while somebody has stopped all automation."""

    name = "kill_switch"

    def judge(self, request: Request, facts: Facts) -> tuple[Answer, str]:  # noqa: ARG002
        if facts.halted:
            return Answer.DENY, f"All automation is stopped: {facts.halted}."
        return Answer.ALLOW, "Automation is not stopped."
