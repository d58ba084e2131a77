from sre_platform.guardrails.domain import Answer, Facts, Request

LABEL, VALUE = "automation", "allowed"


class Scope:
    """Only services that somebody has put in scope are touched: opt-in by a label in the catalog."""

    name = "scope"

    def judge(self, request: Request, facts: Facts) -> tuple[Answer, str]:  # noqa: ARG002
        found = request.labels.get(LABEL)
        if found == VALUE:
            return Answer.ALLOW, f"{request.target} is labelled {LABEL}: {VALUE}."
        has = f"labelled {LABEL}: {found}" if found else f"not labelled {LABEL}"
        how = f"to let automation touch it, give it the label {LABEL}: {VALUE} in the catalog"
        return Answer.DENY, f"{request.target} is {has}; {how}."
