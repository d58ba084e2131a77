from collections.abc import Sequence
from fnmatch import fnmatchcase

from sre_platform.guardrails.domain import Answer, Facts, Limit, PastAction, Request


class Limits:
    """Only so many actions within a time, and at the same time: per service, cluster or action, or all together.

    A limit that names clusters denies what runs in an unknown one, and counts what was done in an unknown one.
    """

    name = "limits"

    def judge(self, request: Request, facts: Facts) -> tuple[Answer, str]:
        about = [limit for limit in facts.limits if _concerns(limit, request)]
        said = []
        for limit in about:
            if _names_clusters(limit) and not request.cluster:
                why = f"Limit {limit.name} is about clusters, and the catalog names none for {request.target}."
                return Answer.DENY, why
            counted = [p for p in facts.past if _counts(limit, p, request) and _lasts(limit, p, facts)]
            reached, figures = _figures(limit, counted, request)
            if reached:
                return Answer.DENY, f"Limit {limit.name} is reached: {figures}."
            said.append(f"{limit.name}: {figures}")
        return Answer.ALLOW, "; ".join(said) + "." if said else "No limit is about it."


def _names_clusters(limit: Limit) -> bool:
    return limit.per == "cluster" or limit.cluster != "*"


def _concerns(limit: Limit, about: Request | PastAction) -> bool:
    """Whether its patterns match; an unknown cluster might be any."""
    in_cluster = not about.cluster or fnmatchcase(about.cluster, limit.cluster)
    return in_cluster and fnmatchcase(about.target, limit.service) and fnmatchcase(about.action, limit.action)


def _counts(limit: Limit, past: PastAction, request: Request) -> bool:
    same = {
        "service": past.target == request.target,
        "cluster": past.cluster in ("", request.cluster),
        "action": past.action == request.action,
    }
    # What a limit counts per that is not known here counts everything: rather too much than too little.
    return _concerns(limit, past) and same.get(limit.per, True)


def _lasts(limit: Limit, past: PastAction, facts: Facts) -> bool:
    """Whether it is active, or was begun so lately that it still counts."""
    return past.active or not (facts.now - past.at).total_seconds() >= limit.window_s


def _figures(limit: Limit, counted: Sequence[PastAction], request: Request) -> tuple[bool, str]:
    active = sum(p.active for p in counted)
    where = {
        "service": f" on {request.target}",
        "cluster": f" in cluster {request.cluster}",
        "action": f" of {request.action}",
    }.get(limit.per, " in all")
    said = f"{len(counted)} of {limit.max_actions} actions{where} within {limit.window_s:g} s"
    if limit.at_once:
        said += f", {active} of {limit.at_once} at once"
    return len(counted) >= limit.max_actions or 0 < limit.at_once <= active, said
