"""The two actions against a supervisor and a release folder: what they refuse, aim at, do once, and take back."""

import pytest

from sre_platform.kernel.errors import Rejected, Unavailable
from sre_platform.remediation.domain import Seen
from sre_platform.remediation.steps import ACTIONS
from tests.fakes.shop import deploy

ROLLBACK, RESTART = ACTIONS.get("rollback_release"), ACTIONS.get("restart_service")
BOTH = [("rollback_release", "v1"), ("restart_service", "v2")]


def nothing():
    """A lease that always holds."""


def prepare(action, shop, world=None, target=None, **params):
    return action.prepare(target or shop.target(), action.Params(**params), world or shop.world())


def apply(action, shop, aim):
    return action.apply(shop.target(), aim, shop.world(), nothing)


def test_both_actions_are_registered():
    assert {"restart_service", "rollback_release"} <= set(ACTIONS.names())


def test_rollback_aims_at_the_release_before_and_knows_the_way_back(shop):
    prepared = prepare(ROLLBACK, shop)
    assert prepared.says == "Roll payments back from v2 to v1"
    assert prepared.aim == {"release": "v1", "from": "v2", "old_pid": shop.process.pid}
    assert prepared.undo == {"to": "v2", "only_from": "v1"}
    assert shop.supervisor.effects == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (deploy("v0", "v1"), "No deploy is known that brought payments to v2"),
        (deploy("", "v2"), "No deploy is known"),
        (deploy("v0", "v2"), "Release v0 of payments is not on this machine any more"),
        (deploy("v2", "v2"), "payments runs v2 already"),
    ],
)
def test_rollback_refuses_with_a_reason(shop, change, reason):
    with pytest.raises(Rejected, match=reason):
        prepare(ROLLBACK, shop, shop.world(change))


def test_rollback_goes_by_the_newest_deploy(shop):
    with pytest.raises(Rejected, match="No deploy is known"):
        prepare(ROLLBACK, shop, shop.world(deploy("v2", "v3", ago_s=5), deploy("v1", "v2", ago_s=50)))


def test_rollback_needs_a_link(shop):
    with pytest.raises(Unavailable, match="release_link"):
        prepare(ROLLBACK, shop, target=shop.target(release_link=""))


def test_restart_aims_at_another_process(shop):
    old = shop.process.pid
    prepared = prepare(RESTART, shop)
    assert prepared.says == f"Restart payments (process {old}) through its supervisor"
    assert prepared.aim == {"leave": "fresh", "old_pid": old}
    assert prepared.undo == {"leave": "running"}
    shop.process.die("FATAL")
    prepared = prepare(RESTART, shop)
    assert "it is FATAL" in prepared.says
    assert (prepared.aim, prepared.undo) == ({"leave": "fresh", "old_pid": 0}, {"leave": "stopped"})


def test_a_process_that_ends_right_after_its_start_is_not_called_running(shop):
    prepared, spawn = prepare(RESTART, shop), shop.process.spawn
    shop.process.spawn = lambda: (spawn(), shop.process.die())
    assert apply(RESTART, shop, prepared.aim) == "payments was started, and is EXITED again"


def test_restart_refuses_what_has_no_process(shop):
    with pytest.raises(Rejected, match="names no process"):
        prepare(RESTART, shop, target=shop.target(process=""))


@pytest.mark.parametrize(("name", "release"), BOTH)
def test_apply_makes_the_aim_true_and_does_nothing_that_is_true(shop, name, release):
    action, old = ACTIONS.get(name), shop.process.pid
    aim = prepare(action, shop).aim
    assert action.look(shop.target(), aim, shop.world()) is Seen.NOT_DONE
    said = apply(action, shop, aim)
    assert (shop.release, shop.process.state) == (release, "RUNNING")
    assert shop.process.pid != old
    assert str(shop.process.pid) in said
    assert action.look(shop.target(), aim, shop.world()) is Seen.DONE
    apply(action, shop, aim)
    assert shop.supervisor.effects == [("stop", "payments"), ("start", "payments")]


