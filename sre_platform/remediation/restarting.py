"""Replacing a supervised process by a fresh one, exactly once: what was replaced is known by its pid."""

from collections.abc import Callable

from sre_platform.clients.supervisor import Supervisor


def replaced(supervisor: Supervisor, name: str, old_pid: int) -> bool:
    """Whether the process runs, and is not the one with ``old_pid`` (0: none was running)."""
    process = supervisor.process(name)
    return process.running and process.pid != old_pid


def replace(supervisor: Supervisor, name: str, old_pid: int, confirm: Callable[[], None]) -> str:
    """Stop the process with ``old_pid`` if it is still there, then start one if none runs; says what was done.

    One that ends again and again is stopped, too: its supervisor would not start it before the next try is due.
    """
    if replaced(supervisor, name, old_pid):
        return f"{name} had been restarted already"
    if not supervisor.process(name).at_rest:
        confirm()
        supervisor.stop(name)
    confirm()
    supervisor.start(name)
    process = supervisor.process(name)
    if not process.running:
        return f"{name} was started, and is {process.state} again"
    return f"{name} runs again as process {process.pid}"
