"""How sure one may be: two signs that agree name a cause, one alone is a symptom."""

from collections.abc import Sequence
from typing import Any

from sre_platform.diagnosis.domain import Finding, Kind

# The cross-check of the field: one signal alone is a symptom, two that agree name the cause, a third leaves no doubt
# but that of a cause behind the cause. Playbooks of these families act from 0.8 on.
ALONE, TWO_AGREE, THREE_AGREE = 0.55, 0.85, 0.9
RECORDED = 0.95  # the kernel keeps count of the act itself


def weighed(
    cause: str,
    service: str,
    kind: Kind,
    signs: Sequence[str],
    effects: Sequence[str] = (),
    at_least: float = 0.0,
    **more: Any,
) -> Finding | None:
    """The finding that ``signs`` of the cause make, together with ``effects`` that it would have; None without a sign.

    Both are whole sentences with the values seen; an effect agrees with a sign, but names no cause by itself. The
    family is the word before the last of ``cause``: "go.gc.finalizers" is of "gc". ``at_least`` is the confidence of
    a sign that is itself a record of the fact.
    """
    if not signs:
        return None
    agreeing = len(signs) + len(effects)
    confidence = max(at_least, {1: ALONE, 2: TWO_AGREE}.get(agreeing, THREE_AGREE))
    first, *others = [*signs, *effects]
    family = cause.split(".")[-2]
    return Finding(
        cause=cause,
        family=family,
        service=service,
        confidence=confidence,
        evidence=kind,
        because=[f"{service}: {first}", *others],
        **more,
    )
