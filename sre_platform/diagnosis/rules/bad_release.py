from collections.abc import Mapping
from typing import Any

from sre_platform.diagnosis.domain import Evidence, Finding

# A deploy in the two minutes before the first alert is rarely a coincidence.
CLOSE_S = 120.0
CLOSE, FAR = 0.85, 0.75


class BadRelease:
    """The running release was deployed shortly before, and the service does not meet its objectives."""

    name = "bad_release"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        change = _running_change(evidence.get("recent_changes"))
        unmet = _unmet(evidence.get("sli_window"))
        if change is None or not unmet:
            return None
        before_s = change["seconds_before"]
        return Finding(
            cause="bad_release",
            family="release",
            service=service,
            confidence=CLOSE if before_s <= CLOSE_S else FAR,
            evidence="change",
            because=[
                f"{service}: release {change['after']} replaced {change['before']} {before_s:.0f} s before the incident"
                f" (by {change['by'] or 'somebody'}), and it is the one that runs.",
                *unmet,
            ],
            advice=[f"Compare {change['before']} with {change['after']} before releasing again."],
        )


def _running_change(seen: Evidence | None) -> Mapping[str, Any] | None:
    """The newest deploy, if the release that it brought is the one that runs now."""
    deploys = [c for c in seen.data.get("changes", ()) if c["kind"] == "deploy" and c["before"]] if seen else []
    newest: Mapping[str, Any] | None = deploys[0] if deploys else None
    return newest if seen and newest and newest["after"] == seen.data.get("running") else None


def _unmet(seen: Evidence | None) -> list[str]:
    rows = seen.data.get("objectives", ()) if seen else ()
    return [
        f"{row['name']} is {row['value']:.4g}, and has to be {row['op']} {row['threshold']:g}."
        for row in rows
        if row["met"] is False
    ]
