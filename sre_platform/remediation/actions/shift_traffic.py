from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sre_platform.catalog.domain import Target
from sre_platform.catalog.routes import EnvoyRoute, NginxRoute
from sre_platform.clients.traffic import WHOLE, Weights
from sre_platform.kernel.errors import Rejected
from sre_platform.remediation.domain import Delta, Prepared, Seen, Traits, World
from sre_platform.remediation.traffic import route


class ShiftTraffic:
    """Shares out a service's traffic between its baseline and its canary: all of it to the baseline unless told."""

    name = "shift_traffic"
    traits = Traits()
    handles = (EnvoyRoute, NginxRoute)

    class Params(BaseModel):
        """``baseline``: its percentage of all traffic. ``header``, ``region``: labelled requests get the canary.

        ``only_from``, for the undo: the weights that the step left, or it is refused.
        """

        model_config = ConfigDict(extra="forbid")
        baseline: int = Field(WHOLE, ge=0, le=WHOLE)
        header: bool = False
        region: bool = False
        only_from: Weights | None = None

    def prepare(self, target: Target, params: Params, world: World) -> Prepared:  # noqa: ARG002 the port's
        way = route(target)
        before, after = way.read(), Weights(WHOLE - params.baseline, params.header, params.region)
        if before == after and params.only_from is None:
            raise Rejected(f"{params.baseline} % of the traffic of {target.service} are the baseline's already.")
        if params.only_from not in (None, before) and before != after:
            raise Rejected(f"The traffic of {target.service} is not shared as it was left: somebody has changed it.")
        return Prepared(
            says=f"Give {params.baseline} % of the traffic of {target.service} to its baseline",
            aim=after.as_json(),
            undo=_params(before) | {"only_from": after.as_json()},
            effects=way.effects(after) if before != after else [],
            diff=[Delta("traffic", before.as_json(), after.as_json())] if before != after else [],
        )

    def apply(
        self,
        target: Target,
        aim: Mapping[str, Any],
        world: World,  # noqa: ARG002 the port's
        confirm: Callable[[], None],
    ) -> str:
        way, wanted = route(target), Weights(**aim)
        share = f"{WHOLE - wanted.canary} % of the traffic of {target.service}"
        if way.read() == wanted:
            return f"{share} had been given to the baseline already"
        confirm()
        way.set(wanted)
        return f"{share} go to the baseline"

    def look(self, target: Target, aim: Mapping[str, Any], world: World) -> Seen:  # noqa: ARG002 the port's
        return Seen.DONE if route(target).read() == Weights(**aim) else Seen.NOT_DONE


def _params(weights: Weights) -> dict[str, Any]:
    return {"baseline": WHOLE - weights.canary, "header": weights.header, "region": weights.region}
