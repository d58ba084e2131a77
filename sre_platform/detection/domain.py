"""An alert rule, and the life of the one alert it can raise: inactive, pending, firing."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from pydantic import TypeAdapter, ValidationError

from sre_platform.kernel.comparison import COMPARISONS, holds
from sre_platform.kernel.errors import Malformed
from sre_platform.kernel.promql import Op, check, check_label_name, compile_rule
from sre_platform.kernel.sample import Labels
from sre_platform.kernel.sli import Sli

Phase = Literal["inactive", "pending", "firing"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,99}")
_OWN_LABELS = ("alertname", "service", "severity")


class InvalidRule(Malformed):
    """A rule that cannot be evaluated; ``wrong`` says why, one sentence for each field."""

    def __init__(self, wrong: Mapping[str, str]) -> None:
        super().__init__(" ".join(wrong.values()))
        self.wrong = wrong


@dataclass(frozen=True)
class AlertRule:
    """Alert ``name`` is raised for ``service`` once ``sli op threshold`` has held for ``for_s`` seconds.

    ``labels`` are added to the alert. Raises InvalidRule.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    name: str
    service: str
    sli: Sli
    op: Op
    threshold: float
    for_s: float = 0.0
    severity: str = "warning"
    summary: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wrong = _problems(self)
        if wrong:
            raise InvalidRule(wrong)

    @property
    def condition(self) -> str:
        """The rule as PromQL."""
        return compile_rule(self.sli, self.op, self.threshold)

    def alert_labels(self) -> Labels:
        """The labels of the alert, sorted: they are its identity."""
        own = {"alertname": self.name, "service": self.service, "severity": self.severity}
        return tuple(sorted((dict(self.labels) | own).items()))

    def alert_annotations(self, value: float) -> dict[str, str]:
        """The annotations when the SLI is ``value``; ``export`` writes the same text as a template for Prometheus."""
        return {"summary": self.summary, "description": describe(self, f"{value:.4g}")}


@dataclass(frozen=True)
class AlertState:
    """Where the alert of a rule stands; times are Unix seconds.

    ``active_at`` is when the condition began to hold, ``starts_at`` when the alert began to fire, ``ends_at`` when it
    stopped doing so (None while it fires, and when it never has).
    """

    phase: Phase = "inactive"
    active_at: float | None = None
    starts_at: float | None = None
    ends_at: float | None = None
    value: float | None = None


INACTIVE = AlertState()


def fires(rule: AlertRule, value: float | None) -> bool:
    """Whether ``value`` meets the rule's condition. No data, and NaN, meet none."""
    return value is not None and holds(value, rule.op, rule.threshold)


def step(rule: AlertRule, state: AlertState, value: float | None, at: float) -> AlertState:
    """The state after an evaluation at ``at`` (Unix seconds) that gave ``value``; as Prometheus' AlertingRule.Eval.

    The alert fires at the first evaluation at which the condition has held for ``for_s`` or longer, with ``for_s`` 0 at
    once. It starts when it fires, not when it became pending: Prometheus 2.42 sends FiredAt as startsAt
    (rules/manager.go, SendAlerts). A condition that gives nothing ends it, be it false or without data.
    """
    if not fires(rule, value):
        if state.phase == "firing":
            return AlertState("inactive", starts_at=state.starts_at, ends_at=at, value=state.value)
        return INACTIVE if state.phase == "pending" else state
    active_at = at if state.phase == "inactive" or state.active_at is None else state.active_at
    if state.phase == "firing":
        return AlertState("firing", active_at, state.starts_at, None, value)
    # Compared in whole milliseconds, because 0.3 - 0.1 < 0.2 in floating point.
    held = round((at - active_at) * 1000) >= round(rule.for_s * 1000)
    return AlertState("firing", active_at, at, None, value) if held else AlertState("pending", active_at, value=value)


def describe(rule: AlertRule, value: str) -> str:
    """One sentence on why the alert is raised; ``value`` is text, so that it may be a template."""
    held = f" for {rule.for_s:g} s" if rule.for_s else ""
    return f"{rule.condition}{held}: the value is {value}."


def parse_rule(raw: Mapping[str, Any]) -> AlertRule:
    """A rule from its JSON form, the fields of ``AlertRule``. Raises InvalidRule."""
    try:
        return _RULE.validate_python(raw)
    except ValidationError as error:
        raise InvalidRule(_by_field(error)) from error


def _by_field(error: ValidationError) -> dict[str, str]:
    wrong: dict[str, str] = {}
    for fault in error.errors():
        name, *inner = map(str, fault["loc"]) if fault["loc"] else ["rule"]
        wrong[name] = f"{wrong.get(name, '')} {'.'.join([name, *inner])}: {fault['msg']}.".strip()
    return wrong


def _problems(rule: AlertRule) -> dict[str, str]:
    wrong: dict[str, str] = {}
    if not _NAME.fullmatch(rule.name):
        wrong["name"] = f"The name {rule.name!r} must start with a letter; letters, digits and _ . : - may follow."
    if not rule.service.strip():
        wrong["service"] = "A rule must name the service it speaks for."
    if rule.op not in COMPARISONS:
        wrong["op"] = f"{rule.op!r} is not a comparison; known are: {' '.join(COMPARISONS)}."
    if not math.isfinite(rule.threshold):
        wrong["threshold"] = f"The threshold must be a finite number, not {rule.threshold}."
    if not 0 <= rule.for_s <= 7 * 86400:
        wrong["for_s"] = f"'for' lies between 0 and {7 * 86400} seconds, {rule.for_s} does not."
    if not rule.severity.strip():
        wrong["severity"] = "A rule must say how severe its alert is."
    return wrong | _refusal("sli", check, rule.sli) | _refusal("labels", _check_labels, rule.labels)


def _refusal(name: str, verify: Callable[[Any], None], given: object) -> dict[str, str]:
    try:
        verify(given)
    except Malformed as error:
        return {name: str(error)}
    return {}


def _check_labels(labels: Mapping[str, str]) -> None:
    for name, value in labels.items():
        check_label_name(name)
        if name in _OWN_LABELS:
            raise Malformed(f"The label {name} is set by the rule itself.")
        if not isinstance(value, str) or not value:
            raise Malformed(f"The label {name} must be a text that is not empty, not {value!r}.")


_RULE = TypeAdapter(AlertRule)
