"""Weights at a proxy, read and set through the catalog's handle for it."""

from math import isfinite
from typing import Protocol

from sre_platform.catalog.domain import Target
from sre_platform.catalog.routes import EnvoyRoute, NginxRoute
from sre_platform.clients.envoy import Envoy
from sre_platform.clients.nginx import Nginx
from sre_platform.clients.traffic import WHOLE, Weights
from sre_platform.kernel.errors import Malformed, Rejected
from sre_platform.remediation.domain import Effect


class Route(Protocol):
    """The two ways between which a proxy shares out a service's traffic."""

    def read(self) -> Weights: ...
    def set(self, weights: Weights) -> None: ...
    def effects(self, weights: Weights) -> list[Effect]: ...


class EnvoyWeights:
    """Weights as runtime keys of Envoy: one for each cluster, so that no snapshot holds half of a change."""

    def __init__(self, handle: EnvoyRoute) -> None:
        if not handle.admin_url:
            raise Rejected("The catalog names no admin port of an Envoy here, so there is no router.")
        self._handle, self._envoy = handle, Envoy(handle.admin_url)

    def read(self) -> Weights:
        """The shares that are in force, whoever set the keys; the configuration's 100 to 0 where no key is set.

        Without a weight the baseline gets nothing: then all is the canary's, also when nobody is served at all.
        """
        runtime = self._envoy.runtime()
        canary = _number(runtime.get(self._key(self._handle.canary), "0"))
        baseline = _number(runtime.get(self._key(self._handle.baseline), str(WHOLE)))
        labels = (_number(runtime.get(key, "0")) > 0 if key else False for key in self._labels())
        return Weights(_percent(canary, canary + baseline) if baseline else WHOLE, *labels)

    def set(self, weights: Weights) -> None:
        """Bring Envoy to ``weights``; the same again changes nothing. Raises Rejected for a label without a route."""
        self._envoy.set_runtime(self._values(weights))

    def effects(self, weights: Weights) -> list[Effect]:
        """The one call that ``set`` makes."""
        return [Effect("POST", f"{self._handle.admin_url.rstrip('/')}/runtime_modify", self._values(weights))]

    def _values(self, weights: Weights) -> dict[str, int]:
        values = {
            self._key(self._handle.baseline): WHOLE - weights.canary,
            self._key(self._handle.canary): weights.canary,
        }
        for label, key in zip((weights.header, weights.region), self._labels(), strict=True):
            if label and not key:
                raise Rejected("The catalog names no runtime key of Envoy for that label.")
            if key:
                values[key] = WHOLE * label
        return values

    def _labels(self) -> tuple[str, str]:
        return self._handle.header_key, self._handle.region_key

    def _key(self, cluster: str) -> str:
        return f"{self._handle.runtime_prefix}.{cluster}"


class NginxWeights:
    """Weights as an include file of nginx. It splits by percentage only, not by labels."""

    def __init__(self, handle: NginxRoute) -> None:
        self._handle = handle
        self._nginx = Nginx(
            handle.include,
            handle.variable,
            handle.baseline,
            handle.canary,
            handle.key,
            handle.test,
            handle.pid_file,
        )

    def read(self) -> Weights:
        return Weights(self._nginx.weight())

    def set(self, weights: Weights) -> None:
        """Bring nginx to ``weights``. What the file says already is loaded again: who wrote it may not have done so."""
        if weights.header or weights.region:
            raise Rejected("nginx splits by percentage only: a first step by header or region needs Envoy.")
        if self._nginx.weight() == weights.canary:
            self._nginx.reload()
        else:
            self._nginx.set_weight(weights.canary)

    def effects(self, weights: Weights) -> list[Effect]:
        """The file that ``set`` writes, and the signal that makes nginx load it."""
        written = Effect("write", self._handle.include, self._nginx.text(weights.canary))
        return [written, Effect("signal HUP", self._handle.pid_file)]


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise Malformed(f"A weight at the proxy is {text[:40]!r}, which is no number.") from None
    if not (isfinite(value) and value >= 0):
        raise Malformed(f"A weight at the proxy is {text[:40]}, which is no share of anything.")
    return value


def _percent(part: float, whole: float) -> int:
    """Rounded, but for 0 and 100: those mean nothing at all, and everything."""
    return min(max(round(WHOLE * part / whole), 1), WHOLE - 1) if part else 0


def route(target: Target) -> Route:
    """The proxy that the catalog names for a service. Raises Rejected when there is none."""
    if EnvoyRoute.handle in target.handles:
        return EnvoyWeights(target.held_by(EnvoyRoute))
    if NginxRoute.handle in target.handles:
        return NginxWeights(target.held_by(NginxRoute))
    raise Rejected(f"The catalog names no proxy that weighs the traffic of {target.service}.")
