import shutil

from pydantic import BaseModel, ConfigDict, Field

from sre_platform.catalog.domain import Target
from sre_platform.clients import command
from sre_platform.diagnosis.collectors.host import process_id
from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.investigate import Scene
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Unavailable

# What the rules about the processor ask for; perf-stat(1) says <not supported> of what a machine does not count.
EVENTS = (
    "task-clock,context-switches,cpu-migrations,page-faults,cycles,instructions,branches,branch-misses,"
    "cache-references,cache-misses,LLC-loads,LLC-load-misses,dTLB-loads,dTLB-load-misses,iTLB-load-misses,"
    "node-loads,node-load-misses,stalled-cycles-frontend"
)
MAX_BYTES = 64 * 1024
SLACK_S = 2.0


class PerfStat:
    """The processor's counters for the process over some seconds, where ``perf`` is installed and may look."""

    name = "perf_stat"
    per_replica = closer = True  # not heavy: the processor counts by itself, and nothing is interrupted

    class Params(BaseModel):
        model_config = ConfigDict(extra="forbid")
        seconds: float = Field(1.0, gt=0, le=5)

    def collect(self, target: Target, scene: Scene, params: Params) -> Evidence:
        if target.exec:
            raise Unavailable(f"perf looks at this machine only, and {target.label} runs on another.")
        program = shutil.which("perf")
        if program is None:
            raise Unavailable("perf is not installed on this machine.")
        argv = [program, "stat", "-x,", "-e", EVENTS, "-p", str(process_id(target, scene)), "--"]
        argv += ["sleep", f"{params.seconds:g}"]
        output = command.run(argv, deadline_s=scene.left_s(params.seconds + SLACK_S), max_bytes=MAX_BYTES)
        text = output.stderr.decode(errors="replace")
        if output.code or text.count(",") < 2:
            raise Unavailable(f"perf cannot look at the process: {output.complaint}.")
        asked = (" ".join(["perf", *argv[1:]]),)
        return Evidence(self.name, target.service, now(), {"seconds": params.seconds}, {"perf": text}, asked=asked)
