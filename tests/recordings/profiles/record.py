"""Records each of Go's profiles, and what ``go tool pprof -top`` says: ``python -m tests.recordings.profiles.record``.

Builds ``shop``, lets it work for about 3 s, and writes ``NAME.pb.gz`` as the runtime wrote it beside ``NAME.ARGS.txt``,
the tool's word for it. Nothing is changed afterwards.
"""

import os
import subprocess
import tempfile
from pathlib import Path

from sre_platform.embedded.parts import go

FOLDER = Path(__file__).parent
NAMES = (
    "cpu", "cpu.baseline", "heap", "heap.earlier", "allocs", "mutex", "mutex.earlier", "block", "block.earlier",
    "threadcreate", "goroutine", "goroutineleak",
)  # fmt: skip
# By the name of the output: the options of the tool. {} is the folder.
VIEWS: dict[str, tuple[str, ...]] = {
    "top": (),
    "cum": ("-cum",),
    "top5": ("-nodecount=5",),
    "all": ("-nodefraction=0", "-edgefraction=0"),
}
MORE: dict[str, tuple[tuple[str, ...], str]] = {
    "heap.inuse_objects": (("-sample_index=inuse_objects",), "heap"),
    "heap.alloc_space": (("-sample_index=1",), "heap"),
    "mutex.contentions": (("-sample_index=contentions",), "mutex"),
    "cpu.base": (("-base={}/cpu.baseline.pb.gz",), "cpu"),
    "cpu.diff_base": (("-diff_base={}/cpu.baseline.pb.gz", "-cum"), "cpu"),
    "heap.base": (("-base={}/heap.earlier.pb.gz",), "heap"),
    "heap.diff_base": (("-diff_base={}/heap.earlier.pb.gz",), "heap"),
    "block.base": (("-base={}/block.earlier.pb.gz",), "block"),
}


def tool(*arguments: str) -> str:
    """What ``go tool pprof`` prints, with no binaries to look symbols up in and Greenwich's time."""
    quiet = {"TZ": "UTC", "GOTOOLCHAIN": "local", "PPROF_BINARY_PATH": "/nonexistent", "GOTELEMETRY": "off"}
    command = [go(), "tool", "pprof", *arguments]
    done = subprocess.run(command, env=os.environ | quiet, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="shop-") as work:
        binary = Path(work, "shop")
        build = [go(), "build", "-trimpath", "-o", str(binary), "."]
        subprocess.run(build, cwd=FOLDER / "shop", env=os.environ | {"GOFLAGS": "-mod=mod"}, check=True)
        subprocess.run([binary, FOLDER], check=True, timeout=60)
    for name in NAMES:
        for view, options in VIEWS.items():
            (FOLDER / f"{name}.{view}.txt").write_text(tool("-top", *options, f"{FOLDER}/{name}.pb.gz"))
    for output, (options, name) in MORE.items():
        filled = (option.format(FOLDER) for option in options)
        (FOLDER / f"{output}.txt").write_text(tool("-top", *filled, f"{FOLDER}/{name}.pb.gz"))


if __name__ == "__main__":
    main()
