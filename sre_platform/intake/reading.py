"""How every source reads a webhook's body: JSON that cannot hurt, moments, texts, and what is wrong in one sentence.

Pure. What a sender may write is bounded here once: digits of a number, nesting, labels. Every text that comes out can
be stored by every database.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn

from pydantic import BeforeValidator, Field, ValidationError

from sre_platform.kernel.clock import parse_rfc3339
from sre_platform.kernel.complaint import complaint
from sre_platform.kernel.errors import Malformed
from sre_platform.kernel.storable import storable_text

MAX_DEPTH = 64
MAX_NUMBER = 300  # characters of a number: each one fits a float, and none is slow to read
MAX_LABELS = 200
SHOWN = 80  # characters of what the sender chose that an error may show
NEVER = 1  # the year that Go programs write for "has not ended"

_SAID = 200
_MILLISECONDS_FROM = 1e11  # as seconds that is the year 5138, as milliseconds 1973
_UNIX = re.compile(r"[0-9]{9,13}(\.[0-9]{1,9})?")
_WHOLE = 1e15


def read_json(body: bytes) -> Any:
    """The JSON document in ``body``; of a key that comes twice, the last one counts. Raises Malformed."""
    try:
        document = _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Malformed(f"The body is not UTF-8: byte {error.start} cannot be read.") from error
    except RecursionError as error:
        raise Malformed("The body is nested too deeply.") from error
    except ValueError as error:
        raise Malformed(f"The body is not JSON: {str(error)[:_SAID]}.") from error
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:  # else it cannot be deeper, and need not be looked at
        _refuse_depth(document)
    # A NUL or half a surrogate pair can only come from an escape: JSON and UTF-8 have no other way to write one.
    return _storable_texts(document) if b"\\u" in body else document


def read_json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in ``body``. Raises Malformed."""
    document = read_json(body)
    if not isinstance(document, dict):
        raise Malformed("The body is JSON, but not an object.")
    return document


def _integer(digits: str) -> int:
    _refuse_length(digits)
    return int(digits)


def _float(digits: str) -> float:
    _refuse_length(digits)
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise Malformed(f"The body holds a number that is too large: {digits[:SHOWN]}.")
    return value


def _refuse_length(digits: str) -> None:
    if len(digits) > MAX_NUMBER:
        raise Malformed(f"The body holds a number of {len(digits)} characters; at most {MAX_NUMBER} are read.")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_float, parse_constant=_no_constant)


def _refuse_depth(document: Any) -> None:
    level = [document] if isinstance(document, (dict, list)) else []
    for _ in range(MAX_DEPTH):
        level = [child for item in level for child in _children(item) if isinstance(child, (dict, list))]
        if not level:
            return
    raise Malformed(f"The body is nested too deeply: more than {MAX_DEPTH} levels.")


def _children(item: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return item.values() if isinstance(item, dict) else item


def _storable_texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {storable_text(key): _storable_texts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_storable_texts(item) for item in value]
    return storable_text(value) if isinstance(value, str) else value


def moment(value: Any) -> datetime:
    """An RFC 3339 text as a moment in UTC. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("must be an RFC 3339 time")
    return parse_rfc3339(value)


def any_moment(value: Any) -> datetime:
    """RFC 3339, or Unix time in seconds or milliseconds, as a number or its text. Raises ValueError."""
    if isinstance(value, str) and _UNIX.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return moment(value)
    seconds = value / 1000 if value >= _MILLISECONDS_FROM else value
    try:
        if seconds > 0:
            return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        pass
    raise ValueError("must be Unix time in seconds or milliseconds, up to the year 9999")


def ended(at: datetime | None) -> datetime | None:
    """``at``, unless it is the year that stands for "has not ended"."""
    return None if at is None or at.year == NEVER else at


def text_of(value: Any) -> str:
    """A text, number or boolean as text; 1.0 and 1 are the same. Raises ValueError for all else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE:
        value = int(value)
    if not isinstance(value, (str, int, float)):
        raise ValueError("must be a text, a number or a boolean")
    return str(value)


Moment = Annotated[datetime, BeforeValidator(moment)]
Texts = Annotated[dict[str, str], Field(max_length=MAX_LABELS)]
Label = Annotated[str, BeforeValidator(text_of)]
Labels = Annotated[dict[str, Label], Field(max_length=MAX_LABELS)]


def fingerprint_of(labels: Mapping[str, str]) -> str:
    """The identity of a set of labels whose sender gives none: 32 hexadecimal digits.

    Not the one of Prometheus, which takes Python a tenth of a second for a label of a megabyte.
    """
    digest = hashlib.sha256()
    for name in sorted(labels):
        digest.update(b"%b\xff%b\xff" % (name.encode(), labels[name].encode()))  # UTF-8 has no byte 0xff
    return digest.hexdigest()[:32]


def sentence(error: ValidationError, what: str) -> str:
    """The first complaint about ``what``, short whatever the sender wrote, and how many more there are."""
    rest = error.error_count() - 1
    more = f" (and {rest} more)" if rest else ""
    return f"In {what}, {complaint(error, whole='')}{more}."
