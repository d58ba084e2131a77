from sre_platform.guardrails.domain import Answer, Facts, Request


class DependencyInTrouble:
    """What suffers from a dependency is not restarted: it would come up to the same trouble, without its state."""

    name = "dependency_in_trouble"

    def judge(self, request: Request, facts: Facts) -> tuple[Answer, str]:
        if not request.restarts:
            return Answer.ALLOW, f"{request.action} restarts nothing."
        for name in request.needs:
            if alert := facts.troubled.get(name):
                why = f"{alert} fires on {name}, which {request.target} depends on: a restart does not help a victim."
                return Answer.DENY, why
        return Answer.ALLOW, f"No alert fires on the {len(request.needs)} services that {request.target} depends on."
