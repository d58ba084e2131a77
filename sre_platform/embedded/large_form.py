"""What the large form (docker/compose.yaml) needs before it starts: a database that answers, and files for others.

Prometheus and Alertmanager run as users of their own and share only our group, so the files are readable by the group.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from time import monotonic, sleep

from django.contrib.auth import get_user_model
from django.db import OperationalError, connection

from sre_platform.detection import export
from sre_platform.detection.domain import AlertRule
from sre_platform.kernel.envfile import write_private
from sre_platform.kernel.errors import Unavailable

PAUSE_S = 0.5


def wait_for_database(within_s: float) -> None:
    """Wait until the database takes a connection. Raises Unavailable after ``within_s`` seconds without one."""
    deadline = monotonic() + within_s
    while True:
        try:
            connection.ensure_connection()
            return
        except OperationalError as error:
            if monotonic() > deadline:
                advice = "Look at SRE_DATABASE_URL and at the database's own log."
                raise Unavailable(
                    f"The database has not answered for {within_s:g} s: {error}", advice=advice
                ) from error
            sleep(PAUSE_S)


def write_prometheus(
    folder: Path, targets: Mapping[str, str], platform: str, alertmanager: str, rules: Iterable[AlertRule], token: str
) -> None:
    """Write ``rules.yml``, ``prometheus.yml``, and ``platform.token`` for the platform's own ``/metrics``.

    ``targets`` maps a job to ``host:port``, as ``platform`` and ``alertmanager`` are.
    """
    _write(folder / "rules.yml", export.rule_file(rules))
    _write(folder / "platform.token", token)
    own = {"sre-platform": (platform, str(folder / "platform.token"))}
    config = export.prometheus_config(targets, str(folder / "rules.yml"), alertmanager, with_token=own)
    _write(folder / "prometheus.yml", config)


def write_alertmanager(folder: Path, hook: str, token: str) -> None:
    """Write ``intake.token`` and ``alertmanager.yml``, which posts to the URL ``hook`` with that token."""
    _write(folder / "intake.token", token)
    _write(folder / "alertmanager.yml", export.alertmanager_config(hook, str(folder / "intake.token")))


def _write(path: Path, text: str) -> None:
    write_private(path, text)
    path.chmod(0o640)


def first_user(name: str, password: str) -> bool:
    """Make the administrator ``name``; False when there is one, whose password is then left as it is."""
    user, made = get_user_model().objects.get_or_create(
        username=name, defaults={"is_staff": True, "is_superuser": True}
    )
    if made:
        user.set_password(password)
        user.save()
    return made
