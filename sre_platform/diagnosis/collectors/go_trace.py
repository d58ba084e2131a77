import re
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field

from sre_platform.catalog.domain import Target
from sre_platform.clients import logfile
from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.investigate import Scene
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Unavailable

TAIL_BYTES = 1024 * 1024  # of each log file: about 5,000 lines of the runtime
# runtime/extern.go describes both; what stands before on a line was put there by a container's log.
_GC = re.compile(r"(?:^|\s)(gc \d+ @[0-9.]+s \d+%(?: \([^)\n]{1,60}\))?: .*)")  # Go 1.26: (checking for ...)
_SCHED = re.compile(r"(?:^|\s)(SCHED \d+ms: .*)")
_DETAIL = re.compile(r"(?:^|\s)(  [PMG]\d+: .*)")


class GoTrace:
    """The lines of GODEBUG=gctrace=1 and schedtrace=N at the end of the service's log, listening for some seconds."""

    name = "go_trace"

    class Params(BaseModel):
        model_config = ConfigDict(extra="forbid")
        seconds: float = Field(1.0, ge=0, le=5)

    def collect(self, target: Target, scene: Scene, params: Params) -> Evidence:
        if not target.log_files:
            raise Unavailable(f"The catalog names no log_file for {target.label}.")
        for path in target.log_files:
            logfile.size(path)  # what cannot be read is said at once
        if params.seconds:
            scene.pause(params.seconds)
        tails = [logfile.tail(path, TAIL_BYTES).decode(errors="replace") for path in target.log_files]
        texts = traces(line for tail in tails for line in tail.split("\n"))
        if not any(texts.values()):
            raise Unavailable(
                f"The log of {target.label} holds no gctrace and no schedtrace lines.",
                advice="Start it with GODEBUG=gctrace=1,schedtrace=1000.",
            )
        asked = tuple(f"the last {TAIL_BYTES} bytes of {path}" for path in target.log_files)
        return Evidence(self.name, target.service, now(), {"seconds": params.seconds}, texts, asked=asked)


def traces(lines: Iterable[str]) -> dict[str, str]:
    """The runtime's lines among those of a log; the details of the scheduler belong to the SCHED line before them."""
    gc: list[str] = []
    sched: list[str] = []
    for line in lines:
        if match := _GC.search(line):
            gc.append(match[1])
        elif match := _SCHED.search(line) or (_DETAIL.search(line) if sched else None):
            sched.append(match[1])
    return {"gctrace": "".join(f"{line}\n" for line in gc), "schedtrace": "".join(f"{line}\n" for line in sched)}
