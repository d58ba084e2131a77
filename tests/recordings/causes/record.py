"""Records what sick and healthy Go programs show: ``python -m tests.recordings.causes.record [CAUSE...]``. About 2 min.

Needs Go and, for the dependencies, Debian's prometheus. Nothing is changed afterwards. What a collector would have seen
stands in ``CAUSE/TWIN/COLLECTOR/``, under the names of docs/decisions/0007.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

import yaml

from sre_platform.catalog.domain import Target
from sre_platform.clients import http
from sre_platform.detection.export import prometheus_config
from sre_platform.kernel.errors import SreError
from tests.diagnosis.scene import collect

FOLDER = Path(__file__).parent
PLAYBOOKS = FOLDER.parents[2] / "playbooks" / "dependency"
WINDOW_S = 20
LAB = FOLDER.parents[2] / "experiments" / "lab"
LOG_FOLDER = Path(tempfile.gettempdir()) / "lab-log"
DISKS = {"sick": (1536, 18, True), "standing": (1536, 18, False), "healthy": (512, 18, True)}


class Program(NamedTuple):
    """A running one: where it answers, its process, and the file that its standard error goes to."""

    address: str
    process: subprocess.Popen[str]
    log: Path

    def get(self, path: str) -> bytes:
        return http.request("GET", f"http://{self.address}{path}", deadline_s=30.0, timeout=(2.0, 30.0)).body

    def write(self, name: str, path: str) -> None:
        """What ``path`` shows, in the file ``name`` of the folder of recordings."""
        save(name, self.get(path))


def save(name: str, content: bytes) -> None:
    file = FOLDER / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def data(folder: str, /, **values: object) -> None:
    save(f"{folder}/data.json", json.dumps(values, separators=(",", ":")).encode())


@contextmanager
def running(binary: Path, scenario: str, **environment: str) -> Iterator[Program]:
    log = binary.with_name(scenario.replace("/", "-") + ".log")
    with log.open("w") as errors:
        process = subprocess.Popen(
            [binary, scenario], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
            env=os.environ | environment,
        )  # fmt: skip
    try:
        assert process.stdout
        yield Program(process.stdout.readline().strip(), process, log)
    finally:
        process.kill()
        process.wait(10)


def heaps(binary: Path, scenario: str) -> None:
    settle_s, apart_s = (6.0, 10.0) if scenario.startswith("cache/") else (3.0, 5.0)
    with running(binary, scenario) as program:
        time.sleep(settle_s)
        program.write(f"{scenario}/go_profiles/heap.earlier.pb.gz", "/debug/pprof/heap?gc=1")
        time.sleep(apart_s)
        program.write(f"{scenario}/go_profiles/heap.pb.gz", "/debug/pprof/heap?gc=1")
        data(f"{scenario}/go_profiles", seconds_apart=apart_s, refused={})


def memory(binary: Path, scenario: str, apart_s: float = 4.0) -> None:
    with running(binary, scenario) as program:
        time.sleep(2)
        host = Path(f"/proc/{program.process.pid}")
        for prefix, name in (("earlier/", "earlier"), ("", "metrics")):
            program.write(f"{scenario}/go_runtime/{name}.txt", "/metrics")
            for file in ("status", "smaps_rollup"):
                save(f"{scenario}/host/{prefix}{file}.txt", (host / file).read_bytes())
            time.sleep(apart_s if prefix else 0)
        for collector in ("go_runtime", "host"):
            data(f"{scenario}/{collector}", seconds_apart=apart_s)


def cpus(binary: Path, scenario: str, seconds: int = 6) -> None:
    """The healthy program is the baseline of both; that of the healthy one is another run of it."""
    for name, which in (("cpu.baseline", "cpu/healthy"), ("cpu", scenario)):
        with running(binary, which) as program:
            time.sleep(0.5)
            program.write(f"{scenario}/go_profiles/{name}.pb.gz", f"/debug/pprof/profile?seconds={seconds}")
    data(f"{scenario}/go_profiles", cpu_seconds=seconds, refused={}, baseline={"release": "v1", "at": None})


def locks(binary: Path, scenario: str, apart_s: float = 3.0) -> None:
    with running(binary, scenario, GODEBUG="schedtrace=200") as program:
        time.sleep(2)
        for late in (".earlier", ""):
            for kind in ("mutex", "block"):
                program.write(f"{scenario}/go_profiles/{kind}{late}.pb.gz", f"/debug/pprof/{kind}")
            name = "earlier" if late else "goroutine"
            program.write(f"{scenario}/go_goroutines/{name}.txt", "/debug/pprof/goroutine?debug=1")
            time.sleep(apart_s if late else 0)
        data(f"{scenario}/go_profiles", seconds_apart=apart_s, refused={})
        data(f"{scenario}/go_goroutines", seconds_apart=apart_s, full=False)
    lines = [line for line in program.log.read_text().splitlines(keepends=True) if line.startswith("SCHED ")]
    save(f"{scenario}/go_trace/schedtrace.txt", "".join(lines[-15:]).encode())
    data(f"{scenario}/go_trace", seconds=apart_s)


def dependencies(binary: Path, scenarios: Sequence[str]) -> None:
    """All of them at once, below one Prometheus, which is asked the playbooks' queries."""
    with ExitStack() as stack:
        programs = {name: stack.enter_context(running(binary, name)) for name in scenarios}
        targets = {name.replace("/", "-"): program.address for name, program in programs.items()}
        server = stack.enter_context(_prometheus(binary.parent, targets))
        time.sleep(WINDOW_S + 8)
        end = time.time()
        for name, program in programs.items():
            save(f"{name}/prometheus_window/data.json", _window(server, name.replace("/", "-"), end))
            for text in ("earlier", "goroutine"):
                program.write(f"{name}/go_goroutines/{text}.txt", "/debug/pprof/goroutine?debug=1")
                time.sleep(1.0 if text == "earlier" else 0)
            data(f"{name}/go_goroutines", seconds_apart=1.0, full=False)


