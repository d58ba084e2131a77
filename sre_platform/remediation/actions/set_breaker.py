from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sre_platform.catalog.domain import Target
from sre_platform.kernel.errors import Malformed, Rejected
from sre_platform.remediation.controlling import BreakersHandle, Knob, allowed
from sre_platform.remediation.domain import Delta, Prepared, Seen, Traits, World

OTHER = {"open": "closed", "closed": "open"}
STATES = (*OTHER, "half_open")  # in which it decides by itself
LONGEST_OPEN_S = 24 * 3600


class SetBreaker:
    """Opens or closes a circuit breaker of a service. Undone, it is put back, unless it left that state by itself."""

    name = "set_breaker"
    traits = Traits()
    handles = (BreakersHandle,)

    class Params(BaseModel):
        """``ttl_s``: after so many whole seconds it leaves the state by itself; 0 leaves that to the service.

        ``only_from``: leave it alone unless it is in this state, as an undo does.
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
        present = knob.read().content.get("state")
        if present not in STATES:
            raise Malformed(
                f"Breaker {params.breaker} of {target.service} is in no known state: {str(present)[:50]!r}."
            )
        if present == params.state and not params.only_from:
            raise Rejected(f"Breaker {params.breaker} of {target.service} is {present} already.")
        what = f"Breaker {params.breaker}"
        # An undo leaves one alone that has half-opened meanwhile: its time is over, and it decides by itself.
        moves = not params.only_from or present == params.only_from
        aim = {"breaker": params.breaker, "state": params.state, "ttl_s": params.ttl_s, "moves": moves}
        return Prepared(
            says=f"{'Open' if params.state == 'open' else 'Close'} the circuit breaker {params.breaker} "
            f"of {target.service} ({present} now)",
            aim=aim,
            undo={"breaker": params.breaker, "state": OTHER[params.state], "only_from": params.state},
            effects=[knob.effect(_body(aim))] if moves else [],
            diff=[Delta(what, present, params.state)] if moves else [],
        )

    def apply(self, target: Target, aim: Mapping[str, Any], world: World, confirm: Callable[[], None]) -> str:  # noqa: ARG002
        what = f"breaker {aim['breaker']} of {target.service}"
        if not aim["moves"]:
            return f"{what} had been left by itself, so it was not touched"
        done = _knob(target.held_by(BreakersHandle), aim["breaker"]).put(_body(aim), confirm)
        return f"{what} {done}: {aim['state']}"

    def look(self, target: Target, aim: Mapping[str, Any], world: World) -> Seen:  # noqa: ARG002
        knob = _knob(target.held_by(BreakersHandle), aim["breaker"])
        return knob.look(aim["state"]) if aim["moves"] else Seen.DONE


def _knob(handle: BreakersHandle, name: str) -> Knob:
    return Knob(handle.control(), "breakers", name, "state")


def _body(aim: Mapping[str, Any]) -> dict[str, Any]:
    return {"state": aim["state"]} | ({"ttl_s": aim["ttl_s"]} if aim["ttl_s"] else {})
