"""A playbook as written in YAML: its blocks follow the line. Unknown keys are errors that name the nearest one."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from sre_platform.kernel.errors import Malformed
from sre_platform.kernel.sli import Sli
from sre_platform.playbook.reading import read_yaml

LONGEST_S = 24 * 3600.0  # of any wait that a playbook may ask for


class Block(BaseModel):
    """Every block is frozen and refuses what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _name_the_nearest(cls, data: Any) -> Any:
        for key in data if isinstance(data, Mapping) else ():
            if key not in cls.model_fields:
                near = get_close_matches(str(key), cls.model_fields, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(cls.model_fields)}."
                said = f"unknown key {key!r}: {hint}"
                raise PydanticCustomError("unknown_key", "{said}", {"said": said, "key": key})
        return data


class Call(Block):
    """A plugin and its parameters, written ``name: {param: value}``. ``first`` are calls that come before it."""

    name: str
    params: Mapping[str, Any] = Field(default_factory=dict)
    first: Sequence["Call"] = Field((), max_length=5)

    @model_validator(mode="before")
    @classmethod
    def _from_single_key(cls, data: Any) -> Any:
        if isinstance(data, str):
            return {"name": data}
        if not isinstance(data, Mapping) or "name" in data:
            return data
        before = {"first": data["first"]} if "first" in data else {}
        if len(data) - len(before) != 1:
            return data
        [(name, params)] = ((key, value) for key, value in data.items() if key != "first")
        return {"name": name, "params": {} if params is None else params, **before}


class Match(Block):
    """Which alerts this playbook is for; both are shell-style patterns."""

    alerts: Sequence[str] = Field(min_length=1)
    services: Sequence[str] = ("*",)


class Diagnose(Block):
    """Which rules may name the cause, and how sure they have to be (0..1)."""

    rules: Sequence[str] = Field(min_length=1)
    min_confidence: float = Field(0.7, ge=0, le=1)


class Criterion(Block):
    """A measured value against a threshold. ``{service}`` in a label stands for the service that was repaired."""

    name: str
    sli: Sli
    op: Literal["<", "<=", ">", ">="]
    threshold: float


class Verify(Block):
    """How recovery is measured; the words are Argo Rollouts'. Times in seconds, limits in samples.

    ``count`` consecutive good samples mean fixed; more than ``failure_limit`` bad ones, not fixed; more than
    ``inconclusive_limit`` that could not be told, or ``consecutive_error_limit`` in a row in which nothing at all could
    be measured, unverified. For ``watch_s`` after it was fixed a sample is taken every ``watch_interval_s``: ``count``
    bad ones in a row are a relapse. 0 watches nothing.
    """

    initial_delay_s: float = Field(1.0, ge=0, le=LONGEST_S)
    interval_s: float = Field(1.0, gt=0, le=LONGEST_S)
    count: int = Field(3, ge=1)
    failure_limit: int = Field(20, ge=0)
    inconclusive_limit: int = Field(10, ge=0)
    consecutive_error_limit: int = Field(4, ge=0)
    watch_s: float = Field(300.0, ge=0, le=LONGEST_S)
    watch_interval_s: float = Field(5.0, gt=0, le=LONGEST_S)
    criteria: Sequence[Criterion] = ()


class TicketBlock(Block):
    """Who is told, besides the systems that the installation names."""

    labels: Sequence[str] = ()


class Playbook(Block):
    """One failure: how it is recognised, proven, repaired and checked. ``proof`` names experiments that prove it."""

    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100)
    summary: str
    match: Match
    collect: Sequence[Call] = Field(min_length=1)
    diagnose: Diagnose
    remediate: Sequence[Call] = Field(min_length=1)
    verify: Verify = Verify()
    ticket: TicketBlock = TicketBlock()
    proof: Sequence[str] = ()

    @field_validator("summary")
    @classmethod
    def _not_empty(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("say in one line which failure this heals")
        return text.strip()

    def wants(self, alertname: str, service: str) -> bool:
        """Whether this playbook is for an alert of this name on this service."""
        return any(fnmatchcase(alertname, p) for p in self.match.alerts) and any(
            fnmatchcase(service, p) for p in self.match.services
        )


def parse_playbook(text: str, source: str = "playbook") -> Playbook:
    """Read one playbook. Raises Malformed with ``source``, the line, the place in the document and what is wrong."""
    document, node = read_yaml(text, source)
    try:
        return Playbook.model_validate(document)
    except ValidationError as error:
        raise Malformed("; ".join(_explain(source, node, item) for item in error.errors())) from error


def _explain(source: str, node: yaml.Node | None, error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"]) or "the document"
    message = error["msg"].removeprefix("Value error, ")
    key = [error["ctx"]["key"]] if error["type"] == "unknown_key" else []
    return f"{source}:{_line(node, [*error['loc'], *key])}: {where}: {message}"


def _line(node: yaml.Node | None, path: Sequence[str | int]) -> int:
    """The line (from 1) of the deepest part of ``path`` that the document has."""
    line = node.start_mark.line + 1 if node else 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            key, node = next((pair for pair in node.value if pair[0].value == str(part)), (None, None))
            line = key.start_mark.line + 1 if key else line
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line
