from pydantic import BaseModel, ConfigDict

from sre_platform.catalog.domain import Target
from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.investigate import Scene
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Unavailable


class Process:
    """What the process supervisor says about the service's process."""

    name = "process"

    class Params(BaseModel):
        model_config = ConfigDict(extra="forbid")

    def collect(self, target: Target, scene: Scene, params: Params) -> Evidence:  # noqa: ARG002
        if not target.process:
            raise Unavailable(f"The catalog names no process for {target.service}.")
        process = scene.supervisor.process(target.process)
        data = {
            "process": process.name,
            "state": process.state,
            "pid": process.pid,
            "up_s": max(0, process.seen - process.started) if process.running else 0,
            "down_s": max(0, process.seen - process.stopped) if not process.running else 0,
            "since_end_s": max(0, process.seen - process.stopped) if process.stopped else None,
            "exit_status": process.exit_status,
            "complaint": process.complaint,
        }
        asked = (f"supervisor.getProcessInfo({target.process})",)
        return Evidence(self.name, target.service, now(), data, asked=asked)
