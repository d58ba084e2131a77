"""Values of the diagnosis room: what was seen (Evidence), what it means (Finding) and in which order (rank)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

Kind = Literal[
    "gc-proof", "lock-cycle", "growth", "signature", "state", "change", "probe", "profile", "runtime", "host", "metrics"
]


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
    """What one collector saw of one service. Which names each collector uses: docs/decisions/0007.

    ``data`` is JSON-safe. ``texts`` and ``profiles`` are raw documents by name: what people read, and what is bytes
    (pprof protobuf as the service sent it, gzip or not). ``asked`` says what was asked for, one line a request.
    ``missing`` is the one sentence why nothing could be seen; then ``data`` is empty. Missing is not healthy.
    ``replica`` names the one that was looked at; it is empty for what is true of the service as a whole.
    """

    collector: str
    service: str
    collected_at: datetime
    data: Mapping[str, Any] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    missing: str = ""
    profiles: Mapping[str, bytes] = field(default_factory=dict)
    asked: Sequence[str] = ()
    replica: str = ""

    def document(self, name: str) -> str | bytes | None:
        """What was seen under this name, whichever form it has; None when there is nothing of it."""
        return None if self.missing else self.texts.get(name) or self.profiles.get(name)


@dataclass(frozen=True)
class Finding:
    """A hypothesis with its reasons. ``confidence`` is 0..1 and follows the kind of evidence, not its amount.

    ``because`` supports it, ``against`` speaks against it, ``would_decide`` says what to look at to be sure: whole
    sentences with the values seen. ``advice`` is for the owner of the code. ``site`` is the line to blame; when
    ``in_dump`` is False the guilty call is not on any stack, and ``created_by`` or ``site`` is the nearest place.
    """

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
    in_dump: bool = True
    against: Sequence[str] = ()
    would_decide: Sequence[str] = ()

    def as_json(self) -> dict[str, Any]:
        """A JSON-safe dict of all fields."""
        said = ("because", "against", "would_decide", "advice")
        return asdict(self) | {name: list(getattr(self, name)) for name in said}


@dataclass(frozen=True)
class Ranked:
    """A finding, the rule that made it and the digest of the playbook that answers it."""

    finding: Finding
    rule: str
    playbook: str


class Rule(Protocol):
    """Reads the evidence about one service and says what it means, or nothing. Pure.

    ``evidence`` maps a collector's name to what it saw of this service.
    """

    name: str

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None: ...
