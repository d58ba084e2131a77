"""Files of recorded webhooks, for a replay: JSON lines, or one webhook body as it came."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from django.db import DatabaseError
from pydantic import BaseModel, ConfigDict, ValidationError

from sre_platform.catalog.domain import Target, Topology
from sre_platform.catalog.models import Service, dependencies
from sre_platform.engine.syncing import read_catalog, unsaved
from sre_platform.incidents import quieting
from sre_platform.incidents.models import InhibitionRule, MaintenanceWindow
from sre_platform.incidents.quiet import Quiet
from sre_platform.intake.domain import UNDATED, AlertValue
from sre_platform.intake.reading import Moment, read_json, sentence
from sre_platform.intake.receive import SOURCES
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Malformed, SreError

STDIN = "-"


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid")
    received_at: Moment
    source: str = "alertmanager"
    body: Any
    mapping: dict[str, Any] = {}


@dataclass(frozen=True)
class Recorded:
    """A webhook that was recorded, read."""

    received_at: datetime
    alerts: tuple[AlertValue, ...]


@dataclass
class Recordings:
    """What several files hold, in order of arrival, and a sentence (``file:line: why``) for what is no webhook."""

    webhooks: list[Recorded] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def read_files(names: Iterable[str], source: str = "alertmanager") -> Recordings:
    """Read all that can be read. ``source`` is the format of a file that is one webhook body."""
    found = Recordings()
    for name in names:
        try:
            text = _bytes(name)
        except OSError as error:
            found.refused.append(f"{name}: {error.strerror or error}")
            continue
        for where, given, read in _parts(name, text, source):
            try:
                found.webhooks.append(read(given))
            except SreError as error:
                found.refused.append(f"{where}: {error}")
    found.webhooks.sort(key=lambda one: one.received_at)
    return found


def _bytes(name: str) -> bytes:
    if name == STDIN:
        return sys.stdin.buffer.read()
    with open(name, "rb") as file:
        return file.read()


def _parts(name: str, text: bytes, source: str) -> Iterator[tuple[str, bytes, Callable[[bytes], Recorded]]]:
    """The file itself when it is one JSON document that is no line of a recording, else its lines."""
    try:
        document = read_json(text)
    except Malformed:
        document = None
    if isinstance(document, list) or (isinstance(document, dict) and "received_at" not in document):
        yield name, text, partial(_whole, source=source)
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield f"{name}:{number}", line, _line


def _line(text: bytes) -> Recorded:
    try:
        line = _Line.model_validate(read_json(text))
    except ValidationError as error:
        raise Malformed(sentence(error, "the line")) from error
    body = line.body if isinstance(line.body, str) else json.dumps(line.body)
    return Recorded(line.received_at, tuple(SOURCES.get(line.source).parse(body.encode(), line.mapping)))


def _whole(body: bytes, source: str) -> Recorded:
    """It does not say when it arrived: at the latest moment that it tells."""
    alerts = tuple(SOURCES.get(source).parse(body, {}))
    told = [moment for one in alerts for moment in (one.starts_at, one.ends_at) if moment and moment != UNDATED]
    return Recorded(max(told, default=now()), alerts)


def surroundings(catalog: Path | None) -> tuple[Topology, Quiet, str]:
    """What depends on what, what keeps alerts quiet, and whence this is known. Raises Malformed.

    All of it from the catalog file when there is one (whose ${NAME} need no values here); else from the database, if
    that can be read.
    """
    if catalog:
        return *_from_file(catalog), catalog.name
    try:
        return dependencies(), quieting.load(UNDATED), "the database"
    except DatabaseError:
        return {}, Quiet(), "nowhere: there is no catalog file and no database"


def _from_file(path: Path) -> tuple[Topology, Quiet]:
    document = read_catalog(path, None)
    services = unsaved(path, Service, document.services)
    windows = unsaved(path, MaintenanceWindow, document.maintenance_windows)
    rules = unsaved(path, InhibitionRule, document.inhibition_rules)
    return {row.name: Target(row.name, depends_on=tuple(row.depends_on)) for row in services}, Quiet(
        windows=tuple(row.as_value() for row in windows if row.enabled),
        inhibitions=tuple(row.as_value() for row in rules if row.enabled),
    )
