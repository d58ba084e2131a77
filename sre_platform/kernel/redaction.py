"""Secrets out of whatever is about to be stored, logged or shown."""

import re
from typing import Any

_NAMES = re.compile(r"(?i)(password|passwd|secret|token|authorization|api[_-]?key|cookie|credential)")
_INLINE = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)")
HIDDEN = "[redacted]"


def redact_text(text: str) -> str:
    """``text`` without bearer or basic credentials and without the user and password of a URL."""
    return _INLINE.sub(HIDDEN, text)


def redact(value: Any) -> Any:
    """A copy of a JSON-like ``value`` with the values of telling keys, and credentials in any text, hidden."""
    if isinstance(value, dict):
        return {key: HIDDEN if _NAMES.search(str(key)) else redact(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact(item) for item in value]
    return redact_text(value) if isinstance(value, str) else value
