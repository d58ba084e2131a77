"""By what a service's canary is held: the proxy that weighs its traffic, and the process that runs it."""

from typing import Annotated, ClassVar, Literal

from django.core.exceptions import ValidationError
from pydantic import AfterValidator, Field

from sre_platform.catalog.addresses import check_address
from sre_platform.catalog.domain import Handle
from sre_platform.playbook.schema import Block

MOST_SATURATION = 10
_NAME = r"^[A-Za-z0-9_.:-]+$"


def _address(url: str) -> str:
    try:
        if url:
            check_address(url)
    except ValidationError as error:
        raise ValueError(error.messages[0]) from error
    return url


Address = Annotated[str, AfterValidator(_address)]
Absolute = Annotated[str, Field(pattern=r"^/", max_length=500)]


class EnvoyRoute(Handle):
    """An Envoy between a service and its callers: its admin port, two clusters, and the runtime keys of its routes.

    ``runtime_prefix`` is the route's ``runtime_key_prefix``; ``header_key`` and ``region_key`` are the keys of the
    routes that send labelled requests to the canary (empty: there are none). Without ``admin_url`` there is no Envoy.
    """

    handle: ClassVar[str] = "envoy"
    admin_url: Address = ""
    baseline: str = Field(pattern=_NAME, max_length=200)
    canary: str = Field(pattern=_NAME, max_length=200)
    runtime_prefix: str = Field(pattern=_NAME, max_length=200)
    header_key: str = Field("", pattern=r"^[A-Za-z0-9_.:-]*$", max_length=200)
    region_key: str = Field("", pattern=r"^[A-Za-z0-9_.:-]*$", max_length=200)


class NginxRoute(Handle):
    """An nginx on this machine between a service and its callers, and where both versions show their own metrics."""

    handle: ClassVar[str] = "nginx"
    include: Absolute
    pid_file: Absolute
    test: tuple[Annotated[str, Field(min_length=1, max_length=500)], ...] = Field(min_length=1, max_length=32)
    variable: str = Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)
    baseline: str = Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=100)
    canary: str = Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=100)
    key: str = Field("${request_id}", pattern=r"^[A-Za-z0-9_${}]+$", max_length=100)
    requests: str = Field("http_requests_total", pattern=_NAME, max_length=200)
    durations: str = Field("http_request_duration_seconds", pattern=_NAME, max_length=200)


class Saturation(Block):
    """How full a version may be: the canary's value at most ``most``, and at most ``rise`` (a part) above the baseline.

    ``kind`` is ``gauge``, or ``per_request`` for a counter's growth divided by the requests of the same time.
    """

    metric: str = Field(pattern=r"^[A-Za-z_:][A-Za-z0-9_:]*$", max_length=200)
    kind: Literal["gauge", "per_request"] = "gauge"
    most: float | None = Field(None, gt=0)
    rise: float | None = Field(None, gt=0)


class CanaryLimits(Block):
    """What a canary of this service may be at the most; what is not named is as for all (docs/reference/canary.md)."""

    errors: float | None = Field(None, gt=0, le=0.5)
    errors_rise: float | None = Field(None, gt=0, le=0.5)
    p99_ms: float | None = Field(None, gt=0, le=30_000)
    p99_rise: float | None = Field(None, ge=0.01, le=10)


class CanaryProcess(Handle):
    """The process that runs a canary: its name at the supervisor, the link to its release, and where it is seen."""

    handle: ClassVar[str] = "canary"
    process: str = Field(min_length=1, max_length=200)
    release_link: Absolute
    health_url: Address = ""
    metrics_url: Address = ""
    saturation: tuple[Saturation, ...] = Field((), max_length=MOST_SATURATION)
    limits: CanaryLimits = CanaryLimits()
