"""Kills a supervised process with SIGKILL; the lab's services are not started again by their supervisor."""

from sre_platform.chaos.lab import from_environment


def inject(service: str) -> int:
    """Kill it; returns the pid that was killed."""
    supervisor = from_environment().supervisor
    pid = supervisor.process(service).pid
    supervisor.signal(service, "KILL")
    return pid


def restore(service: str) -> None:
    """Make sure that it runs."""
    from_environment().supervisor.start(service)
