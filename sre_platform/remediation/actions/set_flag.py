from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sre_platform.catalog.domain import Target
from sre_platform.kernel.errors import Malformed, Rejected
from sre_platform.remediation.controlling import FlagsHandle, Knob, allowed, unmoved
from sre_platform.remediation.domain import Delta, Prepared, Seen, Traits, World


class SetFlag:
    """Switches a feature flag of a service off or on. Undone, it is as it was found."""

    name = "set_flag"
    traits = Traits()
    handles = (FlagsHandle,)

    class Params(BaseModel):
        """``only_from``: leave it alone unless it is so."""

        model_config = ConfigDict(extra="forbid")
        flag: str = Field("", max_length=100)
        enabled: bool = False
        only_from: bool | None = None

    def prepare(self, target: Target, params: Params, world: World) -> Prepared:  # noqa: ARG002
        handle = target.held_by(FlagsHandle)
        allowed("flag", params.flag, handle.names)
        knob = _knob(handle, params.flag)
        document = knob.read()
        present = document.content.get("enabled")
        if not isinstance(present, bool):
            raise Malformed(f"Flag {params.flag} of {target.service} is neither on nor off: {str(present)[:100]}.")
        if present is params.enabled and params.only_from is None:
            raise Rejected(f"Flag {params.flag} of {target.service} is {_word(present)} already.")
        what = f"Flag {params.flag}"
        moves = params.only_from is None or unmoved(what, present, params.enabled, params.only_from)
        return Prepared(
            says=f"Switch the flag {params.flag} of {target.service} {_word(params.enabled)} ({_word(present)} now)",
            aim={"flag": params.flag, "enabled": params.enabled, "before": present},
            undo={"flag": params.flag, "enabled": present, "only_from": params.enabled},
            effects=[knob.effect({"enabled": params.enabled})] if moves else [],
            diff=[Delta(what, present, params.enabled)] if moves else [],
        )

    def apply(self, target: Target, aim: Mapping[str, Any], world: World, confirm: Callable[[], None]) -> str:  # noqa: ARG002
        knob = _knob(target.held_by(FlagsHandle), aim["flag"])
        done = knob.put({"enabled": aim["enabled"]}, confirm, aim["before"])
        return f"flag {aim['flag']} of {target.service} {done}: {_word(aim['enabled'])}"

    def look(self, target: Target, aim: Mapping[str, Any], world: World) -> Seen:  # noqa: ARG002
        return _knob(target.held_by(FlagsHandle), aim["flag"]).look(aim["enabled"])


def _knob(handle: FlagsHandle, name: str) -> Knob:
    return Knob(handle.control(), "flags", name, "enabled")


def _word(enabled: bool) -> str:
    return "on" if enabled else "off"
