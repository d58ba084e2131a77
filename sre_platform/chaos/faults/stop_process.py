"""Stops a supervised process in good order, such as the platform's own worker."""

from sre_platform.chaos.lab import from_environment


def inject(process: str) -> None:
    """Stop it and wait until it is gone."""
    from_environment().supervisor.stop(process)


def restore(process: str) -> None:
    """Make sure that it runs."""
    from_environment().supervisor.start(process)
