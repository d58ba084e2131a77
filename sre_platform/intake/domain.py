"""Values of the intake: an alert as every source is translated into, and the sources' port."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol


@dataclass(frozen=True)
class AlertValue:
    """One alert of a delivery. ``fingerprint`` names its label set; with ``starts_at`` it names this occurrence."""

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
    """Turns the body of one kind of webhook into alerts. Raises Malformed with one sentence. Pure."""

    name: str

    def parse(self, body: bytes) -> Sequence[AlertValue]: ...
