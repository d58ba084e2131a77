"""One torture run, on one database: start everything for real, kill it again and again under load, then count.

What is promised, and checked by tests/torture/promises.py once the dust has settled:

* lost = 0: every delivery that was acknowledged with 202 is there, its alerts are known, and each one that fires is in
  an incident that had not resolved by then.
* doubled = 0: the world was changed at most once for each step that is written down, and nowhere else; each incident
  has one ticket at each system, and each remark stands there once.
* stuck = 0: every delivery has a fate, every incident ended or waits for a person, every ticket is as wanted, and
  nothing that ended holds on to a service.
* broken = 0: every timeline's chain of hashes verifies and ends where its incident is.

This module needs Django's settings to be those of the installation, so it is imported once that one is planned.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from django.core.management import call_command
from django.db import connection

from sre_platform.catalog.models import Service
from sre_platform.engine.syncing import sync_playbooks
from sre_platform.guardrails.models import RemediationPolicy
from sre_platform.intake import tokens
from tests.torture import promises
from tests.torture.installation import Installation
from tests.torture.load import Journal, Load
from tests.torture.world import SLOW_S, World

SENDERS = 3
FIRST_EFFECT_WITHIN_S = 30.0  # on a busy machine people are quicker for a while: they come after seven seconds
SETTLED_WITHIN_S = 120.0
LONG, LEFT_FIRING = 10, 0.2  # in a run of so many rounds that share fires on: a cause is looked for in vain for 20 s
TWO_AT_ONCE = 0.25  # of all rounds, in which a second part dies before the first one is back
Say = Callable[[str], None]


@dataclass
class Result:
    """What a run has found. ``settled_s``: how long it took until nothing was left to do."""

    database: str
    seed: str
    rounds: int
    kept: promises.Kept
    settled_s: float
    seconds: float
    kills: dict[str, int] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, int] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        return self.kept.all

    def as_json(self) -> dict[str, Any]:
        numbers = {name: len(found) for name, found in asdict(self.kept).items()}
        return asdict(self) | {"good": self.good} | numbers


def torture(
    it: Installation, world: World, journal: Journal, rounds: int, seed: str, database: str, say: Say
) -> Result:
    """The whole run. The installation is planned, its database empty."""
    began, rng = monotonic(), random.Random(seed)
    install(it, world)
    it.start()
    load = Load(world, SENDERS, seed, (it.web_port, it.token), journal)
    load.start()
    warm_up(it, world)
    kills = rounds_of_kills(it, world, rounds, rng, say)
    say("everything runs; waiting for the dust to settle")
    load.calm(LEFT_FIRING if rounds >= LONG else 0.0)
    settled_s = settle(it, load)
    kept = promises.check(journal.entries, world.supervisor.done, world.hands)
    if not load.finish():
        kept.stuck.append("a sender did not get its deliveries acknowledged although everything runs")
    kept.lost.extend(["a delivery was refused"] * journal.answers["refused"])
    counts = load.counts() | {"faults": world.broken, "healed by people": world.healed}
    counts["ended by themselves"] = {name: part.exits for name, part in it.parts.items() if part.exits}
    found = promises.figures(world.supervisor.done)
    return Result(database, seed, rounds, kept, settled_s, round(monotonic() - began, 1), kills, counts, found)


def install(it: Installation, world: World) -> None:
    """The schema, the catalog, the playbooks, the policies and the senders' token."""
    call_command("migrate", verbosity=0)
    for service in world.services.values():
        goal = {"name": f"{service.name} is well", "op": "<=", "threshold": 0}
        goal["sli"] = {"kind": "gauge", "metric": "shop_bad", "labels": {"job": service.name}}
        Service.objects.create(
            name=service.name,
            metrics_url=f"{world.metrics_url}/{service.name}",
            process=service.name,
            release_link=service.link,
            releases_dir=service.releases_dir,
            depends_on=list(service.depends_on),
            objectives=[goal],
            labels={"automation": "allowed"},
        )
    RemediationPolicy.objects.create(name="people-first", service="vault-*", mode="approve", precedence=1)
    RemediationPolicy.objects.create(name="all", mode="auto", cooldown_s=0, max_actions=2)
    _, refused = sync_playbooks(Path(__file__).parent / "playbooks")
    assert not refused, refused
    tokens.issue("torture", it.token)
    connection.close()


def warm_up(it: Installation, world: World) -> None:
    """Until the platform has done something to the world: before that, killing it says little about what it does."""
    until = monotonic() + FIRST_EFFECT_WITHIN_S
    while not world.supervisor.done and monotonic() < until:
        it.rest(0.2)


def rounds_of_kills(it: Installation, world: World, rounds: int, rng: random.Random, say: Say) -> dict[str, int]:
    """In each round somebody dies at a random moment, or right in an action, and comes back after a random pause."""
    kills: Counter[str] = Counter()
    deck: list[str] = []
    for number in range(1, rounds + 1):
        repairs = []
        for _ in range(2 if rng.random() < TWO_AT_ONCE else 1):
            deck = deck or rng.sample(sorted(it.victims()), len(it.victims()))
            name = deck.pop()
            moment(it, world, rng, in_an_action=rng.random() < (0.9 if "worker" in name else 0.3))
            say(f"round {number} of {rounds}: {name}")
            repairs.append(it.victims()[name](rng))
            kills[name] += 1
        it.rest(rng.uniform(0.1, 1.5))
        for repair in repairs:
            repair()
        it.wait_until_up()
    return dict(kills)


def moment(it: Installation, world: World, rng: random.Random, in_an_action: bool) -> None:
    """Some time; then, if that is wanted, until something is being done to a service, or right after it was done."""
    it.rest(rng.uniform(0.3, 2.0))
    if in_an_action and world.supervisor.acting.wait(3.0):
        sleep(rng.uniform(0, 2 * SLOW_S))


def settle(it: Installation, load: Load) -> float:
    """Wait until the senders are done and nothing is left to do; the seconds that took.

    What is still left when the time is over is what ``promises.unfinished`` names.
    """
    connection.close()  # the database may have been restarted since
    began = monotonic()
    while load.busy() or any(promises.unfinished()):
        if monotonic() - began > SETTLED_WITHIN_S:
            break
        it.rest(0.5)
    return round(monotonic() - began, 1)
