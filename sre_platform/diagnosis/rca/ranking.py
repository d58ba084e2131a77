"""Which of several causes is the likeliest: the root before what follows from it, proof before signs, and what was
changed lately before what was not. Pure.

Rules know one service each. What they cannot know is added here: how near a change was, whether the line to blame lies
in it, and which findings contradict each other.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sre_platform.catalog.domain import Topology, depth, downstream
from sre_platform.diagnosis.domain import Evidence, Finding, Kind, Ranked, Site

# From proof to sign: what decides between two findings of equal confidence.
KINDS: Sequence[Kind] = (
    "gc-proof",
    "lock-cycle",
    "growth",
    "signature",
    "profile",
    "runtime",
    "host",
    "metrics",
    "probe",
    "state",
    "change",
)

# One step of the scale that the rules use (0.75, 0.8, 0.85, ...): a finding on a dependency beats what it may have
# caused further up, unless that is more than a step surer.
STEP = 0.05

# A deploy in the two minutes before the first alert is rarely a coincidence (as in rules/bad_release). A changed line
# takes half of the doubt away then, a change of which no lines are known a tenth; less, the longer ago it was made.
CLOSE_S, HALF, TENTH = 120.0, 0.5, 0.1

WAITS_FOR_A_LOCK: frozenset[Kind] = frozenset({"growth", "signature", "state", "probe", "gc-proof"})
MIN_COMMON_PARTS = 2  # of two paths, when neither ends with the whole of the other: folder and file
MAX_UNSEEN_TOLD = 2
NOT_NAMED = "The catalog names no "  # how collectors begin to say that they were not told where to look

WOULD_DECIDE: Mapping[Kind, str] = {
    "gc-proof": "The leak profile after the fix: it has to be empty.",
    "lock-cycle": "Another dump some seconds later: the same goroutines have to wait for the same locks.",
    "growth": "A third dump some seconds later would show whether it goes on growing, and the goroutine leak profile"
    " whether these goroutines can ever go on.",
    "signature": "A second dump some seconds later would show growth at this line.",
    "state": "A second dump some seconds later would show growth.",
    "change": "The same objectives after going back to the release before.",
    "probe": "The last lines of its log, and the same probe after a restart.",
    "profile": "A second profile under the same load, or one of the release before, would show the difference.",
    "runtime": "The same metrics over some minutes, or the lines of GODEBUG=gctrace=1 for as long.",
    "host": "The same counters at another replica or machine under the same load.",
    "metrics": "A dump or a profile of the service while these metrics are bad.",
}


@dataclass(frozen=True)
class _Case:
    """A ranked finding while it is being placed. ``changed`` says that a deploy lately changed the line to blame."""

    item: Ranked
    changed: bool

    @property
    def finding(self) -> Finding:
        return self.item.finding


def rank(found: Sequence[Ranked], topology: Topology, evidence: Sequence[Evidence] = ()) -> list[Ranked]:
    """The likeliest first, each with what speaks for it and against it, and what would decide.

    Ordered by confidence, with two exceptions: what may follow from a finding on a dependency stands behind it when it
    is not more than STEP surer, and so does a pile-up behind the lock cycle that explains it, or a bad release behind
    the line in it that is to blame. Of equal ones: by kind of evidence, then the root, then by name. O(findings²).
    """
    changes = {item.service: item for item in evidence if item.collector == "recent_changes" and not item.missing}
    cases = [_weighed(item, changes.get(item.finding.service)) for item in found]
    ordered = _ordered(cases, topology)
    return [_completed(case.item, ordered, evidence) for case in ordered]


def _ordered(cases: Sequence[_Case], topology: Topology) -> list[_Case]:
    services = {case.finding.service for case in cases}
    below = {name: frozenset(downstream(topology, name)) - {name} for name in services}
    left = sorted(cases, key=lambda case: _key(case, topology))
    ordered: list[_Case] = []
    while left:
        # Services that depend on each other hold each other up: then the first by its key goes.
        best = next((c for c in left if not any(_explains(other, c, below) for other in left)), left[0])
        left.remove(best)
        ordered.append(best)
    return ordered


def _key(case: _Case, topology: Topology) -> tuple[float, int, int, str, str, str, str, str, str]:
    finding, item = case.finding, case.item
    kind = KINDS.index(finding.evidence) if finding.evidence in KINDS else len(KINDS)
    deep = -depth(topology, finding.service)
    whole = json.dumps(finding.as_json(), sort_keys=True, default=str)  # so that no two are in an accidental order
    names = (finding.service, item.rule, finding.cause, str(finding.site or ""), item.playbook, whole)
    return (-round(finding.confidence, 4), kind, deep, *names)


def _explains(one: _Case, other: _Case, below: Mapping[str, frozenset[str]]) -> bool:
    """Whether ``one`` may be what ``other`` follows from."""
    root, sign = one.finding, other.finding
    if root.service != sign.service:
        near = round(root.confidence, 4) >= round(sign.confidence - STEP, 4)
        return near and root.service in below[sign.service]
    if root.evidence == "lock-cycle":
        return sign.evidence in WAITS_FOR_A_LOCK and (sign.family == "lock-wait" or sign.evidence == "probe")
    return one.changed and sign.evidence == "change"


def _weighed(item: Ranked, seen: Evidence | None) -> _Case:
    """The finding with what the latest change has to say about it."""
    finding = replace(item.finding, confidence=min(1.0, max(0.0, item.finding.confidence)))
    changes = [] if finding.evidence == "change" else _in_force(seen)
    deploy = next((change for change in changes if change["kind"] == "deploy" and change.get("commits")), None)
    changed = False
    if deploy and finding.site:
        finding, changed = _with_line(finding, finding.site, deploy)
    elif changes:
        newest = changes[0]
        said = f"The {newest['kind']} {_from_to(newest)} came {newest['seconds_before']:.0f} s before the incident."
        finding = _surer(finding, TENTH, newest, said)
    return _Case(replace(item, finding=finding), changed)


def _with_line(finding: Finding, site: Site, deploy: Mapping[str, Any]) -> tuple[Finding, bool]:
    """The finding with what a deploy says about the line to blame, and whether it changed it."""
    ago_s, commit = deploy["seconds_before"], _commit_of(site, deploy["commits"])
    if commit is None:
        brought = f"{len(deploy['commits'])} commit{'s' if len(deploy['commits']) > 1 else ''}"
        said = f"{site} is in none of the {brought} that {deploy['after']} brought {ago_s:.0f} s before."
        return replace(finding, against=[*finding.against, said]), False
    said = (
        f"Line {site} was changed by commit {str(commit['id'])[:12]} {commit['says']!r} by"
        f" {commit['by'] or 'somebody'}, deployed {ago_s:.0f} s before the incident."
    )
    return _surer(finding, HALF, deploy, said), True


def _surer(finding: Finding, share: float, change: Mapping[str, Any], said: str) -> Finding:
    """With a share of the doubt gone, all of that share for a change that was close."""
    gone = (1 - finding.confidence) * share * CLOSE_S / max(CLOSE_S, change["seconds_before"])
    return replace(finding, confidence=finding.confidence + gone, because=[*finding.because, said])


def _in_force(seen: Evidence | None) -> list[Mapping[str, Any]]:
    """The changes before the incident, newest first; of deploys only those that brought what runs, if that is known."""
    changes: Iterable[Mapping[str, Any]] = seen.data.get("changes", ()) if seen else ()
    running = seen.data.get("running", "") if seen else ""
    before = [change for change in changes if change.get("seconds_before", -1) >= 0]
    return [c for c in before if c.get("kind") != "deploy" or not running or c.get("after") == running]


def _from_to(change: Mapping[str, Any]) -> str:
    return f"from {change['before']} to {change['after']}" if change.get("before") else f"to {change.get('after')}"


def _commit_of(site: Site, commits: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The newest commit that changed the line. A path in the binary and one in the repository share their end."""
    paths = {path for commit in commits for path in commit.get("files", {})}
    path = max(sorted(paths), key=lambda path: _common(site.file, path), default="")
    if not _same_file(site.file, path):
        return None
    for commit in commits:
        ranges = commit.get("files", {}).get(path, ())
        if any(first <= site.line <= last for first, last in ranges):
            return commit
    return None


