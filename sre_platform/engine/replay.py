"""What would become of recorded webhooks: the digester's own board, with memory instead of rows.

Nobody works on incidents in a replay: one takes alerts until all that it has gathered have resolved (of an alert that
flaps, for five minutes; of a storm, until it was calm for five).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sre_platform.catalog.domain import Topology
from sre_platform.engine.recordings import Recorded
from sre_platform.engine.replayed import Replayed, Told
from sre_platform.incidents import board as boards
from sre_platform.incidents.board import Board, Key, Known, Live, Placed
from sre_platform.incidents.quiet import InhibitionRule, Labels, Quiet, why_quiet
from sre_platform.intake.domain import UNDATED, AlertValue
from sre_platform.intake.ledger import dated_value


@dataclass
class Replay(Replayed):
    """The board's memory: what was seen and what fires, who takes alerts, how many of its own fire."""

    topology: Topology = field(default_factory=dict)
    rules: Quiet = field(default_factory=Quiet)
    known: dict[Key, Known] = field(default_factory=dict)
    firing: dict[Key, AlertValue] = field(default_factory=dict)
    _live: list[Live] = field(default_factory=list)
    _starts: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    _holds: Counter[int] = field(default_factory=Counter)
    _over: dict[int, dict[str, datetime]] = field(default_factory=lambda: defaultdict(dict))

    def take(self, webhook: Recorded) -> list[Placed]:
        """The fates of one webhook's alerts; in order of arrival. First, those that are quiet are looked at again."""
        at, waiting = (
            webhook.received_at,
            [self.firing[key] for key, why in self.quiet.items() if why and key in self.firing],
        )
        alerts = self._dated(webhook)
        board = self._board([*waiting, *alerts], at)
        again = [board.take(alert, at) for alert in waiting]
        placed = [board.take(alert, at) for alert in alerts]
        self._remember(board, at)
        self.webhooks += 1
        self.fates.update(item.fate.value for item in [*placed, *filter(_joins, again)])
        return placed

    def _dated(self, webhook: Recorded) -> list[AlertValue]:
        if all(alert.starts_at != UNDATED for alert in webhook.alerts):
            return list(webhook.alerts)
        begun = dict(sorted(self.firing))
        return [dated_value(alert, webhook.received_at, begun) for alert in webhook.alerts]

    def _board(self, alerts: Sequence[AlertValue], at: datetime) -> Board:
        self._live = [live for live in self._live if self._holds[live.pk] or self._lingers(live, at)]
        keys = [(alert.fingerprint, alert.starts_at) for alert in alerts]
        known = {key: self.known[key] for key in keys if key in self.known}
        starts = {print_: self._begun(print_, at) for print_, _ in keys}
        return Board(self.topology, self._live, known, starts, self._judge(alerts))

    def _begun(self, fingerprint: str, at: datetime) -> int:
        return sum(at - start <= boards.FLAPPING_WINDOW for start in self._starts[fingerprint])

    def _lingers(self, live: Live, at: datetime) -> bool:
        """Whether it takes alerts though none of its own fires."""
        if live.storm and at - live.last_at <= boards.STORM_CALM:
            return True
        lately = [name for name, end in self._over[live.pk].items() if at - end < boards.FLAPPING_CALM]
        return any(boards.is_flapping(self._begun(name, at)) for name in lately)

    def _judge(self, alerts: Sequence[AlertValue]) -> boards.Quiet:
        batch = [alert.labels for alert in alerts if alert.status == "firing"]

        def firing(_rule: InhibitionRule) -> Iterable[Labels]:
            return [*batch, *(alert.labels for alert in self.firing.values())]

        return lambda labels, moment: why_quiet(labels, moment, self.rules, firing)

    def _remember(self, board: Board, at: datetime) -> None:
        self.quiet |= board.quieted
        for live in board.opened:
            live.pk = len(self.incidents) + 1
            self.incidents[live.pk] = Told(live, "")
            self._live.append(live)
        for _, live, item in board.joined:
            told = self.incidents[live.pk]
            told.placed.append(item)
            self._holds[live.pk] += 1
            told.reason = told.reason or item.reason
        for child, parent in board.adopted:
            self.incidents[child.pk].under = self.incidents[parent.pk].reason
        self._count(board, at)

    def _count(self, board: Board, at: datetime) -> None:
        for key, alert in board.fresh.items():
            self._starts[key[0]].append(key[1])
            if alert.status == "firing":
                self.firing[key] = alert
                self.fired.add(key)
        for key in board.ended:
            self.firing.pop(key, None)
            if live := board.known[key].live:
                self._over[live.pk][key[0]] = at
                self._holds[live.pk] -= 1
        self.known |= board.known


def _joins(placed: Placed) -> bool:
    return placed.joins


def replay(webhooks: Iterable[Recorded], topology: Topology, rules: Quiet) -> Replay:
    """All of them, in the order in which they arrived."""
    found = Replay(topology=topology, rules=rules)
    for webhook in webhooks:
        found.take(webhook)
    return found
