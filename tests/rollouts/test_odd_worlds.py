"""Routers, processes, pages and people that do what nobody asked for while a canary walks."""

import os
import signal
from dataclasses import replace
from datetime import timedelta
from time import monotonic

import pytest

from sre_platform.catalog.models import Service
from sre_platform.clients.nginx import Nginx
from sre_platform.clients.traffic import Weights
from sre_platform.engine import rollouts as engine
from sre_platform.guardrails.models import set_kill_switch
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Lost, Rejected
from sre_platform.rollouts import record, walk
from sre_platform.rollouts import walking as walking_module
from sre_platform.rollouts.domain import Judgement, Verdict
from sre_platform.rollouts.models import Rollout
from sre_platform.rollouts.routers.envoy import EnvoyRouter
from sre_platform.rollouts.walk import State, Wish
from sre_platform.rollouts.walking import Walk
from tests.fakes.leases import Died
from tests.fakes.wire import Answer, serving
from tests.rollouts.scene import BASELINE, CANARY, install, scene
from tests.rollouts.test_walking import older, ticks

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
    pid.write_text("99999999")
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
        dying.setattr(Nginx, "reload", dies)
        ticks(there, rollout)
    loaded_before = list(nginx)
    walking = there.walk(rollout, "the next owner")
    walking.tick()
    assert nginx == [*loaded_before, 5 if died_at is State.WALKING else 0]
    if died_at is State.ROLLING_BACK:
        assert there.runs(CANARY), "it is stopped only after nginx has been told"


def dies(*_args, **_values):
    raise Died


def test_two_that_die_one_after_the_other_leave_no_file_that_was_never_loaded(there, nginx, monkeypatch):
    """The first had loaded 5 % and did not live to write so, the second had written 0 % and did not live to load it."""
    rollout = ticks(there, there.begin(), until=[State.WALKING])
    with monkeypatch.context() as dying, pytest.raises(Died):
        dying.setattr(record, "note", dies)
        there.walk(rollout).tick()
    Rollout.objects.filter(pk=rollout.pk).update(state=State.ROLLING_BACK, wanted=Weights().as_json())
    with monkeypatch.context() as dying, pytest.raises(Died):
        dying.setattr(Nginx, "reload", dies)
        ticks(there, rollout)
    assert nginx == [0, 5]
    ticks(there, rollout, by=there.walk(rollout, "the third"))
    assert (rollout.state, nginx[-1], there.runs(CANARY)) == (State.ROLLED_BACK, 0, False)


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


def test_a_canary_whose_page_breaks_every_tick_does_not_keep_its_share(it, monkeypatch):
    """A release must not be able to stay by what it shows of itself."""
    rollout = ticks(it, it.begin(), until=[State.ANALYSING], serve=lambda: it.serve(5, 1))

    def broken(self, target):
        raise ZeroDivisionError("a plugin's slip")

    with monkeypatch.context() as odd:
        odd.setattr(EnvoyRouter, "observe", broken)
        walking = it.walk(rollout)
        assert [engine._ticked(walking) for _ in range(3)] == [walking_module.TICK_S] * 3
        assert rollout.events.filter(name="failed_tick").count() == 1
        walking.blind = dict.fromkeys(walking.blind, -1e9)
        engine._ticked(walking)
        while engine._ticked(walking) is not None:
            pass
    rollout.refresh_from_db()
    assert (rollout.state, it.envoy.weight, it.runs(CANARY)) == (State.ROLLED_BACK, 0, False)
    assert "ZeroDivisionError: a plugin's slip" in rollout.reason


def test_a_supervisor_that_hangs_does_not_hold_up_the_way_back(it):
    rollout = ticks(it, it.begin(), until=[State.ANALYSING], serve=lambda: it.serve(190, 10))
    hands = it.walk(rollout).hands
    hanging = replace(hands, supervisor=engine.supervisor())
    it.supervisor.fail["getProcessInfo"] = "hang"
    began = monotonic()
    it.serve(150, 50, failed=50)
    Walk(hanging, lambda: "").tick()
    rollout.refresh_from_db()
    assert rollout.state == State.ROLLING_BACK
    assert monotonic() - began < walking_module.BLIND_S / 2


