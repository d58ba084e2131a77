"""What is wrong with input that pydantic has refused, in one sentence. Pure."""

from pydantic import ValidationError

SHOWN = 100  # characters of a place, which whoever sent the input may have named
MOST_SAID = 300


def complaint(error: ValidationError, *within: str, whole: str = "the document") -> str:
    """The first complaint, ``where: what``, without a full stop.

    ``within`` names what the input is part of; ``whole`` is where it is when no part of the input is to blame.
    """
    first = error.errors(include_url=False, include_context=False)[0]
    parts = (str(part)[:SHOWN] for part in (*within, *first["loc"]))
    where = ".".join(" ".join(part.split()) or repr(part) for part in parts)[:SHOWN] or whole
    said = " ".join(first["msg"].removeprefix("Value error, ").removeprefix("Field ").split())[:MOST_SAID].rstrip(".")
    return f"{where + ': ' if where else ''}{said[:1].lower()}{said[1:]}"
