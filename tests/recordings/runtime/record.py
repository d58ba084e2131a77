"""Records what Go's runtime says of a small program: ``python -m tests.recordings.runtime.record [NAME ...]``.

Needs ``go`` (the wheel of requirements-lab.txt). Each run lasts a few seconds; the texts are cut to their last lines.
Of some a CPU profile is taken as well.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
MOST_LINES = 60
PROFILED = ("gctrace_steady", "gctrace_large", "gctrace_starved", "gctrace_finalizers")
# name of the recording: (mode of the worker, seconds, environment)
RUNS = {
    "gctrace_steady": ("steady", 6, {"GODEBUG": "gctrace=1"}),
    "gctrace_drift": ("drift", 3, {"GODEBUG": "gctrace=1", "GOGC": "10"}),
    "gctrace_large": ("large", 2, {"GODEBUG": "gctrace=1"}),
    "gctrace_starved": ("starved", 4, {"GODEBUG": "gctrace=1", "GOMAXPROCS": "1"}),
    "gctrace_finalizers": ("finalizers", 3, {"GODEBUG": "gctrace=1"}),
    "gctrace_pacer": ("steady", 2, {"GODEBUG": "gctrace=2,gcpacertrace=1,scavtrace=1"}),
    "schedtrace_idle": ("steady", 3, {"GODEBUG": "schedtrace=200"}),
    "schedtrace_saturated": ("saturated", 2, {"GODEBUG": "schedtrace=200,gctrace=1", "GOMAXPROCS": "2"}),
    "scheddetail_storm": ("storm", 0.7, {"GODEBUG": "schedtrace=100,scheddetail=1", "GOMAXPROCS": "2"}),
    "scheddetail_blocked": ("blocked", 0.35, {"GODEBUG": "schedtrace=150,scheddetail=1", "GOMAXPROCS": "2"}),
}


def build(into: Path) -> Path:
    go = Path(sys.executable).with_name("go")
    environment = os.environ | {"GOTOOLCHAIN": "local", "GO111MODULE": "off", "CGO_ENABLED": "0"}
    binary = into / "worker"
    subprocess.run([go, "build", "-trimpath", "-o", binary, HERE / "worker" / "main.go"], env=environment, check=True)
    return binary


def main(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        binary = build(Path(folder))
        for name in names or RUNS:
            mode, seconds, environment = RUNS[name]
            profile = [HERE / f"{name.replace('gctrace', 'cpu')}.pb.gz"] if name in PROFILED else []
            command = [binary, mode, str(seconds), *profile]
            done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, timeout=30, check=True)
            lines = done.stderr.splitlines(keepends=True)
            most = len(lines) if name.startswith("sched") else MOST_LINES
            (HERE / f"{name}.txt").write_text("".join(lines[-most:]))


if __name__ == "__main__":
    main(sys.argv[1:])
