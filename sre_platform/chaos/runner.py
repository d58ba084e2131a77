"""One experiment in a process of its own: ``python -m sre_platform.chaos.runner FILE``.

Chaos Toolkit installs signal handlers and is not thread-safe, so it never runs inside a worker. It prints one JSON
object a line: when the method starts, and the journal at the end. SIGUSR1 ends it early; rollbacks run in every case
but SIGKILL, where faults of the faults API expire by themselves.
"""

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import django
from chaoslib.experiment import ensure_experiment_is_valid, run_experiment
from chaoslib.run import RunEventHandler
from chaoslib.types import Experiment

from sre_platform.chaos.experiment import load
from sre_platform.kernel.clock import now
from sre_platform.kernel.redaction import redact

SETTINGS = {"runtime": {"rollbacks": {"strategy": "always"}}}


class _Announcer(RunEventHandler):
    """Tells the parent when the fault's clock begins to run."""

    def start_method(self, experiment: Experiment) -> None:  # noqa: ARG002
        say("method", at=now().isoformat())


def say(event: str, **fields: Any) -> None:
    """One line for the parent."""
    sys.stdout.write(json.dumps({"event": event, **fields}, default=str) + "\n")
    sys.stdout.flush()


def main(path: str) -> int:
    """Run the experiment in ``path``; 0 when it ran to its end and the steady state holds."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    experiment, _ = load(Path(path))
    ensure_experiment_is_valid(experiment)
    journal = run_experiment(experiment, settings=SETTINGS, event_handlers=[_Announcer()])
    say("journal", journal=redact(json.loads(json.dumps(journal, default=str))))
    return 0 if journal["status"] == "completed" and not journal["deviated"] else 1


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sre_platform.settings")
    django.setup()
    sys.exit(main(sys.argv[1]))
