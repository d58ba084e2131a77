from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sre_platform.catalog.domain import Target
from sre_platform.kernel.errors import Rejected
from sre_platform.remediation.controlling import BreakersHandle, Knob, allowed, unmoved
from sre_platform.remediation.domain import Delta, Prepared, Seen, Traits, World

STATES = ("open", "closed")
LONGEST_OPEN_S = 24 * 3600


class SetBreaker:
    """Opens or closes a circuit breaker of a service. Undone, it is in the state in which it was found."""

    name = "set_breaker"
    traits = Traits()
    handles = (BreakersHandle,)

    class Params(BaseModel):
        """``ttl_s``: after so many whole seconds the service closes it by itself; 0 leaves that to the service.

        ``only_from``: leave it alone unless it is in this state.
        """

        model_config = ConfigDict(extra="forbid")
        breaker: str = Field("", max_length=100)
        state: Literal["open", "closed"] = "open"
        ttl_s: int = Field(0, ge=0, le=LONGEST_OPEN_S)
        only_from: Literal["", "open", "closed"] = ""

    def prepare(self, target: Target, params: Params, world: World) -> Prepared:  # noqa: ARG002
        handle = target.held_by(BreakersHandle)
        allowed("breaker", params.breaker, handle.names)
        knob = _knob(handle, params.breaker)
        document = knob.read()
        present = document.content.get("state")
        if present not in STATES:
            raise Rejected(f"Breaker {params.breaker} is {str(present)[:50]!r}: it is just deciding by itself.")
        if present == params.state and not params.only_from:
            raise Rejected(f"Breaker {params.breaker} of {target.service} is {present} already.")
        aim = {"breaker": params.breaker, "state": params.state, "ttl_s": params.ttl_s}
        what = f"Breaker {params.breaker}"
        moves = not params.only_from or unmoved(what, present, params.state, params.only_from)
        return Prepared(
            says=f"{'Open' if params.state == 'open' else 'Close'} the circuit breaker {params.breaker} "
            f"of {target.service} ({present} now)",
            aim=aim | {"before": present, "etag": document.etag},
            undo={"breaker": params.breaker, "state": present, "only_from": params.state},
            effects=[knob.effect(_body(aim))] if moves else [],
            diff=[Delta(what, present, params.state)] if moves else [],
        )

    def apply(self, target: Target, aim: Mapping[str, Any], world: World, confirm: Callable[[], None]) -> str:  # noqa: ARG002
        knob = _knob(target.held_by(BreakersHandle), aim["breaker"])
        done = knob.put(_body(aim), aim["etag"], confirm)
        return f"breaker {aim['breaker']} of {target.service} {done}: {aim['state']}, before {aim['before']}"

    def look(self, target: Target, aim: Mapping[str, Any], world: World) -> Seen:  # noqa: ARG002
        return _knob(target.held_by(BreakersHandle), aim["breaker"]).look(aim["state"])


def _knob(handle: BreakersHandle, name: str) -> Knob:
    return Knob(handle.control(), "breakers", name, "state")


def _body(aim: Mapping[str, Any]) -> dict[str, Any]:
    return {"state": aim["state"]} | ({"ttl_s": aim["ttl_s"]} if aim["ttl_s"] else {})
