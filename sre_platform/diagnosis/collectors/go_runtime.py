from time import monotonic

from pydantic import BaseModel, ConfigDict, Field

from sre_platform.catalog.domain import Target
from sre_platform.clients import http
from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.investigate import Scene
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Unavailable

MAX_BYTES = 8 * 1024 * 1024
PAGE_S = 2.0
_ACCEPT = {"Accept": "text/plain;version=0.0.4"}


class GoRuntime:
    """The service's own page of metrics twice, some seconds apart: what the Go runtime tells about itself."""

    name = "go_runtime"
    per_replica = True

    class Params(BaseModel):
        model_config = ConfigDict(extra="forbid")
        seconds_apart: float = Field(1.0, gt=0, le=5)

    def collect(self, target: Target, scene: Scene, params: Params) -> Evidence:
        if not target.metrics_url:
            raise Unavailable(f"The catalog names no metrics_url for {target.label}.")
        earlier = _page(target.metrics_url, scene)
        taken = monotonic()
        scene.pause(params.seconds_apart)
        texts = {"earlier": earlier, "metrics": _page(target.metrics_url, scene)}
        data = {"seconds_apart": round(monotonic() - taken, 2)}
        asked = (f"GET {http.shown(target.metrics_url)}",) * 2
        return Evidence(self.name, target.service, now(), data, texts, asked=asked)


def _page(url: str, scene: Scene) -> str:
    left = scene.left_s(PAGE_S)
    return http.request("GET", url, headers=_ACCEPT, timeout=(left, left), deadline_s=left, max_bytes=MAX_BYTES).text
