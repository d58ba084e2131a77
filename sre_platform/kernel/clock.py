"""Time as the platform reads and writes it: aware, UTC."""

from datetime import UTC, datetime


def now() -> datetime:
    """The current moment, aware, in UTC."""
    return datetime.now(UTC)


def parse_rfc3339(text: str) -> datetime:
    """Read an RFC 3339 timestamp as Alertmanager and Prometheus write it (any number of fraction digits).

    Raises ValueError when ``text`` is not one or carries no offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no UTC offset")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text!r} is outside the years 1 to 9999 in UTC") from error
