"""The embedded evaluator: what Prometheus and Alertmanager do together, in one process, for small installations.

``EvaluatorState`` decides, ``Evaluator`` is the loop that feeds it. One evaluator per installation.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import structlog

from sre_platform.detection.courier import Courier
from sre_platform.detection.delivery import Alert, Body, webhook_body
from sre_platform.detection.domain import INACTIVE, AlertRule, AlertState, step
from sre_platform.detection.scraping import Scraper
from sre_platform.detection.window import Scrape, Window, evaluate
from sre_platform.kernel.errors import SreError
from sre_platform.kernel.sample import Labels

log = structlog.get_logger(__name__)

_News = tuple[Labels, str, float]


class Ledger(Protocol):
    """Remembers over a restart which alerts the receiver believes in."""

    def load(self) -> list[Alert]:
        """The alerts of the last ``save``. Raises SreError."""

    def save(self, alerts: Sequence[Alert]) -> None:
        """Replace what is remembered. Raises SreError."""


class EvaluatorState:
    """Pure core: samples in, webhook bodies out. All times are Unix seconds.

    An alert stays here from its first firing until somebody has taken its resolution (``acknowledge``); until then
    it is part of every body of its group, so that a body may be lost or replaced by a newer one.
    """

    def __init__(self, interval_s: float = 1.0, repeat_s: float = 60.0, known: Iterable[Alert] = ()) -> None:
        self.interval_s = interval_s
        self.repeat_s = repeat_s
        self.window = Window(keep_s=interval_s)
        self._rules: dict[Labels, AlertRule] = {}
        self._names: frozenset[str] = frozenset()
        self._alerts: dict[Labels, Alert] = {alert.labels: alert for alert in known}
        self._states = {
            labels: AlertState("firing", alert.starts_at, alert.starts_at)
            for labels, alert in self._alerts.items()
            if alert.status == "firing"
        }
        self._from_before = set(self._states)
        self._started_at: float | None = None
        self._told: dict[Labels, tuple[float, frozenset[_News]]] = {}

    def use_rules(self, rules: Iterable[AlertRule]) -> None:
        """From now on these rules are in force; a firing alert of a rule that is gone, or renamed, is resolved."""
        self._rules = {rule.alert_labels(): rule for rule in rules}
        metrics = {rule.sli.metric for rule in self._rules.values()}
        self._names = frozenset(metrics | {f"{metric}_bucket" for metric in metrics})
        self.window.keep_s = max((rule.sli.window_s for rule in self._rules.values()), default=0) + self.interval_s

    def tick(self, at: float, scrapes: Iterable[Scrape]) -> list[Body]:
        """Take in one round of scrapes, evaluate every rule and return what has to be told now."""
        self._started_at = at if self._started_at is None else self._started_at
        self.window.add(at, scrapes, self._names)
        for labels in self._states.keys() | self._rules.keys():
            self._advance(labels, at)
        return self._due(at)

    def acknowledge(self, body: Body) -> None:
        """``body`` has been taken: what it says is resolved need not be told again."""
        for alert in body.alerts:
            held = self._alerts.get(alert.labels)
            if held is not None and held.ends_at is not None and held.ends_at == alert.ends_at:
                del self._alerts[alert.labels]
        if not any(alert.group == body.group for alert in self._alerts.values()):
            self._told.pop(body.group, None)

    def open_alerts(self) -> list[Alert]:
        """The alerts that fire, and the resolved ones that nobody has taken yet."""
        return list(self._alerts.values())

    def _advance(self, labels: Labels, at: float) -> None:
        before = self._states.get(labels, INACTIVE)
        rule = self._rules.get(labels)
        after = INACTIVE if rule is None else self._judged(labels, rule, before, at)
        if after.phase != before.phase:
            log.info("alert", labels=dict(labels), phase=after.phase, was=before.phase, value=after.value)
        if rule is not None and after.phase == "firing" and after.starts_at is not None:
            value = before.value if after.value is None else after.value
            self._alerts[labels] = self._fired(rule, labels, after.starts_at, value)
        elif before.phase == "firing":
            self._alerts[labels] = _ended(self._alerts[labels], at)
        self._states[labels] = after
        if rule is None:
            del self._states[labels]

    def _judged(self, labels: Labels, rule: AlertRule, before: AlertState, at: float) -> AlertState:
        value = evaluate(rule.sli, self.window, at)
        if labels in self._from_before and value is None and self._warming(rule, at):
            return before
        self._from_before.discard(labels)
        return step(rule, before, value, at)

    def _warming(self, rule: AlertRule, at: float) -> bool:
        """Whether the window is still too short to say anything: no data then does not end an alert from before."""
        return self._started_at is not None and at < self._started_at + rule.sli.window_s + 2 * self.interval_s

    def _fired(self, rule: AlertRule, labels: Labels, starts_at: float, value: float | None) -> Alert:
        if value is None:  # from before the restart and not measured again yet
            return self._alerts[labels]
        return Alert(labels, rule.alert_annotations(value), starts_at)

    def _due(self, at: float) -> list[Body]:
        """One body for each group that has news, or whose last body is ``repeat_s`` old."""
        groups: dict[Labels, list[Alert]] = defaultdict(list)
        for alert in self._alerts.values():
            groups[alert.group].append(alert)
        return [self._tell(at, group, alerts) for group, alerts in groups.items() if self._must_tell(at, group, alerts)]

    def _must_tell(self, at: float, group: Labels, alerts: list[Alert]) -> bool:
        told_at, told = self._told.get(group, (at, frozenset()))
        return not _news(alerts) <= told or at - told_at >= self.repeat_s

    def _tell(self, at: float, group: Labels, alerts: list[Alert]) -> Body:
        self._told[group] = (at, _news(alerts))
        return webhook_body(alerts)


def _news(alerts: Iterable[Alert]) -> frozenset[_News]:
    return frozenset((alert.labels, alert.status, alert.starts_at) for alert in alerts)


def _ended(alert: Alert, at: float) -> Alert:
    return Alert(alert.labels, alert.annotations, alert.starts_at, at, alert.generator_url)


class Evaluator:
    """The loop: every ``interval_s`` seconds scrape, decide, hand over to the courier.

    ``rules`` is asked again every ``reload_s`` seconds; while it fails, the rules last read stay in force.
    """

    def __init__(
        self,
        scraper: Scraper,
        courier: Courier,
        rules: Callable[[], Sequence[AlertRule]],
        ledger: Ledger,
        *,
        interval_s: float = 1.0,
        reload_s: float = 5.0,
        repeat_s: float = 60.0,
    ) -> None:
        self._scraper = scraper
        self._courier = courier
        self._rules = rules
        self._ledger = ledger
        self._interval_s = interval_s
        self._reload_s = reload_s
        self._reload_at = 0.0
        self._failing: frozenset[str] = frozenset()
        self._remembered = ledger.load()
        self._state = EvaluatorState(interval_s, repeat_s, self._remembered)

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set; then hand over what is pending and return."""
        self._courier.start()
        log.info("evaluator_started", targets=[target.url for target in self._scraper.targets])
        due = time.monotonic()
        while not stop.wait(max(0.0, due - time.monotonic())):
            self.round(time.time())
            due = self._next_due(due)
        self._courier.close()
        self._acknowledge()
        self._remember()
        self._scraper.close()
        log.info("evaluator_stopped")

    def round(self, at: float) -> None:
        """One turn of the loop, its samples stamped with ``at`` (Unix seconds)."""
        self._reload()
        self._acknowledge()
        scrapes = self._scraper.scrape()
        self._report(scrapes)
        bodies = self._state.tick(at, scrapes)
        self._remember()  # Before anybody is told: what was told and then forgotten could never be resolved.
        for body in bodies:
            self._courier.put(body)

    def _next_due(self, due: float) -> float:
        """The next multiple of the interval after ``due``: no drift; turns that were missed are left out."""
        late = time.monotonic() - due
        missed = int(late / self._interval_s)
        if missed:
            log.warning("evaluator_late", late_s=round(late, 3), missed=missed)
        return due + (missed + 1) * self._interval_s

    def _reload(self) -> None:
        if time.monotonic() < self._reload_at:
            return
        self._reload_at = time.monotonic() + self._reload_s
        try:
            self._state.use_rules(self._rules())
        except SreError as error:
            log.error("rules_not_reloaded", error=str(error))

    def _acknowledge(self) -> None:
        for body in self._courier.delivered():
            self._state.acknowledge(body)

    def _remember(self) -> None:
        alerts = self._state.open_alerts()
        if _news(alerts) == _news(self._remembered):
            return
        try:
            self._ledger.save(alerts)
            self._remembered = alerts
        except SreError as error:
            log.error("alerts_not_remembered", error=str(error))

    def _report(self, scrapes: Sequence[Scrape]) -> None:
        failing = frozenset(scrape.error for scrape in scrapes if scrape.samples is None)
        for error in failing - self._failing:
            log.warning("scrape_failed", error=error)
        if self._failing and not failing:
            log.info("scrapes_recovered")
        self._failing = failing
