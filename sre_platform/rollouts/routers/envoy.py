from sre_platform.catalog.domain import Target
from sre_platform.catalog.routes import CanaryProcess, EnvoyRoute
from sre_platform.clients.envoy import Envoy
from sre_platform.clients.traffic import Observed, Weights
from sre_platform.remediation.traffic import EnvoyWeights


class EnvoyRouter:
    """Weighs two clusters of an Envoy by runtime keys through its admin port, and reads their statistics there."""

    name = "envoy"
    Handle = EnvoyRoute
    handles = (EnvoyRoute, CanaryProcess)

    def read(self, target: Target) -> Weights:
        return EnvoyWeights(target.held_by(EnvoyRoute)).read()

    def set(self, target: Target, weights: Weights) -> None:
        EnvoyWeights(target.held_by(EnvoyRoute)).set(weights)

    def observe(self, target: Target) -> Observed:
        handle = target.held_by(EnvoyRoute)
        return Observed(*Envoy(handle.admin_url).counts([handle.baseline, handle.canary]))
