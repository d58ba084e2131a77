import re
from collections.abc import Mapping, Sequence
from time import monotonic

from pydantic import BaseModel, ConfigDict, Field

from sre_platform.catalog.domain import Target
from sre_platform.clients import machine
from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.investigate import Scene
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Unavailable

READ_S = 3.0
OF_PROCESS = ("status", "stat", "maps", "smaps_rollup", "limits")
PRESSURE = ("cpu", "io", "memory")
V2 = ("cpu.max", "cpu.stat", "memory.current", "memory.max", "memory.stat", "memory.events")
V1_CPU = ("cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.stat")
V1_MEMORY = ("memory.usage_in_bytes", "memory.limit_in_bytes", "memory.stat", "memory.oom_control", "memory.failcnt")
# cgroup v1 says "no limit" with the largest number of pages, in bytes (mm/page_counter.c: LONG_MAX rounded down).
V1_NO_LIMIT = 1 << 62
_CPU = re.compile(rb"^cpu\d+ ", re.MULTILINE)


class Host:
    """The process and its cgroup as the kernel counts them, twice: memory, CPU, throttling, limits and pressure."""

    name = "host"
    per_replica = True

    class Params(BaseModel):
        model_config = ConfigDict(extra="forbid")
        seconds_apart: float = Field(1.0, gt=0, le=5)

    def collect(self, target: Target, scene: Scene, params: Params) -> Evidence:
        pid = process_id(target, scene)
        files = machine.read([f"/proc/{pid}/cgroup"], target.exec, deadline_s=scene.left_s(READ_S))
        groups = _groups(files.get(f"/proc/{pid}/cgroup", b"").decode(errors="replace"))
        paths = _paths(pid, groups, inside=bool(target.exec))
        earlier = _texts(machine.read(list(paths), target.exec, deadline_s=scene.left_s(READ_S)), paths)
        taken = monotonic()
        scene.pause(params.seconds_apart)
        found = machine.read(list(paths), target.exec, deadline_s=scene.left_s(READ_S))
        later = _texts(found, paths)
        if "status" not in later:
            raise Unavailable(f"There is no process {pid}, or its files may not be read.")
        data = {
            "seconds_apart": round(monotonic() - taken, 2),
            "pid": pid,
            "cpus": len(_CPU.findall(found.get("/proc/stat", b""))),
            "cgroup": groups.get("memory") or groups.get("") or "",
        }
        where = f"through {target.exec[0]}" if target.exec else "on this machine"
        asked = (f"{len(paths)} files of process {pid} {where}, twice",)
        texts = {f"earlier/{name}": text for name, text in earlier.items()} | later
        return Evidence(self.name, target.service, now(), data, texts, asked=asked)


def process_id(target: Target, scene: Scene) -> int:
    """The process to look at: the catalog's, else the supervisor's. Raises Unavailable when it does not run."""
    if target.pid:
        return target.pid
    if not target.process or target.exec:
        raise Unavailable(f"The catalog names no pid {'' if target.exec else 'and no process '}for {target.label}.")
    process = scene.supervisor.process(target.process)
    if not process.running or not process.pid:
        raise Unavailable(f"{target.process} is {process.state}: there is no process to look at.")
    return process.pid


def _groups(text: str) -> dict[str, str]:
    """The process' cgroups by controller (cgroups(7)); the one of version 2 under the empty name."""
    rows = [line.split(":", 2) for line in text.splitlines() if line.count(":") >= 2]
    return {controller: path for _, names, path in rows for controller in names.split(",")}


def _paths(pid: int, groups: Mapping[str, str], inside: bool) -> dict[str, str]:
    """The files to read, and the name of each in the evidence; v1 files keep their names, for the translation."""
    paths = {f"/proc/{pid}/{name}": name for name in OF_PROCESS}
    paths |= {f"/proc/pressure/{name}": f"pressure/{name}" for name in PRESSURE}
    paths["/proc/stat"] = "proc_stat"
    v1 = {name: groups[name] for name in ("cpu", "memory") if name in groups}
    kinds: list[tuple[str, str, Sequence[str], str]]
    kinds = [(f"/{name}", path, V1_CPU if name == "cpu" else V1_MEMORY, "v1/") for name, path in v1.items()]
    if "" in groups:
        kinds.append(("", groups[""], [name for name in V2 if name.partition(".")[0] not in v1], "cgroup/"))
    for mount, path, names, prefix in kinds:
        for folder in _folders(path, inside):
            paths |= {f"/sys/fs/cgroup{mount}{folder}/{name}": prefix + name for name in names}
    return {path: name for path, name in paths.items() if machine.allowed(path)}


def _folders(path: str, inside: bool) -> Sequence[str]:
    """Where a cgroup's files may be. In a container its own is the root, whatever the kernel calls it outside."""
    folder = path.rstrip("/")
    return ("", folder) if inside and folder else (folder,)


def _texts(found: Mapping[str, bytes], paths: Mapping[str, str]) -> dict[str, str]:
    texts = {paths[path]: found[path].decode(errors="replace") for path in paths if path in found}
    v1 = {name[3:]: texts.pop(name) for name in list(texts) if name.startswith("v1/")}
    return texts | {f"cgroup/{name}": text for name, text in _as_v2(v1).items()}


def _as_v2(v1: Mapping[str, str]) -> dict[str, str]:
    """The files of cgroup v1 under the names, and in the units, of version 2. Statistics keep their own lines too."""
    texts = {name: v1[name] for name in ("cpu.stat", "memory.stat") if name in v1}
    quota, period = v1.get("cpu.cfs_quota_us", "").strip(), v1.get("cpu.cfs_period_us", "").strip()
    if quota and period:
        texts["cpu.max"] = f"{'max' if quota.startswith('-') else quota} {period}\n"
    if nanoseconds := re.search(r"^throttled_time (\d+)", v1.get("cpu.stat", ""), re.MULTILINE):
        texts["cpu.stat"] += f"throttled_usec {int(nanoseconds[1]) // 1000}\n"
    if "memory.usage_in_bytes" in v1:
        texts["memory.current"] = v1["memory.usage_in_bytes"]
    if (limit := v1.get("memory.limit_in_bytes", "").strip()).isdigit():
        texts["memory.max"] = f"{'max' if int(limit) >= V1_NO_LIMIT else limit}\n"
    killed = re.search(r"^oom_kill (\d+)", v1.get("memory.oom_control", ""), re.MULTILINE)
    failed = v1.get("memory.failcnt", "").strip()
    if killed or failed:
        texts["memory.events"] = f"max {failed or 0}\noom_kill {killed[1] if killed else 0}\n"
    return texts
