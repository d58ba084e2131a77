"""No fault at all, for drills that have to end with no action."""

from time import sleep


def inject(seconds: float) -> None:
    """Leave everything alone for a while."""
    sleep(min(seconds, 60.0))


def restore() -> None:
    """There is nothing to take back."""
