from fnmatch import fnmatchcase

from sre_platform.guardrails.domain import Answer, Facts, Freeze, Request


class FreezeWindow:
    """Nothing is touched while a freeze window for its service and environment is open.

    A service whose environment is not known might be in any, so a window for another one counts for it, too.
    """

    name = "freeze"

    def judge(self, request: Request, facts: Facts) -> tuple[Answer, str]:
        for freeze in facts.freezes:
            if _covers(freeze, request):
                unknown = f" (the environment of {request.target} is not known)" if not request.environment else ""
                shown = unknown if freeze.environment != "*" else ""
                return Answer.DENY, f"Freeze window {freeze.name} is open{shown}: {freeze.reason}."
        return Answer.ALLOW, f"No freeze window for {request.target} is open."


def _covers(freeze: Freeze, request: Request) -> bool:
    there = not request.environment or fnmatchcase(request.environment, freeze.environment)
    return there and fnmatchcase(request.target, freeze.service)
