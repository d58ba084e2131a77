"""Files into the database: playbooks, and a catalog file with services, rules, policies, limits and windows.

What a file says replaces the row of the same name; what no file names is left alone. A bad file changes nothing.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import models, transaction
from pydantic import BaseModel, ConfigDict
from pydantic import ValidationError as BadShape

from sre_platform.catalog.models import Service
from sre_platform.detection.models import AlertRule
from sre_platform.diagnosis.investigate import COLLECTORS, RULES
from sre_platform.engine import handles
from sre_platform.guardrails.models import ActionLimit, FreezeWindow, RemediationPolicy, read_plan
from sre_platform.incidents.models import InhibitionRule, MaintenanceWindow
from sre_platform.kernel.complaint import complaint
from sre_platform.kernel.errors import Malformed, Unknown
from sre_platform.kernel.registry import Registry
from sre_platform.playbook import library
from sre_platform.playbook.reading import read_yaml
from sre_platform.playbook.schema import Call, Playbook, parse_playbook
from sre_platform.remediation.steps import ACTIONS, not_first

ALWAYS_TOLD = (Service, AlertRule, RemediationPolicy)
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")


def problems(playbook: Playbook) -> Iterator[str]:
    """What in a playbook names no plugin, or gives a plugin parameters that it does not take."""
    yield from _unknown(RULES, [Call(name=name) for name in playbook.diagnose.rules])
    yield from _unknown(COLLECTORS, playbook.collect)
    yield from _ladder_problems(playbook.remediate)


def plan_problems(plan: Any) -> list[str]:
    """What in a policy's ladder names no action, gives one parameters that it does not take, or cannot come first."""
    return list(_ladder_problems(read_plan(plan)))


def _ladder_problems(calls: Sequence[Call]) -> Iterator[str]:
    yield from _unknown(ACTIONS, calls)
    for one in (one for call in calls for one in call.first if one.name in ACTIONS.names()):
        if why := not_first(one.name):
            yield f"{one.name} cannot come first: {why}, and no guard would be asked about it"


def _unknown(registry: Registry[Any], calls: Sequence[Call]) -> Iterator[str]:
    for call in calls:
        yield from _unknown(registry, call.first)
        try:
            plugin = registry.get(call.name)
            if params := getattr(plugin, "Params", None):
                params(**call.params)
        except Unknown as error:
            yield str(error)
        except BadShape as error:
            yield f"{call.name}: {complaint(error)}"


def sync_playbooks(folder: Path) -> tuple[list[str], list[str]]:
    """Put every playbook below ``folder`` in force; returns what changed and what was refused, a sentence each."""
    changed, refused = [], []
    seen: dict[str, str] = {}  # the file that each playbook of this run came from, by the playbook's name
    for path in sorted(folder.rglob("*.yaml")):
        source = str(path.relative_to(folder.parent))
        try:
            if said := _sync_playbook(_text(path, source), source, seen):
                changed.append(said)
        except Malformed as error:
            refused.append(f"{error} The last good version stays in force.")
    return changed, refused


