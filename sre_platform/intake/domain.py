"""Values of the intake: an alert as every source is translated into, the sources' port, and who sends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

ANY_SOURCE = "*"
INTAKE, METRICS = "intake", "metrics"
UNDATED = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class AlertValue:
    """One alert of a delivery. ``fingerprint`` names its label set; with ``starts_at`` it names this occurrence.

    ``starts_at`` is UNDATED when the sender does not say it: a firing alert then belongs to the occurrence of its
    fingerprint that is open, or starts one at the moment it arrived; a resolved one ends the occurrence that is open.
    """

    fingerprint: str
    status: Literal["firing", "resolved"]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime | None
    generator_url: str

    @property
    def name(self) -> str:
        """The alert's name, at most 200 characters."""
        return self.labels.get("alertname", "unnamed")[:200]

    @property
    def service(self) -> str:
        """The service that it is about, or the empty string when it names none."""
        return self.labels.get("service", "")[:200]


class Source(Protocol):
    """Turns the body of one kind of webhook into alerts. Raises Malformed with one sentence. Pure.

    ``mapping`` is the sender's, as kept with its token; a source with a format of its own ignores it.
    """

    name: str

    def parse(self, body: bytes, mapping: Mapping[str, Any]) -> Sequence[AlertValue]: ...


@dataclass(frozen=True)
class Sender:
    """Who holds a valid token, and what it may do. ``hmac_secret_ref`` is empty when its bodies are not signed."""

    name: str
    source: str
    mapping: Mapping[str, Any]
    hmac_secret_ref: str
    hmac_header: str
    scope: str

    def may_send(self, source: str) -> bool:
        """Whether webhooks of ``source`` are taken from this sender."""
        return self.scope == INTAKE and self.source in (ANY_SOURCE, source)

    @property
    def may_read_metrics(self) -> bool:
        """Whether /metrics is shown to this sender."""
        return self.scope == METRICS
