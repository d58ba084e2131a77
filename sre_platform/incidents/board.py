"""Where alerts go: each one is placed by the first rule that fits, and told why. Pure, and in order of arrival.

A board holds the incidents that still take alerts and what is known of the alerts of one batch. ``take`` changes it and
returns the fate of one alert; whoever made the board then writes down what has changed. Source of the thresholds:
docs/decisions/0005-one-digester.md.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from sre_platform.catalog.domain import Topology, downstream, upstream
from sre_platform.intake.domain import AlertValue

NEIGHBOUR_WINDOW = timedelta(minutes=10)  # since the incident's last alert: later ones have a cause of their own
STORM_WINDOW, STORM_INCIDENTS = timedelta(seconds=60), 10  # so many incidents would open within the window
STORM_CALM = timedelta(minutes=5)  # without another alert that joins it, a storm is over
FLAPPING_WINDOW, FLAPPING_STARTS = timedelta(hours=1), 4
FLAPPING_CALM = timedelta(minutes=5)  # so long has an alert that flaps to be over until it is believed
CAUSE_LABELS = ("node", "host", "disk", "volume", "database", "queue")
NOTHING_ALIKE = "no open incident is about this service or its neighbours"
STORM_TOPIC = "*storm"
KEY_LENGTH, TOPIC_LENGTH = 200, 300  # characters
_KEYS_OWN = ("alert/", "storm/", "service/")  # a service called so is told apart from them

Key = tuple[str, datetime]  # an occurrence: the alert's fingerprint and when it began
Quiet = Callable[[Mapping[str, str], datetime], str]


def nothing_is_quiet(_labels: Mapping[str, str], _at: datetime) -> str:
    """No alert is held back."""
    return ""


class Fate(StrEnum):
    """What became of one alert of a delivery."""

    OPENED = "opened"
    JOINED = "joined"
    STORM = "storm"
    DUPLICATE = "duplicate"
    RESOLVED = "resolved"
    QUIET = "quiet"
    NOT_NEEDED = "not needed"


@dataclass(eq=False)
class Live:
    """An incident that takes alerts. ``topics`` is what it is about; ``pk`` is 0 until it is written.

    One that is ``watched`` was repaired a while ago; only an alert on the same service tells that it was not for good.
    """

    key: str
    service: str
    title: str
    opened_at: datetime
    last_at: datetime
    topics: set[str] = field(default_factory=set)
    pk: int = 0
    storm: bool = False
    parent: "Live | None" = None
    watched: bool = False

    @property
    def order(self) -> tuple[bool, bool, datetime, int]:
        """By which one of several is chosen: one that is not over, one without a parent, then the oldest."""
        return self.watched, self.parent is not None, self.opened_at, self.pk


@dataclass
class Known:
    """An occurrence that was seen before: whether it is over, and whose it is."""

    resolved: bool
    live: Live | None = None


@dataclass(frozen=True)
class Placed:
    """The fate of one alert, in one word and in a sentence."""

    alert: AlertValue
    fate: Fate
    reason: str
    live: Live | None = None

    def __str__(self) -> str:
        whose = f" incident {self.live.pk}" if self.live else ""
        return f"{title(self.alert)}: " + {
            Fate.OPENED: f"opened{whose}" + ("" if self.reason == NOTHING_ALIKE else f", {self.reason}"),
            Fate.JOINED: f"joined{whose}, {self.reason}",
            Fate.STORM: f"joined{whose}, {self.reason}",
            Fate.DUPLICATE: f"known already, {'in' + whose if whose else self.reason}",
            Fate.RESOLVED: f"known already, {'in' + whose if whose else self.reason}, and resolved now",
        }.get(self.fate, self.reason)

    @property
    def joins(self) -> bool:
        """Whether the alert became part of an incident just now."""
        return self.fate in (Fate.OPENED, Fate.JOINED, Fate.STORM)


def title(alert: AlertValue) -> str:
    """An alert in a few words."""
    return f"{alert.name} on {alert.service or 'no service'}"


def subject(alert: AlertValue) -> str:
    """The topic that an alert is about: its service, or itself when it names none."""
    return f"service={alert.service}" if alert.service else f"alert={alert.name}"


def key_of(alert: AlertValue) -> str:
    """The key of the incident that it opens: another subject has another key, and each fits its column."""
    key = alert.service or f"alert/{alert.name}"
    if alert.service.startswith(_KEYS_OWN):
        key = f"service/{alert.service}"
    if len(key) <= KEY_LENGTH:
        return key
    digest = hashlib.sha256(key.encode()).hexdigest()[:32]
    return f"{key[: KEY_LENGTH - 33]}~{digest}"


def topics(alert: AlertValue) -> set[str]:
    """Its subject, and the labels that bear causes."""
    return {subject(alert), *(_cause(alert, name) for name in CAUSE_LABELS if alert.labels.get(name))}


def _cause(alert: AlertValue, label: str) -> str:
    return f"{label}={alert.labels.get(label, '')}"[:TOPIC_LENGTH]


def is_flapping(starts: int) -> bool:
    """Whether an alert that began so often within the flapping window flaps."""
    return starts >= FLAPPING_STARTS


class Board:
    """``starts`` counts, by fingerprint, the occurrences within the flapping window before this batch."""

    def __init__(
        self,
        topology: Topology,
        live: Iterable[Live] = (),
        known: Mapping[Key, Known] | None = None,
        starts: Mapping[str, int] | None = None,
        quiet: Quiet = nothing_is_quiet,
    ) -> None:
        self.topology, self.quiet = topology, quiet
        self.known = dict(known or {})
        self.starts = Counter(starts or {})
        self.fresh: dict[Key, AlertValue] = {}
        self.ended: dict[Key, AlertValue] = {}
        self.quieted: dict[Key, str] = {}  # why, and the empty string for those that are quiet no longer
        self.opened: list[Live] = []
        self.adopted: list[tuple[Live, Live]] = []
        self.joined: list[tuple[Key, Live, Placed]] = []
        self._by_topic: dict[str, list[Live]] = defaultdict(list)
        self._near: dict[str, tuple[list[str], list[str]]] = {}
        self._recent: list[Live] = []
        for incident in live:
            self._watch(incident)

    def take(self, alert: AlertValue, at: datetime) -> Placed:
        """The fate of an alert that arrived at this moment. O(topics + neighbours of its service)."""
        key, resolved = (alert.fingerprint, alert.starts_at), alert.status == "resolved"
        known = self.known.get(key)
        if known is None:
            self.known[key] = known = Known(resolved)
            self.fresh[key] = alert
            self.starts[alert.fingerprint] += at - alert.starts_at <= FLAPPING_WINDOW
            if resolved:
                return Placed(alert, Fate.NOT_NEEDED, "resolved before it was seen firing, no incident is needed")
            return self._place(key, known, alert, at)
        if resolved and not known.resolved:
            known.resolved = True
            self.ended[key] = alert
            return Placed(alert, Fate.RESOLVED, "no incident was needed", known.live)
        if known.live is None and not known.resolved:
            return self._place(key, known, alert, at)  # it was quiet; it may no longer be
        if known.live is None:
            return Placed(alert, Fate.NOT_NEEDED, "resolved before it was seen firing, no incident is needed")
        return Placed(alert, Fate.DUPLICATE, "", known.live)

    def _place(self, key: Key, known: Known, alert: AlertValue, at: datetime) -> Placed:
        why = self.quiet(alert.labels, at)
        if why or key not in self.fresh or key in self.quieted:
            self.quieted[key] = why
        if why:
            return Placed(alert, Fate.QUIET, why)
        for rule in (self._same_service, self._same_cause, self._common_dependency, self._neighbour, self._storm):
            if placed := rule(alert, at):
                break
        else:
            placed = Placed(alert, Fate.OPENED, NOTHING_ALIKE, self._open(alert, at))
        known.live = placed.live
        self._join(key, placed, at)
        return placed

    def _same_service(self, alert: AlertValue, _at: datetime) -> Placed | None:
        """Whatever the service's incident is about, this belongs to it."""
        incident = next(iter(self._about(subject(alert))), None)
        reason = f"same service {alert.service}" if alert.service else f"same alert {alert.name}"
        if incident and incident.watched:
            reason += ", which was repaired not long ago"
        return self._joins(alert, incident, reason) if incident else None

    def _same_cause(self, alert: AlertValue, at: datetime) -> Placed | None:
        """The same node, disk, database ... is in trouble."""
        for name in CAUSE_LABELS:
            for incident in self._about(_cause(alert, name)):
                if self._within(incident, at) and not incident.watched:
                    return self._joins(alert, incident, f"same {name} {alert.labels[name]}")
        return None

    def _common_dependency(self, alert: AlertValue, at: datetime) -> Placed | None:
        """Several incidents are about services that depend on this one: it is what they have in common."""
        callers = [i for i in self._incidents(self._neighbours(alert.service)[0], at) if i.parent is None]
        if len(callers) < 2:
            return None
        incident = self._open(alert, at)
        self._adopt(callers, incident)
        names = ", ".join(sorted({caller.service for caller in callers}))
        return Placed(alert, Fate.OPENED, f"{names} depend on {alert.service}", incident)

    def _neighbour(self, alert: AlertValue, at: datetime) -> Placed | None:
        """A service that depends on this one, or on which it depends, has an incident."""
        callers, needed = self._neighbours(alert.service)
        found = sorted([*self._incidents(callers, at), *self._incidents(needed, at)], key=lambda i: i.order)
        if not found:
            return None
        one, other = alert.service, found[0].service
        return self._joins(
            alert, found[0], f"{one} depends on {other}" if other in needed else f"{other} depends on {one}"
        )

    def _storm(self, alert: AlertValue, at: datetime) -> Placed | None:
        """Too many services at once: one big incident, instead of one each."""
        for incident in self._about(STORM_TOPIC):
            if at - incident.last_at <= STORM_CALM:
                return Placed(alert, Fate.STORM, "there is a storm of alerts", incident)
        self._recent = [i for i in self._recent if i.parent is None and at - i.opened_at <= STORM_WINDOW]
        if len(self._recent) + 1 < STORM_INCIDENTS:
            return None
        seconds = STORM_WINDOW.total_seconds()
        storm = Live(
            f"storm/{at.isoformat()}", "", f"Alert storm: {STORM_INCIDENTS} incidents within {seconds:.0f} s", at, at
        )
        storm.storm, storm.topics = True, {STORM_TOPIC}
        self._add(storm)
        self._adopt(self._recent, storm)
        self._recent = []
        return Placed(alert, Fate.OPENED, f"{STORM_INCIDENTS} incidents within {seconds:.0f} s are a storm", storm)

    def _open(self, alert: AlertValue, at: datetime) -> Live:
        summary = alert.annotations.get("summary") or title(alert)
        incident = Live(key_of(alert), alert.service, summary[:300], at, at, topics(alert))
        self._add(incident)
        return incident

    def _join(self, key: Key, placed: Placed, at: datetime) -> None:
        incident = placed.live
        if incident is None:
            return
        incident.last_at = max(incident.last_at, at)
        if not incident.storm:
            for topic in topics(placed.alert) - incident.topics:
                incident.topics.add(topic)
                self._by_topic[topic].append(incident)
        self.joined.append((key, incident, placed))

    def _joins(self, alert: AlertValue, incident: Live, reason: str) -> Placed:
        starts = self.starts[alert.fingerprint]
        flaps = f", flapping: began {starts} times within the hour" if is_flapping(starts) else ""
        return Placed(alert, Fate.JOINED, reason + flaps, incident)

    def _add(self, incident: Live) -> None:
        self.opened.append(incident)
        self._watch(incident)

    def _watch(self, incident: Live) -> None:
        for topic in incident.topics:
            self._by_topic[topic].append(incident)
        if not incident.storm and not incident.watched and incident.parent is None:
            self._recent.append(incident)

    def _adopt(self, children: Iterable[Live], parent: Live) -> None:
        for child in children:
            child.parent = parent
            self.adopted.append((child, parent))

    def _about(self, topic: str) -> list[Live]:
        return sorted(self._by_topic.get(topic, ()), key=lambda incident: incident.order)

    def _incidents(self, services: Iterable[str], at: datetime) -> list[Live]:
        """Those about one of these services that had an alert lately; each once."""
        found = (i for name in services for i in self._by_topic.get(f"service={name}", ()) if i.service == name)
        return [live for live in dict.fromkeys(found) if self._within(live, at) and not live.watched]

    @staticmethod
    def _within(incident: Live, at: datetime) -> bool:
        return at - incident.last_at <= NEIGHBOUR_WINDOW

    def _neighbours(self, service: str) -> tuple[list[str], list[str]]:
        """Those that depend on a service, and those on which it depends."""
        if service not in self._near:
            self._near[service] = upstream(self.topology, service)[1:], downstream(self.topology, service)[1:]
        return self._near[service]
