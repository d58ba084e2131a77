"""What Celery's processes do besides tasks: beat their hearts, and name in every log line what a task is about."""

from collections.abc import Sequence
from typing import Any

import structlog
from celery import Task
from celery.signals import beat_init, task_postrun, task_prerun, worker_init, worker_process_shutdown, worker_ready

from sre_platform.diagnosis.investigate import COLLECTORS, RULES
from sre_platform.engine import heartbeats, tracing
from sre_platform.engine.tasks import about
from sre_platform.engine.work import GUARDS
from sre_platform.kernel.registry import Registry
from sre_platform.remediation.steps import ACTIONS
from sre_platform.rollouts.routing import ROUTERS
from sre_platform.tickets.desk import SYSTEMS

USED_BY_TASKS: tuple[Registry[Any], ...] = (COLLECTORS, RULES, GUARDS, ACTIONS, ROUTERS, SYSTEMS)


@worker_init.connect
def load_plugins(**_: Any) -> None:
    """Before the pool is forked: else the first incident in each of its processes waits for them, 0.6 s measured."""
    for registry in USED_BY_TASKS:
        registry.names()


@worker_ready.connect
def worker_lives(**_: Any) -> None:
    """The worker's main process, after its pool was forked."""
    heartbeats.start("worker")


@beat_init.connect
def beat_lives(**_: Any) -> None:
    """The process that rings for the sweep."""
    heartbeats.start("beat")


@task_prerun.connect
def name_it(task: Task, args: Sequence[Any] = (), **_: Any) -> None:
    """Celery's own lines about a task, such as its traceback, come after it returned: so it is not the task's to do."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**about(task, *args[:1]))


@task_postrun.connect
def forget_it(**_: Any) -> None:
    structlog.contextvars.clear_contextvars()


@worker_process_shutdown.connect
def send_spans(**_: Any) -> None:
    tracing.flush()