def test_an_envoy_that_answers_late_is_asked_once_a_tick_and_told_at_once(it):
    """Each answer may take two seconds, of the five that a breach may last."""
    rollout = ticks(it, it.begin(), until=[State.ANALYSING], serve=lambda: it.serve(190, 10))
    walking = it.walk(rollout)
    it.envoy.asked.clear()
    it.serve(150, 50, failed=50)
    walking.tick()
    assert it.envoy.asked == ["GET /runtime", "GET /stats/prometheus"]
    walking.tick()
    assert it.envoy.asked[2] == "POST /runtime_modify"
    assert it.envoy.weight == 0


def test_a_health_page_is_looked_at_while_the_supervisor_is_away(it):
    rollout = ticks(it, it.begin(), until=[State.ANALYSING], serve=lambda: it.serve(5, 1))
    it.supervisor.down = True
    it.ill.add("/canary")
    walking = it.walk(rollout)
    for _ in range(walking_module.MOST_MISSES):
        walking.tick()
    rollout.refresh_from_db()
    assert (rollout.state, rollout.reason.startswith("The canary does not answer")) == (State.ROLLING_BACK, True)


def test_who_wants_it_back_is_not_overruled_by_who_wants_it_to_go_on(it):
    rollout = ticks(it, it.begin(), until=[State.ANALYSING], serve=lambda: it.serve(5, 1))
    assert record.ask(rollout.pk, Wish.ABORT, "ann")
    assert not record.ask(rollout.pk, Wish.GO_ON, "bob")
    assert record.ask(rollout.pk, Wish.ABORT, "eve")
    ticks(it, rollout, serve=lambda: it.serve(5, 1))
    assert (rollout.state, it.envoy.weight) == (State.ABORTED, 0)


@pytest.mark.parametrize("shown", ["NaN", "+Inf", "-Inf"])
@pytest.mark.parametrize("whose", ["baseline", "canary"])
def test_a_gauge_that_is_no_number_was_not_measured(there, whose, shown):
    pages = {"baseline": "7", "canary": "7"} | {whose: shown}
    with serving(lambda call: Answer(200, f"fill {pages[call.path[1:]]}\n".encode())) as wire:
        handles = there.fields()["handles"]
        handles["canary"] |= {"metrics_url": f"{wire.url}/canary", "saturation": [{"metric": "fill", "rise": 0.5}]}
        install(there, handles=handles, metrics_url=f"{wire.url}/baseline")
        rollout = ticks(there, there.begin(), until=[State.ANALYSING])
        for _ in range(12):
            there.serve()
            there.walk(rollout).tick()
    rollout.refresh_from_db()
    checks = {check["name"]: check["verdict"] for check in rollout.judgement["checks"]}
    assert (rollout.state, rollout.step, checks["fill"]) == (State.ANALYSING, 0, "inconclusive")


def test_a_service_that_leaves_the_catalog_in_the_middle_of_a_walk_is_told_to_people_and_goes_back(it):
    rollout = ticks(it, it.begin(), until=[State.ANALYSING], serve=lambda: it.serve(5, 1))
    Service.objects.all().delete()
    walked(rollout)
    rollout.refresh_from_db()
    assert (rollout.state, rollout.tell_at is not None) == (State.ROLLING_BACK, True)
    assert "payments" in rollout.reason
    install(it)
    ticks(it, rollout)
    assert (rollout.state, it.envoy.weight, it.runs(CANARY)) == (State.ROLLED_BACK, 0, False)


def walked(rollout):
    """A worker takes it, whoever had it, and gives it back."""
    over = now() - timedelta(seconds=1)
    Rollout.objects.filter(pk=rollout.pk).update(claimed_until=over, due_at=over)
    return engine.advance(rollout.pk, "worker")


