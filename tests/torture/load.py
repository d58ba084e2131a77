"""The load: senders that break services and deliver what Alertmanager would, until each delivery is acknowledged.

A sender retries 5xx, 429 and connections that fail, as Alertmanager does. What was acknowledged goes into the journal
before the sender sends anything else: from then on the platform has promised not to lose it.
"""

import http.client
import json
import random
import threading
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any

from tests.fakes.alertmanager import alert, body
from tests.torture.world import BAD, GOOD, World

ANSWER_WITHIN_S = 5.0
FIRST_RETRY_S, LONGEST_RETRY_S = 0.05, 1.0
PERSON_COMES_AFTER_S = 7.0
REST_S = 6.0  # a service is left alone after a fault, longer than a lease: who takes over then finds it as it was left
REPEATED = 40  # the last bodies of a sender, of which one is sent again now and then
FAULTS = ("killed", "killed", "release", "release", "cursed", "mystery")
ALERTS, CHANGES = "/hooks/alertmanager", "/hooks/changes"


@dataclass(frozen=True)
class Acknowledged:
    """What the platform has taken on: the row it named, the body's SHA-256, and (fingerprint, start, status)s."""

    sender: str
    path: str
    row: int
    digest: str
    alerts: tuple[tuple[str, str, str], ...]