def disks(binary: Path, scenario: str) -> None:
    """The lab's payments with 32 MiB for its logs: so many KiB of debug lines a second, for so long, and on or not."""
    kib, seconds, goes_on = DISKS[scenario.partition("/")[2]]
    with tempfile.TemporaryDirectory() as beside, _payments(binary, Path(beside)) as (address, faults):
        headers = {"Authorization": "Bearer recording"}
        http.request("PUT", f"http://{faults}/faults/chatter", json={"value": kib, "ttl_s": 60}, headers=headers)
        time.sleep(seconds)
        if not goes_on:
            http.request("DELETE", f"http://{faults}/faults/chatter", headers=headers)
        logs = {"logs": {"folder": str(LOG_FOLDER), "patterns": ["requests.log.*"]}}
        target = Target("payments", metrics_url=f"http://{address}/metrics", handles=logs)
        for name in ("log_folder", "go_runtime"):
            seen = collect(name, target, seconds_apart=1.0)
            data(f"{scenario}/{name}", **seen.data)
            for text, content in seen.texts.items():
                save(f"{scenario}/{name}/{text}.txt", content.encode())


@contextmanager
def _payments(beside: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """The lab's payments, built for this; its address, and that of its faults."""
    binary = folder / "payments"
    command = [_go(), "build", "-trimpath", "-tags", "v1", "-o", binary, "./payments"]
    subprocess.run(command, cwd=LAB, env=os.environ | _go_settings(beside.parent), check=True)
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        address, faults = (f"127.0.0.1:{free.getsockname()[1]}" for free in (one, other))
    shutil.rmtree(LOG_FOLDER, ignore_errors=True)
    flags = ["-listen", address, "-faults", faults, "-log-file", LOG_FOLDER / "requests.log", "-log-volume", "32"]
    process = subprocess.Popen([binary, *flags], env=os.environ | {"LAB_FAULTS_TOKEN": "recording"})
    try:
        time.sleep(1)
        yield address, faults
    finally:
        process.kill()
        process.wait(10)
        shutil.rmtree(LOG_FOLDER, ignore_errors=True)


@contextmanager
def _prometheus(folder: Path, targets: Mapping[str, str]) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    (folder / "rules.yaml").write_text("groups: []\n")
    (folder / "prometheus.yaml").write_text(prometheus_config(targets, "rules.yaml", ""))
    command = ["prometheus", "--config.file=prometheus.yaml", f"--web.listen-address={address}"]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen([*command, f"--storage.tsdb.path={folder / 'tsdb'}"], cwd=folder, stderr=log)
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(10)


def _window(server: str, job: str, end: float) -> bytes:
    books = [yaml.safe_load(path.read_text()) for path in sorted(PLAYBOOKS.glob("*.yaml"))]
    asked = {
        name: query for book in books for name, query in book["collect"][0]["prometheus_window"]["queries"].items()
    }
    queries = {name: query.replace("{service}", job) for name, query in asked.items()}
    start = end - WINDOW_S
    seen = {name: {"query": query, **_range(server, query, start, end)} for name, query in queries.items()}
    return json.dumps({"queries": seen, "start": start, "end": end, "step_s": 1.0}, separators=(",", ":")).encode()


def _range(server: str, query: str, start: float, end: float) -> dict[str, object]:
    arguments = urlencode({"query": query, "start": start, "end": end, "step": 1})
    try:
        result = http.request("GET", f"{server}/api/v1/query_range?{arguments}").json()["data"]["result"]
    except SreError as error:
        return {"series": [], "missing": str(error)}
    rows = [
        {
            "labels": row["metric"],
            "points": [[float(at), float(f"{float(v):.6g}")] for at, v in row["values"] if v != "NaN"],
        }
        for row in result
    ]
    return {"series": [row for row in rows if row["points"]], "missing": ""}


def build(folder: Path) -> Path:
    binary = folder / "causes"
    command = [_go(), "build", "-trimpath", "-o", binary, "."]
    subprocess.run(command, cwd=FOLDER / "programs", env=os.environ | _go_settings(folder), check=True)
    return binary


def _go() -> str:
    return shutil.which("go") or str(Path(sys.executable).parent / "go")


def _go_settings(folder: Path) -> dict[str, str]:
    return {"GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "GOCACHE": str(folder / "cache"), "CGO_ENABLED": "0"}


RECORD: Mapping[str, tuple[Callable[[Path, str], None], Sequence[str]]] = {
    "retention": (heaps, ("sick", "healthy", "in-flight", "buffers", "buffers-in-use")),
    "cache": (heaps, ("sick", "warming", "healthy")),
    "off-heap": (memory, ("sick", "stacks", "healthy")),
    "cpu": (cpus, ("sick", "healthy")),
    "lock": (locks, ("sick", "starved", "healthy")),
    "disk": (disks, ("sick", "standing", "healthy")),
}
DEPENDENCIES = ("redis", "db", "dns", "tls", "retries")


def main(causes: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        binary = build(Path(folder))
        for cause, (record, twins) in RECORD.items():
            for twin in twins if cause in causes else ():
                record(binary, f"{cause}/{twin}")
        asked = [f"{cause}/{twin}" for cause in DEPENDENCIES if cause in causes for twin in ("sick", "healthy")]
        if asked:
            dependencies(binary, asked)


if __name__ == "__main__":
    main(sys.argv[1:] or [*RECORD, *DEPENDENCIES])
