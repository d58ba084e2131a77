from time import monotonic
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sre_platform.catalog.domain import Target
from sre_platform.clients import http
from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.investigate import Scene
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Unavailable

ANSWER_BYTES = 64 * 1024
SHOWN_CHARACTERS = 200


class Health:
    """Asks the service's health endpoint a few times: what it answers, or that it does not."""

    name = "health"

    class Params(BaseModel):
        model_config = ConfigDict(extra="forbid")
        tries: int = Field(2, ge=1, le=5)
        timeout_s: float = Field(0.75, gt=0, le=5)

    def collect(self, target: Target, scene: Scene, params: Params) -> Evidence:  # noqa: ARG002
        if not target.health_url:
            raise Unavailable(f"The catalog names no health_url for {target.service}.")
        probes = [_probe(target.health_url, params.timeout_s) for _ in range(params.tries)]
        asked = (f"GET {http.shown(target.health_url)}",) * params.tries
        return Evidence(self.name, target.service, now(), {"probes": probes}, asked=asked)


def _probe(url: str, timeout_s: float) -> dict[str, Any]:
    """One look: ``ok`` is False for an answer that is not 2xx and for none; ``status`` is None for none."""
    started = monotonic()
    try:
        answer = http.request(
            "GET",
            url,
            timeout=(timeout_s, timeout_s),
            deadline_s=timeout_s,
            max_bytes=ANSWER_BYTES,
            raise_for_status=False,
        )
    except Unavailable as error:
        return {"ok": False, "status": None, "said": str(error)[:SHOWN_CHARACTERS], "ms": _ms(started)}
    said = answer.text.strip()[:SHOWN_CHARACTERS]
    return {"ok": 200 <= answer.status < 300, "status": answer.status, "said": said, "ms": _ms(started)}


def _ms(started: float) -> int:
    return round((monotonic() - started) * 1000)
