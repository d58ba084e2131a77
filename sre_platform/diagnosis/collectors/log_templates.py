from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from sre_platform.catalog.domain import Target
from sre_platform.clients import logfile
from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.investigate import Scene
from sre_platform.diagnosis.parsers.log_templates import templates
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Unavailable

TAIL_BYTES = 8 * 1024 * 1024  # of each log file: about 40,000 lines


class LogTemplates:
    """What the service's log says how often, before and since the newest change (or the incident, without one)."""

    name = "log_templates"

    class Params(BaseModel):
        model_config = ConfigDict(extra="forbid")
        minutes: float = Field(15, gt=0, le=24 * 60)

    def collect(self, target: Target, scene: Scene, params: Params) -> Evidence:
        if not target.log_files:
            raise Unavailable(f"The catalog names no log_file for {target.label}.")
        since = scene.opened_at - timedelta(minutes=params.minutes)
        made = [change.at for change in scene.changes.get(target.service, ()) if since <= change.at <= scene.opened_at]
        changed_at = max(made, default=scene.opened_at)
        tails = [logfile.tail(path, TAIL_BYTES).decode(errors="replace") for path in target.log_files]
        lines, found = templates((line for tail in tails for line in tail.split("\n")), since, changed_at)
        data = {"minutes": params.minutes, "lines": lines, "templates": [template.as_json() for template in found]}
        asked = tuple(f"the last {TAIL_BYTES} bytes of {path}" for path in target.log_files)
        return Evidence(self.name, target.service, now(), data, asked=asked)
