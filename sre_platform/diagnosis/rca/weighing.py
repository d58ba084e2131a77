"""How sure one may be: two signs that agree name a cause, one alone is a symptom."""

from collections.abc import Sequence
from typing import Any

from sre_platform.diagnosis.domain import Finding, Kind

# The cross-check of the field: one signal alone is a symptom, two that agree name the cause, a third leaves no doubt
# but that of a cause behind the cause. Playbooks of these families act from TWO_AGREE on.
ALONE, TWO_AGREE, THREE_AGREE = 0.55, 0.85, 0.9
RECORDED = 0.95  # the kernel keeps count of the act itself


def weighed(
    cause: str, service: str, kind: Kind, signs: Sequence[str], effects: Sequence[str] = (), at_least: float = 0.0,
    **more: Any,
) -> Finding | None:  # fmt: skip
    """The finding that ``signs`` of the cause make, together with ``effects`` that it would have; None without a sign.

    Both are whole sentences with the values seen; an effect agrees with a sign, but names no cause by itself. The
    family is the word before the last of ``cause``: "go.gc.finalizers" is of "gc". ``at_least`` is the confidence of
    a sign that is itself a record of the fact.
    """
    if not signs:
        return None
    confidence = {1: ALONE, 2: TWO_AGREE}.get(len(signs) + len(effects), THREE_AGREE)
    first, *others = [*signs, *effects]
    because = [f"{service}: {first}", *others]
    return Finding(cause, cause.split(".")[-2], service, max(at_least, confidence), kind, because, **more)
