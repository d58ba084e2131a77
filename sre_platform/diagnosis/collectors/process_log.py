from pydantic import BaseModel, ConfigDict, Field

from sre_platform.catalog.domain import Target
from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.investigate import Scene
from sre_platform.diagnosis.parsers import supervisor_log
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import SreError, Unavailable

SUPERVISOR_BYTES = 64 * 1024  # of supervisord's own log: some 700 lines, of which those about the process are kept


class ProcessLog:
    """The last that the service's process wrote, and what its supervisor says about how often it ended."""

    name = "process_log"

    class Params(BaseModel):
        model_config = ConfigDict(extra="forbid")
        kib: int = Field(32, ge=1, le=256)  # a panic with a hundred goroutines fits

    def collect(self, target: Target, scene: Scene, params: Params) -> Evidence:
        """What is not kept (a process may log elsewhere) is left out, and why is said."""
        if not target.process:
            raise Unavailable(f"The catalog names no process for {target.service}.")
        supervisor, name = scene.supervisor, target.process
        wanted = {
            "output": lambda: supervisor.output_tail(name, params.kib * 1024),
            "supervisor": lambda: supervisor_log.about(supervisor.log_tail(SUPERVISOR_BYTES), name),
        }
        texts, refused = {}, {}
        for document, read in wanted.items():
            try:
                texts[document] = read()
            except SreError as error:
                refused[document] = str(error)
        if not texts:
            raise Unavailable(f"No log of {name} could be read: {refused['output']}")
        asked = (f"supervisor.readProcessStderrLog({name}), else readProcessStdoutLog", "supervisor.readLog")
        return Evidence(self.name, target.service, now(), {"process": name, "refused": refused}, texts, asked=asked)
