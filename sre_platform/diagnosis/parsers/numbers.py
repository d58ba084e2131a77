"""Numbers as programs print them, with a bound on their digits: int() of a million digits takes minutes."""

import math

LONGEST_WHOLE = 20  # digits of the largest unsigned 64-bit number, which no kernel and no runtime counts beyond
LONGEST_DECIMAL = 40  # "%.17g" of a float64 is at most 24 characters long; more is no measurement


def whole(text: str) -> int | None:
    """The whole number that ``text`` is, with or without a minus; None when it is anything else."""
    digits = text[1:] if text[:1] == "-" else text
    is_number = digits.isascii() and digits.isdecimal() and len(digits) <= LONGEST_WHOLE
    return int(text) if is_number else None


def decimal(text: str) -> float | None:
    """The finite number that ``text`` is, with a decimal point or a decimal comma; None when it is anything else."""
    if len(text) > LONGEST_DECIMAL or "_" in text or not text.isascii():  # float() takes "1_000", and other scripts
        return None
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
