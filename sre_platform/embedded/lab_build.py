"""Building the lab's services, each in good and bad releases, and laying them out as a deploy tool would."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from sre_platform.clients import releases
from sre_platform.embedded import parts
from sre_platform.kernel.errors import SreError

RELEASES = {  # what each is good for is in experiments/lab/README.md
    "storefront": ("v1", "v2"),
    "orders": ("v1", "v2", "v3"),
    "payments": ("v1", "v2", "v3", "v4"),
}
SERVICES = tuple(RELEASES)
LINKS = (*((service, "current") for service in SERVICES), ("payments", "canary"))  # what runs, as links to releases
LOGS = {"payments": "payments/log", "payments-canary": "payments/canary-log"}  # folders of logs of requests
BUILD_TIMEOUT_S = 600


def build(source: Path, lab: Path, cache: Path, say: Callable[[str], None]) -> None:
    """Build what has changed since the last time into ``lab``; good releases are what runs, and logs are empty."""
    stamp, digest = lab / "built", _digest(source)
    if not stamp.exists() or stamp.read_text() != digest:
        go = parts.go()
        for service, names in RELEASES.items():
            for release in names:
                say(f"building {service} {release}")
                _go_build(go, source, cache, service, release, lab / service / "releases" / release / service)
        say("building the load generator")
        _go_build(go, source, cache, "loadgen", "v1", lab / "users" / "loadgen")
        stamp.write_text(digest)
    for service, link in LINKS:
        releases.switch(str(lab / service / link), str(lab / service / "releases"), "v1")
    for folder in LOGS.values():
        shutil.rmtree(lab / folder, ignore_errors=True)  # one that an experiment has left full fails every request


def _go_build(go: str, source: Path, cache: Path, package: str, release: str, binary: Path) -> None:
    binary.parent.mkdir(parents=True, exist_ok=True)
    flags = ["-trimpath", "-buildvcs=false", "-tags", release, "-ldflags", f"-X lab/internal/service.Release={release}"]
    offline = {
        "GOTOOLCHAIN": "local",
        "GOPROXY": "off",
        "GOTELEMETRY": "off",
        "GOFLAGS": "-mod=mod",
        "CGO_ENABLED": "0",
    }
    folders = {"GOCACHE": str(cache / "build"), "GOPATH": str(cache / "path")}
    if parts.go_version(go) == parts.GO_AT_LEAST:  # there the leak profile is an experiment; later ones always have it
        folders["GOEXPERIMENT"] = "goroutineleakprofile"
    done = subprocess.run(  # noqa: S603 our own sources, no shell
        [go, "build", *flags, "-o", str(binary), f"./{package}"],
        cwd=source,
        env=os.environ | offline | folders,
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise SreError(f"Building {package} {release} of the lab failed: {done.stderr.strip()[-2000:]}")


def _digest(source: Path) -> str:
    """A hash over the lab's Go sources and the build itself."""
    paths = [*sorted(source.rglob("*.go")), source / "go.mod", Path(__file__)]
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()
