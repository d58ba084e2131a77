"""Running a drill: the experiment in its own process, the incidents it causes followed live, the result stored."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import monotonic, sleep
from typing import IO, Any

from django.conf import settings

from sre_platform.chaos import experiment
from sre_platform.chaos.lab import from_environment
from sre_platform.chaos.models import Drill
from sre_platform.chaos.scoring import Happened, Report, Rolled, score
from sre_platform.diagnosis.models import FindingRow
from sre_platform.incidents import record
from sre_platform.incidents.models import Incident, TimelineEntry
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import SreError, Unavailable
from sre_platform.kernel.orphans import signalled_with_parent
from sre_platform.rollouts.models import Rollout, RolloutEvent
from sre_platform.tickets.models import Ticket

POLL_S = 0.2
# Chaos Toolkit compares only the probes of the steady state with what they should say.
MUST_BE_TRUE = ("users_were_well", "release_runs")
GRACE_S = 20.0  # for the rollbacks, once an experiment was told to stop
PASSED_ON = ("PATH", "HOME", "LANG", "TZ", "VIRTUAL_ENV")  # and SRE_*: nothing else of the environment


@dataclass(frozen=True)
class News:
    """Something to show while a drill runs. ``seconds`` is from the fault's clock, None before it runs."""

    seconds: float | None
    name: str
    text: str
    data: Mapping[str, Any]


Show = Callable[[News], None]


def run(name: str, show: Show) -> Report:
    """Run the experiment called ``name`` against the running stack. Raises SreError when it cannot be run."""
    path = experiment.find(settings.BASE_DIR / "experiments", name)
    _, expect = experiment.load(path)
    _refuse_without_a_stack()
    with _alone():
        record.end_watch()  # what comes now is our doing, and no relapse of what was repaired before
        drill = Drill.objects.create(experiment=name, started_at=now())
        journal = _follow(drill, path, expect.timeout_s, show)
    ran = journal.get("status") == "completed" and not journal.get("deviated") and not _denied(journal)
    report = score(name, expect, drill.fault_at, _happened(drill), ran, _rolled(drill))
    drill.finished_at, drill.outcome, drill.expected = now(), report.outcome, report.expected
    drill.report, drill.journal = report.as_json(), journal
    drill.save(force_update=True)
    record.on_purpose(report.incidents)
    return report


def _denied(journal: Mapping[str, Any]) -> bool:
    """Whether a probe of the method saw something that must not be, such as users that were not well while it ran."""
    probes = ((run["activity"]["provider"].get("func"), run.get("output")) for run in journal.get("run", ()))
    return any(func in MUST_BE_TRUE and output is False for func, output in probes)


def _refuse_without_a_stack() -> None:
    lab = from_environment()
    try:
        lab.supervisor.processes()
    except SreError as error:
        raise Unavailable("The stack is not running.", advice="Start it with `make demo`.") from error


@contextmanager
def _alone() -> Iterator[None]:
    """One drill at a time on this machine; the lock goes with the process that holds it."""
    path = settings.SRE_DATA / "run" / "drill.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Unavailable("Another drill is running.", advice="Wait until it has ended.") from error
        yield


def _follow(drill: Drill, path: Path, timeout_s: float, show: Show) -> dict[str, Any]:
    """Start the runner and show what happens until it ends; returns its journal, empty when it left none."""
    with _runner(path) as (process, output):
        deadline, seen, of_rollouts = monotonic() + timeout_s, 0, 0
        journal: dict[str, Any] = {}
        while True:
            ended = process.poll() is not None
            for event in _events(output):
                journal = _take(drill, event, show) or journal
            seen = _show_news(drill, seen, show)
            of_rollouts = _show_rollouts(drill, of_rollouts, show)
            if ended:
                return journal
            if monotonic() > deadline:
                show(News(timeout_s, "overdue", f"The experiment did not end within {timeout_s:g} s.", {}))
                return {}
            sleep(POLL_S)


@contextmanager
def _runner(path: Path) -> Iterator[tuple[subprocess.Popen[bytes], IO[str]]]:
    """The experiment's process and what it prints. Left early, it is told to roll back, and killed if it does not."""
    output = settings.SRE_DATA / "run" / "drill.jsonl"
    passed = {key: value for key, value in os.environ.items() if key in PASSED_ON or key.startswith("SRE_")}
    command = [sys.executable, "-m", "sre_platform.chaos.runner", str(path)]
    with output.open("wb") as written, output.with_suffix(".log").open("wb") as errors, output.open() as read:
        process = subprocess.Popen(  # noqa: S603 our own module, no shell
            command,
            cwd=settings.BASE_DIR,
            env=passed,
            stdout=written,
            stderr=errors,
            start_new_session=True,
            preexec_fn=signalled_with_parent(signal.SIGUSR1),  # noqa: PLW1509 nothing in it but one system call
        )
        try:
            yield process, read
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGUSR1)
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _events(output: IO[str]) -> Iterator[dict[str, Any]]:
    """The whole lines that were printed since the last call; a line being written is read next time."""
    while True:
        place = output.tell()
        line = output.readline()
        if not line.endswith("\n"):
            output.seek(place)
            return
        yield json.loads(line)


def _take(drill: Drill, event: Mapping[str, Any], show: Show) -> dict[str, Any] | None:
    if event["event"] == "journal":
        return event["journal"]
    drill.fault_at = datetime.fromisoformat(event["at"])
    drill.save(update_fields=["fault_at"])
    show(News(0.0, "fault", drill.experiment, {}))
    return None


def _incidents(drill: Drill):
    return Incident.objects.filter(opened_at__gte=drill.started_at).order_by("pk")


def _show_news(drill: Drill, seen: int, show: Show) -> int:
    """Show timeline entries newer than ``seen``; returns the newest one."""
    for entry in TimelineEntry.objects.filter(incident__in=_incidents(drill), pk__gt=seen).order_by("pk"):
        seconds = (entry.at - drill.fault_at).total_seconds() if drill.fault_at else None
        show(News(seconds, entry.name, entry.reason, entry.data | {"incident": entry.incident_id}))
        seen = entry.pk
    return seen


def _rollouts(drill: Drill):
    return Rollout.objects.filter(started_at__gte=drill.started_at).order_by("pk")


def _show_rollouts(drill: Drill, seen: int, show: Show) -> int:
    """Show events of roll-outs newer than ``seen``; returns the newest one."""
    for event in RolloutEvent.objects.filter(rollout__in=_rollouts(drill), pk__gt=seen).order_by("pk"):
        seconds = (event.at - drill.fault_at).total_seconds() if drill.fault_at else None
        show(News(seconds, event.name, event.reason, {"rollout": event.rollout_id}))
        seen = event.pk
    return seen


def _rolled(drill: Drill) -> list[Rolled]:
    return [
        Rolled(row.pk, row.service, row.state, list(row.events.values("name", "at", "reason", "data")))
        for row in _rollouts(drill)
    ]


def _happened(drill: Drill) -> list[Happened]:
    return [_one(incident) for incident in _incidents(drill)]


def _one(incident: Incident) -> Happened:
    best = FindingRow.objects.filter(incident=incident).first()
    steps = incident.steps.repairs().filter(applying_at__isnull=False)
    tickets = Ticket.objects.filter(incident=incident)
    return Happened(
        incident_id=incident.pk,
        state=incident.state,
        timeline=list(incident.timeline.values("name", "at", "reason", "data")),
        cause=best.content | {"where": best.where, "rule": best.rule} if best else {},
        steps=list(steps.values("action", "target", "says", "state", "result", "undo")),
        tickets=list(tickets.values("system", "reference", "url", "actual")),
    )
