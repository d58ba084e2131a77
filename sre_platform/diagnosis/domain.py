"""Values of the diagnosis room: what was seen (Evidence), what it means (Finding) and in which order (rank)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

Kind = Literal["gc-proof", "lock-cycle", "growth", "signature", "state", "change", "probe"]


@dataclass(frozen=True)
class Site:
    """A place in source code. ``file`` is as the binary names it, ``line`` counts from 1."""

    function: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Evidence:
    """What one collector saw of one service. ``data`` is JSON-safe; ``texts`` are raw documents by name, for people.

    ``missing`` is the one sentence why nothing could be seen; then ``data`` is empty. Missing is not healthy.
    """

    collector: str
    service: str
    collected_at: datetime
    data: Mapping[str, Any] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    missing: str = ""


@dataclass(frozen=True)
class Finding:
    """A hypothesis with its reasons. ``confidence`` is 0..1 and follows the kind of evidence, not its amount."""

    cause: str
    family: str
    service: str
    confidence: float
    evidence: Kind
    because: Sequence[str]
    advice: Sequence[str] = ()
    state: str = ""
    site: Site | None = None
    created_by: Site | None = None
    count: int | None = None
    growth: int | None = None

    def as_json(self) -> dict[str, Any]:
        """A JSON-safe dict of all fields."""
        return asdict(self) | {"because": list(self.because), "advice": list(self.advice)}


class Rule(Protocol):
    """Reads the evidence about one service and says what it means, or nothing. Pure.

    ``evidence`` maps a collector's name to what it saw of this service.
    """

    name: str

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None: ...
