from pydantic import BaseModel, ConfigDict

from sre_platform.catalog.domain import Target
from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.investigate import Scene
from sre_platform.kernel.clock import now
from sre_platform.kernel.comparison import holds
from sre_platform.kernel.errors import Unavailable


class SliWindow:
    """The service's objectives as they are right now, from Prometheus or, without one, from two scrapes."""

    name = "sli_window"

    class Params(BaseModel):
        model_config = ConfigDict(extra="forbid")

    def collect(self, target: Target, scene: Scene, params: Params) -> Evidence:  # noqa: ARG002
        if not target.objectives:
            raise Unavailable(f"The catalog names no objectives for {target.service}.")
        measured = scene.measurer.measure([goal.sli for goal in target.objectives])
        rows = [
            {
                "name": goal.name,
                "value": seen.value,
                "op": goal.op,
                "threshold": goal.threshold,
                "met": None if seen.value is None else holds(seen.value, goal.op, goal.threshold),
                "missing": seen.missing,
            }
            for goal, seen in zip(target.objectives, measured, strict=True)
        ]
        asked = tuple(f"{goal.sli.kind} of {goal.sli.metric}, now" for goal in target.objectives)
        return Evidence(self.name, target.service, now(), {"objectives": rows}, asked=asked)
