from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sre_platform.catalog.domain import Change, Target
from sre_platform.clients import git, releases
from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.investigate import Scene
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import SreError

DEPLOYS_READ = 3  # of the newest deploys the commits are read
GIT_S = 3.0


class RecentChanges:
    """What was changed about the service before the incident, by which commits, and which release runs now."""

    name = "recent_changes"

    class Params(BaseModel):
        model_config = ConfigDict(extra="forbid")
        minutes: float = Field(15, gt=0, le=24 * 60)

    def collect(self, target: Target, scene: Scene, params: Params) -> Evidence:
        """Changes of every kind, newest first; of the newest deploys the commits, where the repository is known."""
        since = scene.opened_at - timedelta(minutes=params.minutes)
        changes = [change for change in scene.changes.get(target.service, ()) if change.at >= since]
        deploys = [change for change in changes if change.kind == "deploy" and change.before and change.after]
        asked: list[str] = []
        told = []
        for change in changes:
            known = _commits(target, change, scene, asked) if change in deploys[:DEPLOYS_READ] else {}
            told.append(_told(change, scene) | known)
        data = {"minutes": params.minutes, "changes": told, "running": releases.running(target.release_link)}
        return Evidence(self.name, target.service, now(), data, asked=tuple(asked))


def _told(change: Change, scene: Scene) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "at": change.at.isoformat(),
        "seconds_before": round((scene.opened_at - change.at).total_seconds(), 1),
        "before": change.before,
        "after": change.after,
        "by": change.by,
    }


def _commits(target: Target, change: Change, scene: Scene, asked: list[str]) -> dict[str, Any]:
    """The commits of a deploy, or why they cannot be told; nothing when no repository is known."""
    if not target.repository:
        return {}
    asked.append(f"git log {change.before}..{change.after} in {target.repository}")
    try:
        found = git.commits(target.repository, change.before, change.after, target.source_root, scene.left_s(GIT_S))
    except SreError as error:
        return {"commits": [], "no_commits": str(error)}
    return {"commits": [_commit(commit) for commit in found]}


def _commit(commit: git.Commit) -> dict[str, Any]:
    files = {path: [list(lines) for lines in ranges] for path, ranges in commit.files.items()}
    return {"id": commit.id, "by": commit.by, "at": commit.at, "says": commit.says, "files": files}
