from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from sre_platform.catalog.domain import Target
from sre_platform.clients import releases
from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.investigate import Scene
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import SreError


class RecentChanges:
    """What was changed about the service before the incident, and which release its link points to now."""

    name = "recent_changes"

    class Params(BaseModel):
        model_config = ConfigDict(extra="forbid")
        minutes: float = Field(15, gt=0, le=24 * 60)

    def collect(self, target: Target, scene: Scene, params: Params) -> Evidence:
        since = scene.opened_at - timedelta(minutes=params.minutes)
        changes = [
            {
                "kind": change.kind,
                "at": change.at.isoformat(),
                "seconds_before": round((scene.opened_at - change.at).total_seconds(), 1),
                "before": change.before,
                "after": change.after,
                "by": change.by,
            }
            for change in scene.changes.get(target.service, ())
            if change.at >= since
        ]
        data = {"minutes": params.minutes, "changes": changes, "running": _running(target)}
        return Evidence(self.name, target.service, now(), data)


def _running(target: Target) -> str:
    """The release the link points to; empty when there is no link or it cannot be read."""
    try:
        return releases.current(target.release_link)
    except SreError:
        return ""