class Journal:
    """Everything that was acknowledged, and how often what was answered."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w")
        self._lock = threading.Lock()
        self.entries: list[Acknowledged] = []
        self.answers: Counter[str] = Counter()

    def answered(self, what: str) -> None:
        with self._lock:
            self.answers[what] += 1

    def write(self, entry: Acknowledged) -> None:
        with self._lock:
            self._file.write(json.dumps(asdict(entry)) + "\n")
            self._file.flush()
            self.entries.append(entry)


@dataclass
class Episode:
    """A service that is broken, and the alerts about it."""

    service: str
    alerts: list[tuple[str, str]]
    starts_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))
    began: float = field(default_factory=monotonic)


class Sender(threading.Thread):
    """One Alertmanager, about some of the services."""

    def __init__(self, name: str, seed: str, world: World, services: list[str], to: tuple[int, str], journal: Journal):
        super().__init__(name=name, daemon=True)
        self.rng, self.world, self.services, self.journal = random.Random(seed), world, services, journal
        self.port, self.token = to
        self.open: dict[str, Episode] = {}
        self.sent: list[bytes] = []
        self.rests_until: dict[str, float] = {}
        self.left_firing = 0.0  # the share of its last alerts that never resolve
        self.calm, self.over = threading.Event(), threading.Event()

    def run(self) -> None:
        """Break and tell until ``calm``, then let everything heal and tell that; ``over`` ends all retries."""
        while not self.calm.wait(self.rng.uniform(0.05, 0.3)):
            self._tick()
        for episode in list(self.open.values()):
            self.world.heal(episode.service)
            if self.rng.random() >= self.left_firing:
                self._end(episode)

    def _tick(self) -> None:
        ending = [episode for episode in self.open.values() if self._is_over(episode)]
        free = [name for name in self.services if name not in self.open and self.rests_until.get(name, 0) < monotonic()]
        roll = self.rng.random()
        if ending and roll < 0.5:
            self._end(ending[0])
        elif free and roll < 0.65:
            self._begin(self.rng.choice(free))
        elif self.sent and roll < 0.8:  # a duplicate; after its resolution, one that comes out of order
            self._deliver(self.rng.choice(self.sent))
        elif roll < 0.85:
            self._blip(self.rng.choice(self.services))
        elif self.open:
            self._tell(self.rng.choice(list(self.open.values())), "firing")

    def _is_over(self, episode: Episode) -> bool:
        return self.world.well(episode.service) or monotonic() - episode.began > PERSON_COMES_AFTER_S

    def _begin(self, service: str) -> None:
        how = self.rng.choice(FAULTS)
        self.world.break_(service, how)
        if how in ("release", "cursed"):
            self._report_deploy(service)
        touched = [service, *(name for name in self.world.neighbours(service) if self.rng.random() < 0.7)]
        alerts = [("ServiceDown" if how == "killed" else "HighErrorRatio", name) for name in touched]
        self.open[service] = Episode(service, alerts)
        self._tell(self.open[service], "firing")

    def _end(self, episode: Episode) -> None:
        if not self.world.well(episode.service):
            self.world.heal(episode.service)
        del self.open[episode.service]
        self.rests_until[episode.service] = monotonic() + REST_S
        self._tell(episode, "resolved")

    def _blip(self, service: str) -> None:
        """Over before it was told, and told in the wrong order."""
        episode = Episode(service, [("HighErrorRatio", service)])
        self._tell(episode, "resolved")
        self._tell(episode, "firing")

    def _tell(self, episode: Episode, status: str) -> None:
        ends = {"ends_at": datetime.now(UTC).isoformat()} if status == "resolved" else {}
        alerts = [_alert(name, service, episode.starts_at, ends) for name, service in episode.alerts]
        if len(alerts) > 1 and self.rng.random() < 0.5:  # in two deliveries, the neighbour first
            self._deliver(body(*alerts[1:]))
            alerts = alerts[:1]
        self._deliver(body(*alerts))

    def _deliver(self, sent: bytes) -> None:
        self.sent = [*self.sent, sent][-REPEATED:]
        carried = [(one["fingerprint"], one["startsAt"], one["status"]) for one in json.loads(sent)["alerts"]]
        self._until_acknowledged(ALERTS, sent, tuple(carried))

    def _report_deploy(self, service: str) -> None:
        change = {"service": service, "at": datetime.now(UTC).isoformat(), "before": GOOD, "after": BAD, "by": "load"}
        self._until_acknowledged(CHANGES, json.dumps(change).encode(), ())

    def _until_acknowledged(self, path: str, sent: bytes, alerts: tuple[tuple[str, str, str], ...]) -> None:
        wait_s = FIRST_RETRY_S
        while True:
            status, said = self._post(path, sent)
            self.journal.answered(str(status or said))
            if status == 202:
                row = next(iter(json.loads(said).values()))
                self.journal.write(Acknowledged(self.name, path, row, sha256(sent).hexdigest(), alerts))
                return
            if status and status < 500 and status != 429:
                self.journal.answered("refused")
                return
            if self.over.wait(wait_s):
                return
            wait_s = min(2 * wait_s, LONGEST_RETRY_S)

    def _post(self, path: str, sent: bytes) -> tuple[int, str]:
        """Status and text of the answer; 0 and what happened when there was none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_WITHIN_S)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            connection.request("POST", path, sent, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            return 0, type(error).__name__
        finally:
            connection.close()


def _alert(name: str, service: str, starts_at: str, ends: dict[str, str]) -> dict[str, Any]:
    """Each is about another pod, so that none comes and goes again: what flaps would wait for people."""
    pod = f"{service}-{starts_at[11:23]}"
    return alert(
        name,
        service,
        starts_at=starts_at,
        labels={"pod": pod},
        fingerprint=f"{name}/{service}/{starts_at[11:23]}",
        **ends,
    )


class Load:
    """All senders."""

    def __init__(self, world: World, senders: int, seed: str, to: tuple[int, str], journal: Journal) -> None:
        names = list(world.services)
        self.senders = [
            Sender(f"sender-{number}", f"{seed}/{number}", world, names[number::senders], to, journal)
            for number in range(senders)
        ]

    def start(self) -> None:
        for sender in self.senders:
            sender.start()

    def calm(self, left_firing: float) -> None:
        """No more faults: each sender tells how it ended, but for that share of alerts, and that is all."""
        for sender in self.senders:
            sender.left_firing = left_firing
            sender.calm.set()

    def busy(self) -> bool:
        return any(sender.is_alive() for sender in self.senders)

    def finish(self) -> bool:
        """End all retries; False when a sender still had something that was not acknowledged."""
        busy = self.busy()
        for sender in self.senders:
            sender.over.set()
            sender.join(2 * ANSWER_WITHIN_S)
        return not busy

    def counts(self) -> dict[str, Any]:
        journal = self.senders[0].journal
        return {"acknowledged": len(journal.entries), "answers": dict(sorted(journal.answers.items()))}
