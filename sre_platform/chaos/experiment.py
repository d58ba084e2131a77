"""Experiment files: plain Chaos Toolkit, restricted to our own faults and probes, with what we expect of them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sre_platform.kernel.complaint import complaint
from sre_platform.kernel.errors import Malformed, Unknown

EXTENSION = "sre_platform"
ALLOWED_FUNCTIONS = {
    "sre_platform.chaos.probes": (
        "users_are_well",
        "settled",
        "alert_came_and_went",
        "rollout_ended",
        "users_were_well",
        "no_rollout_is_left",
        "release_runs",
    )
}
FAULTS = "sre_platform.chaos.faults."
KEYS = {"version", "title", "description", "tags", "extensions", "steady-state-hypothesis", "method", "rollbacks"}
Outcome = Literal["healed", "escalated", "no_action", "failed", "rolled_back", "promoted"]


class Expect(BaseModel):
    """What has to come of a drill. Empty strings are not compared; ``site`` is ``file:line`` as the binary names it.

    ``taken_back``: the action has to be found harmful, and undone without anybody asking for it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: Literal["sre_platform"]
    outcome: Outcome
    cause: str = ""
    service: str = ""
    site: str = ""
    action: str = ""
    taken_back: bool = False
    timeout_s: float = Field(120, gt=0, le=900)


def names(folder: Path) -> list[str]:
    """The experiments in ``folder``, as ``target/fault``."""
    return sorted(_files(folder))


def find(folder: Path, name: str) -> Path:
    """The file of an experiment named as ``target/fault``. Raises Unknown with the names there are."""
    known = _files(folder)
    if name not in known:
        raise Unknown(f"There is no experiment {name!r}; known are: {', '.join(sorted(known))}.")
    return known[name]


def _files(folder: Path) -> dict[str, Path]:
    """Every experiment by name; the folder ``lab`` holds the services that are broken, not experiments."""
    paths = (path for path in folder.glob("*/*.yaml") if path.parent.name != "lab")
    return {str(path.relative_to(folder).with_suffix("")): path for path in paths}


def load(path: Path) -> tuple[dict[str, Any], Expect]:
    """The experiment and what is expected of it. Raises Malformed for what is not allowed in one."""
    try:
        document = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise Malformed(f"{path} is not YAML: {error}") from error
    if not isinstance(document, dict):
        raise Malformed(f"{path} is not a Chaos Toolkit experiment.")
    hypothesis = document.get("steady-state-hypothesis") or {}
    if document.get("controls") or hypothesis.get("controls"):
        raise Malformed(f"{path}: controls are code that runs unguarded, and are not allowed.")
    if unknown := sorted(set(map(str, document)) - KEYS):
        # Chaos Toolkit runs probes that it finds in ``configuration``, and reads the environment for ``secrets``.
        known = ", ".join(sorted(KEYS))
        raise Malformed(f"{path}: {', '.join(unknown)} is not allowed in an experiment; known are: {known}.")
    for activity in _activities(document):
        _check(path, activity)
    return document, _expect(path, document)


def _expect(path: Path, document: Mapping[str, Any]) -> Expect:
    ours = [item for item in document.get("extensions", ()) if item.get("name") == EXTENSION]
    if len(ours) != 1:
        raise Malformed(f"{path}: say what is expected, in one extension named {EXTENSION}.")
    try:
        return Expect.model_validate(ours[0])
    except ValidationError as error:
        raise Malformed(f"{path}: {complaint(error, 'extensions')}.") from error


def _activities(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for probe in (document.get("steady-state-hypothesis") or {}).get("probes", ()):
        yield probe
        if isinstance(tolerance := probe.get("tolerance"), Mapping) and tolerance.get("type") == "probe":
            yield tolerance  # a tolerance may be a probe, which Chaos Toolkit then runs
    yield from document.get("method", ())
    yield from document.get("rollbacks", ())


def _check(path: Path, activity: Mapping[str, Any]) -> None:
    """An experiment file is code: only our own functions may be called, no process, no HTTP, no foreign module."""
    provider = activity.get("provider", {})
    module, function = str(provider.get("module")), str(provider.get("func"))
    fault = (
        module.startswith(FAULTS) and module.removeprefix(FAULTS).isidentifier() and function in ("inject", "restore")
    )
    ours = fault or function in ALLOWED_FUNCTIONS.get(module, ())
    if provider.get("type") != "python" or not ours or activity.get("controls"):
        said = f"{provider.get('type')} {module}.{function}"
        raise Malformed(f"{path}: activity {activity.get('name')!r} calls {said}, which experiments may not call.")