def test_a_step_of_more_than_an_hour_is_not_judged_every_second(it, monkeypatch):
    monkeypatch.setattr(record, "MOST_SAMPLES", 60)
    looks = []
    monkeypatch.setattr(walking_module, "judge", lambda *_: looks.append(1) or Judgement(Verdict.INCONCLUSIVE, 0.0))
    rollout = ticks(it, it.begin(), until=[State.ANALYSING], serve=lambda: it.serve(5, 1))
    walking = it.walk(rollout)
    for _ in range(60):
        it.serve(5, 1)
        walking.tick()
    looks.clear()
    for _ in range(60):
        it.serve(5, 1)
        walking.tick()
    assert len(looks) == 60 // walking_module.JUDGED_EVERY


def test_all_automation_stopped_moves_no_baseline_any_more(it):
    rollout = ticks(it, it.begin((50, 100)), until=[State.PROMOTING])
    set_kill_switch(True, "ann", "maintenance")
    walking = it.walk(rollout)
    for _ in range(4):
        walking.tick()
    assert (it.envoy.weight, it.release) == (50, "v1")
    older(rollout, walk.PROMOTED_WITHIN_S + 1)
    ticks(it, rollout, by=walking)
    assert (rollout.state, it.envoy.weight, it.release) == (State.FAILED, 0, "v1")
    assert "maintenance" in rollout.reason
    assert ("stop", BASELINE) not in it.supervisor.effects


@pytest.mark.parametrize(
    ("by_hand", "says"),
    [({STABLE: "70", CANARY_KEY: "30"}, "30 % of all"), ({"routing.shop.header": "100"}, "by a label")],
)
def test_none_begins_while_somebody_gives_the_canary_a_share(it, by_hand, says):
    it.envoy.runtime |= by_hand
    with pytest.raises(Rejected, match=f"traffic already .{says}"):
        it.begin()
    assert (it.envoy.effects, Rollout.objects.count()) == ([], 0)


@pytest.mark.parametrize("same", ["process", "release_link"])
def test_none_begins_whose_canary_is_the_baseline(there, same):
    handles = there.fields()["handles"]
    handles["canary"][same] = there.fields()[same]
    install(there, handles=handles)
    with pytest.raises(Rejected, match="a process and a release link of its own"):
        there.begin()
    assert not Rollout.objects.exists()


@pytest.mark.parametrize("wish", [Wish.GO_ON, Wish.PROMOTE])
def test_what_holds_it_holds_a_person_who_wants_it_to_go_on_too(it, wish):
    rollout = ticks(it, it.begin(), until=[State.ANALYSING], serve=lambda: it.serve(5, 1))
    set_kill_switch(True, "ann", "maintenance")
    assert record.ask(rollout.pk, wish, "bob")
    for _ in range(3):
        it.walk(rollout).tick()
    rollout.refresh_from_db()
    assert (rollout.state, rollout.step, rollout.wish, it.envoy.weight) == (State.ANALYSING, 0, wish, 5)
    set_kill_switch(False, "ann", "")
    ticks(it, rollout, until=[State.WALKING, State.PROMOTING])
    assert rollout.wish == ""


def test_a_lease_is_renewed_by_ticks_that_change_nothing(it):
    rollout = ticks(it, it.begin(), until=[State.ANALYSING], serve=lambda: it.serve(5, 1))
    walking = it.walk(rollout)
    Rollout.objects.filter(pk=rollout.pk).update(claimed_until=now() + timedelta(seconds=1))
    walking.tick()
    rollout.refresh_from_db()
    assert rollout.claimed_until > now() + timedelta(seconds=record.LEASE_S / 2)


def test_a_canary_that_breaks_while_it_is_promoted_is_found(it):
    rollout = ticks(it, it.begin((50, 100)), until=[State.PROMOTING])
    it.ill.add("/baseline")  # it takes its time to start
    walking = it.walk(rollout)
    walking.tick(), walking.tick()
    assert (it.envoy.weight, it.release) == (100, "v2")
    for _ in range(3):
        it.envoy.clusters["canary"].serve("5", 200)
        walking.tick()
    rollout.refresh_from_db()
    assert (rollout.state, "failed with 5xx" in rollout.reason) == (State.ROLLING_BACK, True)
