"""Records what Linux and perf say of the worker: ``python -m tests.recordings.runtime.record_host``.

The places of files, their devices and inodes are replaced: they are the machine's own. Needs ``go`` and ``perf``.
"""

import re
import subprocess
import tempfile
import time
from pathlib import Path

from tests.recordings.runtime.record import HERE, build

FILES = ("status", "stat", "maps", "smaps_rollup", "limits")
HOST = {
    "pressure_cpu": "/proc/pressure/cpu",
    "pressure_memory": "/proc/pressure/memory",
    "proc_stat": "/proc/stat",
    "cgroup_v1_cpu_stat": "/sys/fs/cgroup/cpu/cpu.stat",
    "cgroup_v1_memory_stat": "/sys/fs/cgroup/memory/memory.stat",
    "cgroup_v1_memory_limit": "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    "cgroup_v1_oom_control": "/sys/fs/cgroup/memory/memory.oom_control",
    "cgroup_v2_cpu_stat": "/sys/fs/cgroup/unified/cpu.stat",
}
SOFTWARE = "task-clock,context-switches,cpu-migrations,cycles,page-faults"
PERF = {
    "perf_total": ["-e", SOFTWARE],
    "perf_interval": ["-I", "100", "-e", SOFTWARE],
    "perf_per_cpu": ["-A", "-a", "-e", "context-switches,cpu-clock:u"],
    "perf_per_socket": ["--per-socket", "-a", "-I", "100", "-e", "context-switches,cpu-clock"],
    "perf_repeated": ["-r", "3", "-e", "task-clock,page-faults"],
}


def scrubbed(text: str, binary: Path) -> str:
    text = text.replace(str(binary), "/app/worker")
    return re.sub(r"(?m)^(\S+ \S{4} \S+) \S+ \d+", r"\1 00:00 0", text)


def main() -> None:
    folder = HERE / "host"
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        binary = build(Path(place))
        with subprocess.Popen([binary, "steady", "3"], stderr=subprocess.DEVNULL) as worker:
            time.sleep(2)
            for name in FILES:
                text = Path(f"/proc/{worker.pid}/{name}").read_text()
                (folder / f"{name}.txt").write_text(scrubbed(text, binary) if name == "maps" else text)
        for name, path in HOST.items():
            lines = Path(path).read_text().splitlines(keepends=True)
            (folder / f"{name}.txt").write_text("".join(line for line in lines if not line.startswith("intr ")))
        for name, arguments in PERF.items():
            command = ["perf", "stat", "-x,", *arguments, str(binary), "steady", "0.25"]
            done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=30, check=True)
            said = [line for line in done.stderr.splitlines(keepends=True) if not line.startswith(("{", "gc "))]
            (folder / f"{name}.txt").write_text("".join(said))


if __name__ == "__main__":
    main()
