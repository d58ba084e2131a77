import re
from time import monotonic, sleep
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sre_platform.catalog.domain import Target
from sre_platform.clients import http
from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.investigate import Scene
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Malformed, SreError, Unavailable

# Above this many goroutines a full dump stalls the service for more than 0.2 s (measured with Go 1.27: 10,000 cost
# 0.1-0.3 s, 100,000 up to 4 s), and the aggregated form, which costs 15 ms, has to do.
FULL_DUMP_LIMIT = 20_000
MAX_BYTES = 64 * 1024 * 1024
_TOTAL = re.compile(r"^goroutine profile: total (\d+)")


class GoGoroutines:
    """Two goroutine dumps some seconds apart and, where the Go runtime has it, the goroutine leak profile."""

    name = "go_goroutines"

    class Params(BaseModel):
        model_config = ConfigDict(extra="forbid")
        seconds_apart: float = Field(1.0, gt=0, le=5)

    def collect(self, target: Target, scene: Scene, params: Params) -> Evidence:  # noqa: ARG002
        """Count first. The plain dumps come before the leak profile, which marks goroutines and drops their minutes."""
        if not target.pprof_url:
            raise Unavailable(f"The catalog names no pprof_url for {target.service}.")
        summary = _fetch(target, "goroutine?debug=1")
        full = _total(summary) <= FULL_DUMP_LIMIT
        earlier = _fetch(target, "goroutine?debug=2") if full else summary
        taken = monotonic()
        sleep(params.seconds_apart)
        later = _fetch(target, f"goroutine?debug={2 if full else 1}")
        apart = monotonic() - taken
        texts = {"earlier": earlier, "goroutine": later}
        data: dict[str, Any] = {"seconds_apart": round(apart, 2), "full": full, "first_count": _total(summary)}
        try:
            texts["goroutineleak"] = _fetch(target, "goroutineleak?debug=1")
        except SreError as error:
            data["no_leak_profile"] = str(error)
        return Evidence(self.name, target.service, now(), data, texts)


def _fetch(target: Target, profile: str) -> str:
    url = f"{target.pprof_url.rstrip('/')}/{profile}"
    return http.request("GET", url, timeout=(1.0, 4.0), deadline_s=5.0, max_bytes=MAX_BYTES).text


def _total(summary: str) -> int:
    match = _TOTAL.match(summary)
    if not match:
        raise Malformed("The answer is not a goroutine profile: it does not begin with its total.")
    return int(match[1])
