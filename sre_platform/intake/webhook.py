"""The webhook body that Alertmanager made known and others took over: one group of alerts. Pure."""

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sre_platform.intake.domain import AlertValue
from sre_platform.intake.reading import Moment, Texts, ended
from sre_platform.kernel.errors import Malformed

Status = Literal["firing", "resolved"]


class WireAlert(BaseModel):
    """One alert of the body; the names are the wire's."""

    model_config = ConfigDict(strict=True)
    status: Status
    labels: Texts = Field(min_length=1)
    annotations: Texts
    startsAt: Moment
    endsAt: Moment
    generatorURL: str
    fingerprint: str = Field(min_length=1, max_length=64)

    def value(self, annotations: Mapping[str, str] | None = None) -> AlertValue:
        """The alert, with its own annotations unless others are given."""
        return AlertValue(
            fingerprint=self.fingerprint,
            status=self.status,
            labels=self.labels,
            annotations=self.annotations if annotations is None else annotations,
            starts_at=self.startsAt,
            ends_at=ended(self.endsAt),
            generator_url=self.generatorURL,
        )


def refuse_version(document: Mapping[str, Any], wanted: str, whose: str) -> None:
    """Raises Malformed when the body does not say it is of the version ``wanted``."""
    if document.get("version") != wanted:
        given = json.dumps(document.get("version"))[:40]
        raise Malformed(f'The body\'s version is {given}; this endpoint takes {whose} webhook version "{wanted}".')