def _text(path: Path, source: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(f"{source} is not UTF-8: byte {error.start} cannot be read.") from error


def _sync_playbook(text: str, source: str, seen: dict[str, str]) -> str:
    playbook = parse_playbook(text, source)
    if wrong := list(problems(playbook)):
        raise Malformed(f"{source}: {'; '.join(wrong)}")
    if seen.setdefault(playbook.name, source) != source:
        raise Malformed(f"{source}: {seen[playbook.name]} is called {playbook.name} already.")
    row, is_new = library.store(text, source)
    return f"{row} is in force, from {source}." if is_new else ""


class CatalogFile(BaseModel):
    """The lists of a catalog file; each entry holds the fields of its model."""

    model_config = ConfigDict(extra="forbid")
    services: list[dict[str, Any]] = []
    alert_rules: list[dict[str, Any]] = []
    policies: list[dict[str, Any]] = []
    maintenance_windows: list[dict[str, Any]] = []
    inhibition_rules: list[dict[str, Any]] = []
    limits: list[dict[str, Any]] = []
    freeze_windows: list[dict[str, Any]] = []


@transaction.atomic
def sync_catalog(path: Path, variables: Mapping[str, str] = os.environ) -> list[str]:
    """Write what a catalog file says, all of it or nothing; returns a sentence for each kind. Raises Malformed."""
    document = read_catalog(path, variables)
    for entry in document.services:
        handles.check(str(path), str(entry.get("name")), entry.get("handles"))
    kinds = [
        (Service, ("name",), document.services),
        (AlertRule, ("name", "service"), document.alert_rules),
        (RemediationPolicy, ("name",), document.policies),
        (MaintenanceWindow, ("name",), document.maintenance_windows),
        (InhibitionRule, ("name",), document.inhibition_rules),
        (ActionLimit, ("name",), document.limits),
        (FreezeWindow, ("name",), document.freeze_windows),
    ]
    asked = [kind for kind in kinds if kind[2] or kind[0] in ALWAYS_TOLD]
    return [_sync_rows(path, model, key, entries) for model, key, entries in asked]


def read_catalog(path: Path, variables: Mapping[str, str] | None) -> CatalogFile:
    """What a catalog file says; without ``variables`` its ${NAME} stay as they are. Raises Malformed."""
    content, _ = read_yaml(_text(path, str(path)), str(path))
    try:
        return CatalogFile.model_validate(content if variables is None else _expand(content, path, variables))
    except RecursionError as error:
        raise Malformed(f"{path} holds an alias that contains itself.") from error
    except BadShape as error:
        raise Malformed(f"{path} is not a catalog file: {complaint(error)}.") from error


def _expand(value: Any, path: Path, variables: Mapping[str, str]) -> Any:
    """A parsed document with every ``${NAME}`` in its texts filled in."""
    if isinstance(value, dict):
        return {key: _expand(item, path, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, path, variables) for item in value]
    return _VARIABLE.sub(lambda match: _variable(match[1], path, variables), value) if isinstance(value, str) else value


def _variable(name: str, path: Path, variables: Mapping[str, str]) -> str:
    if name not in variables:
        raise Malformed(f"{path} needs {name} in the environment.")
    return variables[name]


Row = TypeVar("Row", bound=models.Model)


def unsaved(path: Path, model: type[Row], entries: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The rows that a file's entries would be. Raises Malformed; addresses with ${NAME} in them are not looked at."""
    rows = []
    for entry in entries:
        _refuse_unknown(path, model, entry)
        row = model(**entry)
        with _told(path, row, entry):
            row.clean_fields(exclude={name for name, value in entry.items() if _VARIABLE.search(str(value))})
            row.clean()
        rows.append(row)
    return rows


def _sync_rows(path: Path, model: type[models.Model], key: Sequence[str], entries: Sequence[Mapping[str, Any]]) -> str:
    changed = 0
    for entry in entries:
        _refuse_unknown(path, model, entry)
        row = model._default_manager.filter(**{name: entry.get(name) for name in key}).first() or model()
        changed += _write(path, row, entry)
    return f"{len(entries)} {model._meta.verbose_name_plural} from {path.name}, {changed} of them changed."


def _refuse_unknown(path: Path, model: type[models.Model], entry: Mapping[str, Any]) -> None:
    known = {field.name for field in model._meta.concrete_fields if not field.primary_key}
    if unknown := sorted(set(entry) - known):
        raise Malformed(f"{path}: {model._meta.verbose_name} has no {', '.join(unknown)}.")


def _write(path: Path, row: models.Model, entry: Mapping[str, Any]) -> bool:
    """Bring a row to what the file says; False when it is so already."""
    if row.pk and all(_is_so(row, name, value) for name, value in entry.items()):
        return False
    for name, value in entry.items():
        setattr(row, name, value)
    if isinstance(row, AlertRule) and row.pk:
        row.version += 1
    with _told(path, row, entry):
        row.full_clean()
    if isinstance(row, RemediationPolicy):
        row.changed_by = path.name
        if wrong := plan_problems(row.plan):
            raise Malformed(f"{path}: {row._meta.verbose_name} {row.name}: plan: {'; '.join(wrong)}")
    row.save()
    return True


@contextmanager
def _told(path: Path, row: models.Model, entry: Mapping[str, Any]) -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        raise Malformed(f"{path}: {row._meta.verbose_name} {entry.get('name')}: {error.messages[0]}") from error


def _is_so(row: models.Model, name: str, value: Any) -> bool:
    try:
        field: Any = row._meta.get_field(name)
        return bool(getattr(row, name) == field.to_python(value))
    except ValidationError:
        return False
