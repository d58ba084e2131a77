import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sre_platform.catalog.domain import Target
from sre_platform.kernel.errors import Malformed, Rejected
from sre_platform.remediation.controlling import Bounds, Knob, SettingsHandle, allowed, unmoved
from sre_platform.remediation.domain import Delta, Prepared, Seen, Traits, World

MAX_FACTOR = 10.0  # whatever the bounds are: more than tenfold in one step is a mistake, not a repair


class AdjustSetting:
    """Sets a numeric setting of a service, by a factor or to a value, within the platform's and its own bounds."""

    name = "adjust_setting"
    traits = Traits()
    handles = (SettingsHandle,)

    class Params(BaseModel):
        """``setting`` and either ``factor`` or ``value``. ``only_from``: leave it alone unless it has this value."""

        model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
        setting: str = Field("", max_length=100)
        factor: float | None = Field(None, gt=0, le=MAX_FACTOR)
        value: int | float | None = None
        only_from: int | float | None = None

        @model_validator(mode="after")
        def _not_both(self) -> "AdjustSetting.Params":
            if self.factor is not None and self.value is not None:
                raise ValueError("name a factor or a value, not both")
            return self

    def prepare(self, target: Target, params: Params, world: World) -> Prepared:  # noqa: ARG002
        """Read the setting and its bounds. Raises Rejected at a bound, outside the bounds, or for no change."""
        handle = target.held_by(SettingsHandle)
        allowed("setting", params.setting, handle.settings)
        knob = _knob(handle, params.setting)
        document = knob.read()
        present = _number(document.content.get("value"), "value", knob)
        low, high = _bounds(document.content, handle.settings[params.setting], knob)
        wanted = _wanted(params, present, low, high)
        moves = params.only_from is None or unmoved(params.setting, present, wanted, params.only_from)
        unit = str(document.content.get("unit", ""))[:30]
        return Prepared(
            says=f"Set {params.setting} of {target.service} from {present} to {wanted} {unit}".rstrip()
            + f" (it may be {low} to {high})",
            aim={"setting": params.setting, "value": wanted, "before": present},
            undo={"setting": params.setting, "value": present, "only_from": wanted},
            effects=[knob.effect({"value": wanted})] if moves else [],
            diff=[Delta(params.setting, present, wanted)] if moves else [],
        )

    def apply(self, target: Target, aim: Mapping[str, Any], world: World, confirm: Callable[[], None]) -> str:  # noqa: ARG002
        knob = _knob(target.held_by(SettingsHandle), aim["setting"])
        done = knob.put({"value": aim["value"]}, confirm, aim["before"])
        return f"{aim['setting']} of {target.service} {done}: {aim['value']}, before {aim['before']}"

    def look(self, target: Target, aim: Mapping[str, Any], world: World) -> Seen:  # noqa: ARG002
        return _knob(target.held_by(SettingsHandle), aim["setting"]).look(aim["value"])


def _knob(handle: SettingsHandle, name: str) -> Knob:
    return Knob(handle.control(), "settings", name, "value")


def _number(value: Any, what: str, knob: Knob) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise Malformed(f"The {what} of {knob.name} at {knob.control.url} is not a number: {str(value)[:100]}.")
    return value


def _bounds(content: Mapping[str, Any], own: Bounds, knob: Knob) -> tuple[int | float, int | float]:
    """The tighter one of the platform's bounds and the service's own, on each side."""
    low = max(own.min, _number(content.get("min", own.min), "min", knob))
    high = min(own.max, _number(content.get("max", own.max), "max", knob))
    if low > high:
        raise Rejected(f"The platform's bounds of {knob.name} and the service's have no value in common.")
    return _plain(low), _plain(high)


def _plain(value: int | float) -> int | float:
    return int(value) if float(value).is_integer() else value


def _wanted(params: AdjustSetting.Params, present: int | float, low: int | float, high: int | float) -> int | float:
    name = params.setting
    if not low <= present <= high:
        raise Rejected(f"{name} is {present}, which is outside {low} to {high} already: people have to look at it.")
    if params.value is not None:
        return _exactly(params, present, low, high)
    if params.factor is None or params.factor == 1:
        raise Rejected(f"Say by which factor, or to which value, {name} is to be set.")
    wanted = _scaled(present, params.factor, low, high)
    if wanted == present:
        raise Rejected(f"{name} is {present} and cannot be {'enlarged' if params.factor > 1 else 'lowered'} any more.")
    return wanted


def _exactly(params: AdjustSetting.Params, present: int | float, low: int | float, high: int | float) -> int | float:
    wanted = params.value if params.value is not None else present
    if not low <= wanted <= high:
        raise Rejected(f"{params.setting} may be {low} to {high}, so it is not set to {wanted}.")
    if wanted == present and params.only_from is None:
        raise Rejected(f"{params.setting} is {present} already.")
    return wanted


def _scaled(present: int | float, factor: float, low: int | float, high: int | float) -> int | float:
    """``present`` times ``factor`` within the bounds; a whole number stays one and moves, so it is rounded away."""
    if isinstance(present, float) and not present.is_integer():
        return min(max(present * factor, low), high)
    exact = Fraction(str(factor)) * int(present)  # 10 * 1.1 is 11, not 11.000000000000002
    wanted = math.ceil(exact) if exact > present else math.floor(exact)
    return min(max(wanted, math.ceil(low)), math.floor(high))
