from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sre_platform.catalog.domain import Target
from sre_platform.clients import pprof, releases
from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.investigate import Baseline, Scene
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import SreError, Unavailable

Kind = Literal["heap", "allocs", "mutex", "block", "threadcreate", "cpu"]
ALL: Sequence[Kind] = ("heap", "allocs", "mutex", "block", "threadcreate", "cpu")
TWICE: Sequence[Kind] = ("heap", "allocs", "mutex", "block")  # counted since the start: the difference tells
PROFILE_S = 3.0
MAX_BYTES = 32 * 1024 * 1024


class GoProfiles:
    """Heap, allocation, mutex, block and thread profiles, and what the CPU did between two looks at them."""

    name = "go_profiles"
    per_replica = heavy = closer = True

    class Params(BaseModel):
        model_config = ConfigDict(extra="forbid")
        kinds: list[Kind] = Field(default_factory=lambda: [*ALL], min_length=1)
        cpu_seconds: int = Field(2, ge=1, le=5)
        collect_garbage: bool = False  # before each heap profile, which else shows the heap as of the last collection

    def collect(self, target: Target, scene: Scene, params: Params) -> Evidence:
        """No collection is forced unless the playbook asks for it; a kind that is refused is left out, and why is said.

        A heap profile lies as far back as the last collection: seconds apart, two of a calm service are often one.
        """
        if not target.pprof_url:
            raise Unavailable(f"The catalog names no pprof_url for {target.label}.")
        look = _Look(target, scene)
        twice = [kind for kind in TWICE if kind in params.kinds]
        twice_asked = {kind: f"{kind}?gc=1" if kind == "heap" and params.collect_garbage else kind for kind in twice}
        for kind, profile in twice_asked.items():
            look.take(f"{kind}.earlier", profile)
        taken = monotonic()
        cpu_seconds = _between(look, scene, params)
        for kind, profile in twice_asked.items():
            look.take(kind, profile)
        if "threadcreate" in params.kinds:
            look.take("threadcreate", "threadcreate")
        if not look.profiles:
            raise Unavailable(f"No profile could be taken: {next(iter(look.refused.values()), 'none was asked for.')}")
        data: dict[str, Any] = {"cpu_seconds": cpu_seconds, "seconds_apart": round(monotonic() - taken, 2)}
        data |= {"refused": look.refused, "baseline": _compare(look, target, scene.baselines.get(target.service))}
        return Evidence(self.name, target.service, now(), data, profiles=look.profiles, asked=tuple(look.asked))


def _between(look: "_Look", scene: Scene, params: GoProfiles.Params) -> int:
    """Pass the time between the two looks with a CPU profile, which needs it; returns how long that one is."""
    if "cpu" not in params.kinds:
        look.guarded("cpu_seconds", lambda: scene.pause(params.cpu_seconds))
        return 0
    look.take("cpu", f"profile?seconds={params.cpu_seconds}", params.cpu_seconds)
    return params.cpu_seconds if "cpu" in look.profiles else 0


def _compare(look: "_Look", target: Target, baseline: Baseline | None) -> dict[str, str]:
    """Add the profiles of the release before, when another one runs now; returns which they are."""
    if baseline is None or releases.running(target.release_link) in ("", baseline.release):
        return {}
    look.profiles |= {f"{kind}.baseline": content for kind, content in baseline.profiles.items()}
    return {"release": baseline.release, "at": baseline.at.isoformat()}


class _Look:
    """The profiles of one process as far as they could be taken, and why not for each that could not."""

    def __init__(self, target: Target, scene: Scene) -> None:
        self.door = pprof.Door(target.pprof_url, *target.pprof_env)
        self.scene = scene
        self.profiles: dict[str, bytes] = {}
        self.refused: dict[str, str] = {}
        self.asked: list[str] = []

    def take(self, name: str, profile: str, seconds: int = 0) -> None:
        """Ask for one profile; one that takes ``seconds`` says nothing for so long."""
        kind = profile.partition("?")[0]
        if kind in self.refused:
            return
        self.asked.append(self.door.shown(profile))

        def fetch() -> None:
            deadline_s = self.scene.left_s(seconds + PROFILE_S)
            if deadline_s <= seconds:
                raise Unavailable(f"There was no time left for {seconds} s of it.")
            self.profiles[name] = self.door.fetch(
                profile, deadline_s=deadline_s, silence_s=seconds + PROFILE_S, max_bytes=MAX_BYTES
            )

        self.guarded("cpu" if kind == "profile" else kind, fetch)

    def guarded(self, kind: str, act: Callable[[], None]) -> None:
        try:
            act()
        except SreError as error:
            self.refused[kind] = str(error)
