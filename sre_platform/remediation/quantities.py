"""Amounts of CPU and memory as Kubernetes writes them, and whether a quota has room for them. Pure.

Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any

from sre_platform.kernel.errors import Malformed

_SUFFIXES = {"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1), "k": Decimal(10**3)}
_SUFFIXES |= {letter: Decimal(10 ** (3 * power)) for power, letter in enumerate("MGTPE", start=2)}
_SUFFIXES |= {f"{letter}i": Decimal(2 ** (10 * power)) for power, letter in enumerate("KMGTPE", start=1)}
_FORM = re.compile(r"([+-]?[0-9]{0,20}(?:\.[0-9]{0,20})?)([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})?")
MEBIBYTE = Decimal(2**20)
MILLI = Decimal("0.001")


def quantity(text: Any) -> Decimal:
    """The amount in cores or bytes. Raises Malformed."""
    form = _FORM.fullmatch(str(text).strip())
    try:
        if not form:
            raise InvalidOperation
        number, suffix = Decimal(form[1]), form[2] or ""
        return number * (_SUFFIXES[suffix] if suffix in _SUFFIXES else Decimal(f"1{suffix}"))
    except InvalidOperation as error:
        raise Malformed(f"{str(text)[:40]!r} is not an amount such as 500m or 256Mi.") from error


def written(resource: str, amount: Decimal) -> str:
    """An amount, rounded up to what is usual: whole MiB of memory, thousandths of a core."""
    unit, suffix = (MEBIBYTE, "Mi") if resource == "memory" else (MILLI, "m")
    return f"{int((amount / unit).to_integral_value(ROUND_CEILING))}{suffix}"


def no_room(quotas: Iterable[Mapping[str, Any]], extra: Mapping[str, Decimal]) -> str:
    """Which quota has less left than ``extra`` (by its own names, such as ``limits.memory``); empty when all have it.

    A quota with scopes is counted as if it were for all pods: saying no once too often is the safe side.
    """
    for found in quotas:
        status, name = found.get("status") or {}, (found.get("metadata") or {}).get("name", "")
        hard, used = status.get("hard") or {}, status.get("used") or {}
        for key, wanted in _named(extra, hard):
            if 0 < wanted > quantity(hard[key]) - quantity(used.get(key, "0")):
                return f"the quota {name} has {hard[key]} of {key}, {used.get(key, '0')} of it used"
    return ""


def _named(extra: Mapping[str, Decimal], hard: Mapping[str, Any]) -> Iterator[tuple[str, Decimal]]:
    """What is wanted, by the quota's names: ``memory`` alone is another name of ``requests.memory``."""
    for key, wanted in extra.items():
        for name in {key, key.removeprefix("requests.")} & set(hard):
            yield name, wanted
