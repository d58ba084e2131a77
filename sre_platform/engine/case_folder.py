"""A case as a folder: ``index.json`` and every raw document as a file, which people and ``go tool pprof`` can open."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sre_platform.catalog.domain import Target
from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.store import MAX_DOCUMENT_BYTES
from sre_platform.engine.rediagnosis import Case
from sre_platform.kernel.complaint import complaint
from sre_platform.kernel.errors import Malformed, Rejected, Unavailable
from sre_platform.kernel.storable import ordered

INDEX = "index.json"
FORMAT = 1
MAX_INDEX_BYTES = 16 * 1024 * 1024
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
_FILE_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$"  # in the folder itself, never above it


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    kind: Literal["text", "profile"]
    file: Annotated[str, Field(pattern=_FILE_NAME)]


class _Look(BaseModel):
    model_config = ConfigDict(extra="forbid")
    collector: str
    service: str
    replica: str = ""
    collected_at: datetime
    missing: str = ""
    asked: list[str] = []
    data: dict[str, Any] = {}
    documents: list[_Document] = []


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid")
    cause: str
    service: str


class _Stored(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rule: str
    playbook: str
    finding: dict[str, Any]


class _Index(BaseModel):
    model_config = ConfigDict(extra="forbid")
    format: Literal[1]
    incident: int
    round: int
    depends_on: dict[str, list[str]]
    playbooks: dict[str, str]
    evidence: list[_Look]
    findings: list[_Stored]


def write(case: Case, folder: Path) -> int:
    """Write a case into a new or empty folder; returns the number of documents. Raises Rejected, Unavailable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise Rejected(f"{folder} is not empty, and nothing is overwritten.")
        looks = [_write_look(number, seen, folder) for number, seen in enumerate(case.evidence, start=1)]
        index = {
            "format": FORMAT,
            "incident": case.incident,
            "round": case.round,
            "depends_on": {name: list(target.depends_on) for name, target in sorted(case.topology.items())},
            "playbooks": dict(case.playbooks),
            "evidence": looks,
            "findings": [dict(item) for item in case.stored],
        }
        (folder / INDEX).write_text(json.dumps(index, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise Unavailable(f"{folder} cannot be written: {error}.") from error
    return sum(len(look["documents"]) for look in looks)


def _write_look(number: int, seen: Evidence, folder: Path) -> dict[str, Any]:
    whose = "-".join(part for part in (seen.service, seen.replica, seen.collector) if part)
    documents = []
    for kind, contents in (("text", seen.texts), ("profile", seen.profiles)):
        for name in sorted(contents):
            content = contents[name]
            ending = "txt" if kind == "text" else "pb.gz"
            file = f"{number:03}-{_UNSAFE.sub('-', f'{whose}-{name}')[:150]}.{ending}"
            (folder / file).write_bytes(content.encode() if isinstance(content, str) else content)
            documents.append({"name": name, "kind": kind, "file": file})
    return {
        "collector": seen.collector,
        "service": seen.service,
        "replica": seen.replica,
        "collected_at": seen.collected_at.isoformat(),
        "missing": seen.missing,
        "asked": list(seen.asked),
        "data": seen.data,
        "documents": documents,
    }


def read(folder: Path) -> Case:
    """A case that ``write`` has left. Raises Unavailable when it cannot be read, Malformed when it is none."""
    text = _content(folder, INDEX, MAX_INDEX_BYTES)
    try:
        index = _Index.model_validate_json(text)
    except ValidationError as error:
        raise Malformed(f"{folder / INDEX} is no case: {complaint(error)}.") from error
    _check_findings(folder, index.findings)
    return Case(
        incident=index.incident,
        round=index.round,
        topology={name: Target(name, depends_on=tuple(needs)) for name, needs in index.depends_on.items()},
        playbooks=index.playbooks,
        evidence=[_read_look(look, folder) for look in index.evidence],
        stored=[item.model_dump() for item in index.findings],
    )


def _check_findings(folder: Path, findings: Sequence[_Stored]) -> None:
    for item in findings:
        try:
            _Said.model_validate({key: item.finding.get(key) for key in _Said.model_fields})
        except ValidationError as error:
            raise Malformed(f"{folder / INDEX} is no case: a finding names no cause or no service.") from error


def _read_look(look: _Look, folder: Path) -> Evidence:
    contents: Mapping[str, dict[str, bytes]] = {"text": {}, "profile": {}}
    for document in sorted(look.documents, key=lambda one: one.name):
        contents[document.kind][document.name] = _content(folder, document.file, MAX_DOCUMENT_BYTES)
    return Evidence(
        look.collector,
        look.service,
        look.collected_at,
        ordered(look.data),
        {name: content.decode(errors="replace") for name, content in contents["text"].items()},
        look.missing,
        contents["profile"],
        tuple(look.asked),
        look.replica,
    )


def _content(folder: Path, file: str, max_bytes: int) -> bytes:
    path = folder / file
    try:
        if path.is_symlink() or not path.is_file():
            raise Malformed(f"{path} is not a regular file.")
        with path.open("rb") as opened:
            content = opened.read(max_bytes + 1)
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error}.") from error
    if len(content) > max_bytes:
        raise Malformed(f"{path} has more than {max_bytes} bytes.")
    return content
