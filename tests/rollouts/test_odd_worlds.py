"""Routers, processes, pages and people that do what nobody asked for while a canary walks."""

import os
import signal
from dataclasses import replace

import pytest

from sre_platform.clients.nginx import Nginx
from sre_platform.clients.traffic import Weights
from sre_platform.kernel.errors import Lost
from sre_platform.rollouts import record
from sre_platform.rollouts.models import Rollout
from sre_platform.rollouts.routers.envoy import EnvoyRouter
from sre_platform.rollouts.walk import State, Wish
from tests.fakes.leases import Died
from tests.rollouts.scene import CANARY, install, scene
from tests.rollouts.test_walking import ticks

pytestmark = pytest.mark.django_db
KEYS = STABLE, CANARY_KEY = "routing.shop.stable", "routing.shop.canary"


@pytest.fixture
def there(tmp_path, settings):
    with scene(tmp_path) as found:
        settings.SRE_SUPERVISOR_URL = found.supervisor.url
        yield found


@pytest.fixture
def it(there):
    install(there)
    return there


@pytest.fixture
def nginx(there, monkeypatch):
    """The same service behind an nginx; the list holds the weights that it has loaded."""
    conf, pid = there.folder / "canary.conf", there.folder / "nginx.pid"
    names = {"variable": "shop", "baseline": "stable", "canary": "canary", "test": ["true"]}
    pid.write_text(str(os.getpid()))
    written = Nginx(str(conf), "shop", "stable", "canary", "${request_id}", ("true",), str(pid))
    conf.write_text(written.text(0))
    loaded, real = [0], os.kill

    def kill(process, number):
        if number != signal.SIGHUP:
            return real(process, number)
        return loaded.append(written.weight())

    monkeypatch.setattr(os, "kill", kill)
    handles = {
        "nginx": names | {"include": str(conf), "pid_file": str(pid)},
        "canary": there.fields()["handles"]["canary"],
    }
    install(there, handles=handles)
    return loaded


@pytest.mark.parametrize("died_at", [State.WALKING, State.ROLLING_BACK])
def test_a_file_that_was_written_and_never_loaded_is_loaded_by_the_next_owner(there, nginx, monkeypatch, died_at):
    rollout = ticks(there, there.begin(), until=[State.STARTING])
    if died_at is State.ROLLING_BACK:
        ticks(there, rollout, until=[State.ANALYSING])
        Rollout.objects.filter(pk=rollout.pk).update(state=died_at, wanted=Weights().as_json())
    with monkeypatch.context() as dying, pytest.raises(Died):
        dying.setattr(Nginx, "reload", lambda self: (_ for _ in ()).throw(Died()))
        ticks(there, rollout)
    loaded_before = list(nginx)
    walking = there.walk(rollout, "the next owner")
    walking.tick()
    assert nginx == [*loaded_before, 5 if died_at is State.WALKING else 0]
    if died_at is State.ROLLING_BACK:
        assert there.runs(CANARY), "it is stopped only after nginx has been told"


def test_what_is_stopped_gets_a_tick_to_finish_what_is_on_its_way(it):
    """An nginx loads new weights some time after it was told, and requests that have begun need theirs."""
    rollout, both = ticks(it, it.begin((50, 100)), until=[State.PROMOTING]), []
    walking = it.walk(rollout)
    while not rollout.ended:
        before = len(it.envoy.effects), len(it.supervisor.effects)
        walking.tick()
        rollout.refresh_from_db()
        both.append((len(it.envoy.effects) > before[0], len(it.supervisor.effects) > before[1]))
    assert rollout.state == State.PROMOTED
    assert (True, False) in both
    assert (True, True) not in both


def test_weights_that_the_router_takes_and_does_not_show_stop_nothing(it):
    """As an Envoy does in which a runtime layer lies above the one of the admin port."""
    rollout = ticks(it, it.begin(), until=[State.ANALYSING], serve=lambda: it.serve(5, 1))
    Rollout.objects.filter(pk=rollout.pk).update(state=State.ROLLING_BACK, wanted=Weights().as_json())
    it.envoy.above = {STABLE: "95", CANARY_KEY: "5"}
    for _ in range(4):
        it.walk(rollout).tick()
    rollout.refresh_from_db()
    assert (rollout.state, it.runs(CANARY)) == (State.ROLLING_BACK, True)
    assert "shows others" in rollout.events.filter(name="trouble").last().reason
    it.envoy.above = {}
    ticks(it, rollout)
    assert (rollout.state, it.envoy.weight, it.runs(CANARY)) == (State.ROLLED_BACK, 0, False)


@pytest.mark.parametrize("by_hand", [{STABLE: "0"}, {STABLE: "0", CANARY_KEY: "0"}, {CANARY_KEY: "200"}])
def test_a_share_is_what_both_keys_say(it, by_hand):
    """With the baseline's weight at 0 a real Envoy gives all to the canary, and 404 to everybody when both are."""
    rollout = ticks(it, it.begin(), until=[State.ANALYSING], serve=lambda: it.serve(5, 1))
    it.envoy.runtime |= by_hand
    it.walk(rollout).tick()
    assert [it.envoy.runtime[key] for key in KEYS] == ["95", "5"]
    it.envoy.runtime |= {STABLE: "0", CANARY_KEY: "0"}
    Rollout.objects.filter(pk=rollout.pk).update(state=State.ROLLING_BACK, wanted=Weights().as_json())
    ticks(it, rollout)
    assert [it.envoy.runtime[key] for key in KEYS] == ["100", "0"]


def test_weights_that_are_none_do_not_hold_up_the_way_back(it):
    rollout = ticks(it, it.begin(), until=[State.ANALYSING], serve=lambda: it.serve(5, 1))
    it.envoy.runtime[CANARY_KEY] = "many"
    walking = it.walk(rollout)
    walking.tick()
    walking.blind = dict.fromkeys(walking.blind, -1e9)
    ticks(it, rollout, by=walking)
    assert (rollout.state, it.envoy.weight, it.runs(CANARY)) == (State.ROLLED_BACK, 0, False)


def test_a_worker_that_slept_before_it_set_the_weights_leaves_what_the_next_one_wants(it):
    rollout = ticks(it, it.begin(), until=[State.WALKING])
    sleeper = it.walk(rollout)
    slept = []

    class Late(EnvoyRouter):
        def set(self, target, weights):
            if not slept:
                slept.append(weights)
                record.ask(rollout.pk, Wish.ABORT, "ann")
                ticks(it, rollout, by=it.walk(rollout, "the next owner"))
            super().set(target, weights)

    sleeper.hands = replace(sleeper.hands, router=Late())
    with pytest.raises(Lost):
        sleeper.tick()
    assert slept == [Weights(5)]
    assert (rollout.state, it.runs(CANARY), it.envoy.weight) == (State.ABORTED, False, 0)
