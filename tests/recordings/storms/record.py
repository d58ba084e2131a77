"""Records what a real Alertmanager sends: ``python -m tests.recordings.storms.record [SCENARIO...]``. About 75 s.

Each scenario posts its alerts to API v2 of an Alertmanager of its own (Debian's prometheus-alertmanager, led by the
configuration that we recommend) and writes every webhook that comes back as one line of ``SCENARIO.jsonl``. Nothing is
changed afterwards: bodies and arrival times are as they were.
"""

import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from sre_platform.clients import http
from sre_platform.detection.export import alertmanager_config
from sre_platform.kernel.errors import SreError
from tests.fakes.wire import Answer, Call, serving

FOLDER = Path(__file__).parent
FOR_EVER = timedelta(hours=1)
SETTLE_S = 3.0  # after the last change: the last groups are sent


class Change(NamedTuple):
    """An alert that begins, or ends, so many seconds after the scenario began."""

    at: float
    labels: dict[str, str]
    ends: bool = False


def lasting(begin: float, end: float | None, name: str, service: str = "", **labels: str) -> list[Change]:
    """One occurrence of an alert; without ``end`` it still fires when the recording ends."""
    marked = {"alertname": name, "severity": "page", **({"service": service} if service else {}), **labels}
    return [Change(begin, marked)] + ([] if end is None else [Change(end, marked, ends=True)])


def node_dies() -> list[Change]:
    found = lasting(0, None, "NodeDown", node="worker-7")
    for n in range(20):
        found += lasting(0.5 + n * 0.2, 12 if n % 2 else None, "InstanceDown", f"app-{n:02}", node="worker-7")
    return found


def database_fails() -> list[Change]:
    callers = ["cart", "billing", "stock", "profile", "reviews", "shipping"]
    found = [c for n, name in enumerate(callers) for c in lasting(n * 0.4, 14, "HighErrorRatio", name)]
    found += lasting(3, 10, "DatabaseDown", "main-db", database="main")
    return found + lasting(5, 13, "Slow", "cart") + lasting(5.5, 13, "HighErrorRatio", "gifts")


def network_split() -> list[Change]:
    split = [c for n in range(40) for c in lasting(n % 8 * 0.3, 12 if n % 3 else None, "Unreachable", f"zone-{n:02}")]
    return split + lasting(8, None, "Slow", "zone-03")


def flapping() -> list[Change]:
    return [c for n in range(12) for c in lasting(n * 3.0, n * 3.0 + 1.5, "QueueLong", "mailer")]


def ordinary_day() -> list[Change]:
    names = ["certs", "backup", "wiki", "dns", "printer", "vpn"]
    return [c for n, name in enumerate(names) for c in lasting(n * 4.0, n * 4.0 + 6, "Unwell", name)]


def real_one_before() -> list[Change]:
    split = [c for n in range(20) for c in lasting(64 + n * 0.1, None, "Unreachable", f"zone-{n:02}")]
    return lasting(0, None, "DiskFull", "search-index", disk="sdb1") + split


def rolling_deploy() -> list[Change]:
    chain = ["front", "gateway", "orders", "payments", "ledger"]
    return [c for n, name in enumerate(chain) for c in lasting(n * 2.0, n * 2.0 + 3.5, "InstanceDown", name)]


SCENARIOS = {
    scenario.__name__: scenario
    for scenario in (
        node_dies, database_fails, network_split, flapping, ordinary_day, real_one_before, rolling_deploy
    )
}  # fmt: skip


@contextmanager
def alertmanager(folder: Path, hook_url: str) -> Iterator[str]:
    """The URL of an Alertmanager that sends to ``hook_url``."""
    (folder / "token").write_text("secret")
    (folder / "am.yml").write_text(alertmanager_config(hook_url, str(folder / "token")))
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    options = ["--config.file=am.yml", "--storage.path=am", "--cluster.listen-address="]
    command = ["prometheus-alertmanager", *options, f"--web.listen-address={address}"]
    command.append("--web.external-url=http://alertmanager:9093")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*command, "--web.route-prefix=/"], stdout=log, stderr=log, cwd=folder)
    try:
        _wait_for(f"http://{address}/-/ready")
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(url: str) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            http.request("GET", url)
            return
        except SreError:
            time.sleep(0.05)
    raise SystemExit("Alertmanager did not start in time.")


def play(changes: list[Change], url: str) -> None:
    """Post each change at its time."""
    began, starts = datetime.now(UTC), {}
    for change in sorted(changes, key=lambda one: one.at):
        moment = began + timedelta(seconds=change.at)
        time.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))
        name = json.dumps(change.labels, sort_keys=True)
        if not change.ends:
            starts[name] = moment
        ends = moment if change.ends else moment + FOR_EVER
        alert = {"labels": change.labels, "startsAt": starts[name].isoformat(), "endsAt": ends.isoformat()}
        http.request("POST", f"{url}/api/v2/alerts", json=[alert])
    time.sleep(SETTLE_S)


def record(name: str) -> None:
    """One scenario into its file."""
    lines: list[str] = []

    def keep(call: Call) -> Answer:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        content = {"received_at": at, "source": "alertmanager", "body": call.json()}
        lines.append(json.dumps(content, separators=(",", ":"), ensure_ascii=False))
        return Answer()

    with tempfile.TemporaryDirectory() as folder, serving(keep) as hook, alertmanager(Path(folder), hook.url) as url:
        play(SCENARIOS[name](), url)
    (FOLDER / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    print(f"{name}: {len(lines)} webhooks")  # noqa: T201


def main() -> None:
    names = sys.argv[1:] or list(SCENARIOS)
    threads = [threading.Thread(target=record, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
