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
    return moment.astimezone(UTC)