@pytest.mark.parametrize(("name", "release"), BOTH)
def test_a_process_that_does_not_run_is_only_started(shop, name, release):
    action = ACTIONS.get(name)
    shop.process.die("EXITED")
    aim = prepare(action, shop).aim
    apply(action, shop, aim)
    assert shop.supervisor.effects == [("start", "payments")]
    assert shop.release == release
    assert action.look(shop.target(), aim, shop.world()) is Seen.DONE


@pytest.mark.parametrize(("name", "release"), BOTH)
def test_a_process_that_ends_again_and_again_is_stopped_first_so_that_its_start_is_not_waited_for(shop, name, release):
    action = ACTIONS.get(name)
    shop.process.die("BACKOFF")
    prepared = prepare(action, shop)
    apply(action, shop, prepared.aim)
    assert shop.supervisor.effects == [("stop", "payments"), ("start", "payments")]
    assert [effect.verb for effect in prepared.effects if effect.verb != "link"] == ["stop", "start"]
    assert (shop.release, shop.process.state) == (release, "RUNNING")


def test_rollback_restarts_what_was_restarted_from_the_old_release(shop):
    aim = prepare(ROLLBACK, shop).aim
    shop.process.spawn()  # somebody restarted it meanwhile: another pid, but still v2
    apply(ROLLBACK, shop, aim)
    assert shop.supervisor.did("stop") == 1
    assert shop.release == "v1"


def test_every_effect_is_confirmed_right_before(shop):
    aim, log = prepare(ROLLBACK, shop).aim, []
    shop.supervisor.watch = lambda verb, _name: log.append(verb)
    ROLLBACK.apply(shop.target(), aim, shop.world(), lambda: log.append(f"confirmed on {shop.release}"))
    assert log == ["confirmed on v2", "confirmed on v1", "stop", "confirmed on v1", "start"]


@pytest.mark.parametrize(
    ("name", "undo"),
    [("rollback_release", {"to": "v2", "only_from": "v1"}), ("restart_service", {"leave": "running"})],
)
def test_the_undo_is_the_same_action_with_other_parameters(shop, name, undo):
    action = ACTIONS.get(name)
    prepared = prepare(action, shop)
    apply(action, shop, prepared.aim)
    assert prepared.undo == undo
    back = prepare(action, shop, **prepared.undo)
    apply(action, shop, back.aim)
    assert (shop.release, shop.process.state) == ("v2", "RUNNING")


def test_a_release_that_somebody_has_deployed_since_is_not_taken_back(shop):
    """A person's fix at three in the morning: undoing the platform's rollback would bring the bad release back."""
    prepared = prepare(ROLLBACK, shop)
    apply(ROLLBACK, shop, prepared.aim)
    (shop.folder / "releases" / "v3").mkdir()
    shop.switch("v3")
    done = list(shop.supervisor.effects)
    with pytest.raises(Rejected, match="payments was left with v1 and runs v3 now: somebody has deployed since"):
        prepare(ROLLBACK, shop, **prepared.undo)
    assert (shop.release, shop.supervisor.effects) == ("v3", done)


def test_who_takes_over_a_rollback_leaves_what_was_deployed_meanwhile(shop):
    """The first owner died before it touched the link; then a person deployed."""
    prepared = prepare(ROLLBACK, shop)
    (shop.folder / "releases" / "v3").mkdir()
    shop.switch("v3")
    with pytest.raises(Rejected, match="payments is linked to v3 by now: somebody has deployed since"):
        apply(ROLLBACK, shop, prepared.aim)
    assert (shop.release, shop.supervisor.effects) == ("v3", [])


def test_a_restart_of_what_was_down_is_undone_by_stopping_it(shop):
    shop.process.die("EXITED")
    prepared = prepare(RESTART, shop)
    apply(RESTART, shop, prepared.aim)
    back = prepare(RESTART, shop, **prepared.undo)
    assert RESTART.look(shop.target(), back.aim, shop.world()) is Seen.NOT_DONE
    said = apply(RESTART, shop, back.aim)
    assert "as it was found" in said
    assert RESTART.look(shop.target(), back.aim, shop.world()) is Seen.DONE
    assert shop.process.state == "STOPPED"


def test_unknown_parameters_are_refused():
    for action in ACTIONS:
        with pytest.raises(ValueError, match="Extra inputs"):
            action.Params(nonsense=1)