def _common(one: str, other: str) -> int:
    """How many parts two paths share, from their ends."""
    pairs = zip(reversed(one.replace("\\", "/").split("/")), reversed(other.split("/")), strict=False)
    count = 0
    for left, right in pairs:
        if left != right:
            break
        count += 1
    return count


def _same_file(in_binary: str, in_repository: str) -> bool:
    # Modules of others stand in a folder with their version: their main.go is not ours.
    if not in_repository or "@v" in in_binary:
        return False
    common = _common(in_binary, in_repository)
    return common >= MIN_COMMON_PARTS or common == len(in_repository.split("/"))


def _completed(item: Ranked, ordered: Sequence[_Case], evidence: Sequence[Evidence]) -> Ranked:
    """With ``against`` and ``would_decide`` where the rule has left them empty."""
    finding = item.finding
    against, would_decide = finding.against, finding.would_decide
    if not against:
        against = _against(finding, ordered, evidence)
    if not would_decide and finding.evidence in WOULD_DECIDE:
        would_decide = [WOULD_DECIDE[finding.evidence]]
    return replace(item, finding=replace(finding, against=tuple(against), would_decide=tuple(would_decide)))


def _against(finding: Finding, ordered: Sequence[_Case], evidence: Sequence[Evidence]) -> list[str]:
    others = [c.finding for c in ordered if c.finding.service == finding.service and c.finding.cause != finding.cause]
    if others:
        other = others[0]
        how = f"{other.evidence}, confidence {other.confidence:.2f}"
        return [f"Two findings disagree: the evidence of {finding.service} also speaks for {other.cause} ({how})."]
    # What the catalog does not name is never seen: that is how the installation is, and says nothing about this case.
    failed = [item for item in evidence if item.missing and not item.missing.startswith(NOT_NAMED)]
    unseen = [item for item in failed if item.service == finding.service]
    told = [f"{item.collector} could not be seen: {item.missing}" for item in unseen]
    return list(dict.fromkeys(told))[:MAX_UNSEEN_TOLD]
