from sre_platform.guardrails.domain import Answer, Facts, Request


class FreezeWindow:
    """Nothing is touched while a freeze window for its service and environment is open."""

    name = "freeze"

    def judge(self, request: Request, facts: Facts) -> tuple[Answer, str]:
        for freeze in facts.freezes:
            if freeze.covers(request.target, request.environment):
                unknown = f" (the environment of {request.target} is not known)" if not request.environment else ""
                shown = unknown if freeze.environment != "*" else ""
                return Answer.DENY, f"Freeze window {freeze.name} is open{shown}: {freeze.reason}."
        return Answer.ALLOW, f"No freeze window for {request.target} is open."
