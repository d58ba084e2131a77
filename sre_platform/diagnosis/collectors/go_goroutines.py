from time import monotonic
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sre_platform.catalog.domain import Target
from sre_platform.clients import http, pprof
from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.investigate import Scene
from sre_platform.diagnosis.parsers.goroutines import parse
from sre_platform.diagnosis.replicas import counted
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import SreError, TooLarge, Unavailable

# What looking costs the service that is looked at, measured with Go 1.27 on 2 cores (took / stood still for):
#   debug=2        10,000 goroutines  0.3 s / 0.1-0.3 s      100,000  5 s / 4 s
#   debug=1       100,000 goroutines  0.6 s / 15 ms          470,000  0.9 s / 8 ms
#   protobuf      100,000 goroutines  0.3 s / 7 ms           470,000  1.0 s / 30 ms
#   goroutineleak 100,000 goroutines  0.8 s / 50 ms          470,000  2.2 s / 0.1 s
# It may not stand still for more than 50 ms at 100,000 (`make bench ONLY=looking` measures it): a full dump is for few.
# For more there is protobuf, which costs least and still tells what is waited for, which debug=1 does not. Without the
# leak profile a slow leak among very many could not be told from traffic, so it is asked for as far as it was measured.
FULL_DUMP_LIMIT = 20_000
LEAK_PROFILE_LIMIT = 500_000
MAX_BYTES = 64 * 1024 * 1024
COUNT_S, DUMP_S = 1.0, 5.0
SHORTEST_PAUSE_S = 0.05  # for the service to go on between two dumps
METRICS_BYTES = 4 * 1024 * 1024


class GoGoroutines:
    """Two goroutine dumps some seconds apart and, where the Go runtime has it, the goroutine leak profile."""

    name = "go_goroutines"
    per_replica = heavy = True

    class Params(BaseModel):
        model_config = ConfigDict(extra="forbid")
        seconds_apart: float = Field(1.0, gt=0, le=5)
        leak_profile_at_any_size: bool = False

    def collect(self, target: Target, scene: Scene, params: Params) -> Evidence:
        """Count first. The plain dumps come before the leak profile, which marks goroutines and drops their minutes."""
        look = _Look(target, scene)
        count, counted_in = look.count()
        taken = monotonic()  # a dump shows the moment in which it was asked for
        earlier = look.full() if count <= FULL_DUMP_LIMIT else None
        profiles = {} if earlier else {"earlier": counted_in or look.dump("goroutine")}
        scene.pause(max(SHORTEST_PAUSE_S, params.seconds_apart - (monotonic() - taken)))
        apart = monotonic() - taken
        later = look.full() if earlier else None
        profiles |= {} if later else {"goroutine": look.dump("goroutine")}
        dumps = {"earlier": earlier, "goroutine": later}
        texts = {name: dump.decode(errors="replace") for name, dump in dumps.items() if dump}
        data: dict[str, Any] = {"seconds_apart": round(apart, 2), "full": not profiles, "first_count": count}
        try:
            if count > LEAK_PROFILE_LIMIT and not params.leak_profile_at_any_size:
                raise Unavailable(f"It was not asked for: of {count} goroutines it would hold the service up.")
            texts["goroutineleak"] = look.dump("goroutineleak?debug=1").decode(errors="replace")
        except SreError as error:
            data["no_leak_profile"] = str(error)
        return Evidence(self.name, target.service, now(), data, texts, profiles=profiles, asked=tuple(look.asked))


class _Look:
    """The requests to one process, and what was asked for."""

    def __init__(self, target: Target, scene: Scene) -> None:
        if not target.pprof_url:
            raise Unavailable(f"The catalog names no pprof_url for {target.label}.")
        self.target, self.scene = target, scene
        self.door = pprof.Door(target.pprof_url, *target.pprof_env)
        self.asked: list[str] = []

    def count(self) -> tuple[int, bytes | None]:
        """How many goroutines there are: from its metrics, which cost nothing, else with the profile that told."""
        if (known := self._gauge()) is not None:
            return known, None
        profile = self.dump("goroutine")
        return parse(profile).total, profile

    def _gauge(self) -> int | None:
        if not self.target.metrics_url:
            return None
        self.asked.append(f"GET {http.shown(self.target.metrics_url)}")
        left = self.scene.left_s(COUNT_S)
        try:
            page = http.request(
                "GET", self.target.metrics_url, timeout=(left, left), deadline_s=left, max_bytes=METRICS_BYTES
            )
        except SreError:
            return None
        value = counted(page.body)
        return int(value) if value is not None and value < 1e9 else None

    def full(self) -> bytes | None:
        """Every goroutine by itself; None when few have stacks that are too deep together for the bound."""
        try:
            return self.dump("goroutine?debug=2")
        except TooLarge:
            return None

    def dump(self, profile: str) -> bytes:
        self.asked.append(self.door.shown(profile))
        return self.door.fetch(profile, deadline_s=self.scene.left_s(DUMP_S), max_bytes=MAX_BYTES)
