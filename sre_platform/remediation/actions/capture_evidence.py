from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from sre_platform.catalog.domain import Target
from sre_platform.diagnosis.investigate import COLLECTORS
from sre_platform.kernel.errors import Lost, SreError
from sre_platform.playbook.schema import Call
from sre_platform.remediation.domain import Prepared, Seen, Traits, World

MAX_COLLECTORS = 10
# What a restart destroys of a Go service, and the lines that led to it.
USUAL = (Call(name="go_goroutines"), Call(name="go_profiles"), Call(name="log_templates"))


class CaptureEvidence:
    """Looks at a service and keeps what was seen with the incident, before something else destroys it. Best effort."""

    name = "capture_evidence"
    traits = Traits(captures=True)

    class Params(BaseModel):
        """``collect``: collectors as a playbook's ``collect`` names them."""

        model_config = ConfigDict(extra="forbid")
        collect: Sequence[Call] = Field(USUAL, min_length=1, max_length=MAX_COLLECTORS)

        @field_validator("collect")
        @classmethod
        def _known(cls, calls: Sequence[Call]) -> Sequence[Call]:
            """Raises Unknown for a collector that is none, and ValueError for parameters that it does not take."""
            for call in calls:
                COLLECTORS.get(call.name).Params(**call.params)
            return calls

    def prepare(self, target: Target, params: Params, world: World) -> Prepared:  # noqa: ARG002
        """Says what would be looked at; nothing is."""
        names = ", ".join(call.name for call in params.collect)
        return Prepared(
            says=f"Capture evidence of {target.service} ({names})",
            aim={"collect": [{"name": call.name, "params": dict(call.params)} for call in params.collect]},
            undo=None,
            irreversible="it only looks, so there is nothing to take back",
        )

    def apply(self, target: Target, aim: Mapping[str, Any], world: World, confirm: Callable[[], None]) -> str:
        """Look, and say what was kept. What cannot be seen is no failure: a hung process must not block its repair."""
        calls = [Call(**call) for call in aim["collect"]]
        confirm()
        try:
            return world.capture(target, calls).rstrip(".")
        except Lost:
            raise
        except SreError as error:
            return f"nothing at all could be captured: {str(error).rstrip('.')}"

    def look(self, target: Target, aim: Mapping[str, Any], world: World) -> Seen:  # noqa: ARG002
        """Not done, until the step itself says that it was: to look once more changes nothing in the world."""
        return Seen.NOT_DONE
