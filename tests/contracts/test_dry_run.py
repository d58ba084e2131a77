"""What a dry run shows is what is done, of every action: ``effects`` are held against what really arrives.

A new action fails here until it has a scene: tests/scenes/__init__.py says how.
"""

import json

import pytest

from sre_platform.kernel.errors import Lost
from sre_platform.remediation.domain import Prepared, Seen
from sre_platform.remediation.steps import ACTIONS
from tests import scenes


@pytest.fixture(params=ACTIONS.names())
def action(request):
    return ACTIONS.get(request.param)


@pytest.fixture
def scene(action, tmp_path, monkeypatch):
    with scenes.of(action.name)(tmp_path, monkeypatch) as it:
        yield it


def prepare(action, scene, **params) -> Prepared:
    return action.prepare(scene.target, action.Params(**params), scene.world)


def apply(action, scene, aim, confirm=lambda: None) -> str:
    return action.apply(scene.target, json.loads(json.dumps(aim)), scene.world, confirm)


def announced(prepared: Prepared) -> list[scenes.Written]:
    return [(effect.verb, effect.to, effect.body) for effect in prepared.effects]


def test_prepare_writes_nothing_and_says_the_same_twice(action, scene):
    before, first = scene.state(), prepare(action, scene, **scene.params)
    assert prepare(action, scene, **scene.params) == first
    assert first.says.strip()
    assert bool(first.irreversible) is (first.undo is None), "what cannot be undone says why, and only that"
    assert (list(scene.written()), scene.state()) == ([], before)


def test_what_was_announced_is_what_is_written(action, scene):
    prepared = prepare(action, scene, **scene.params)
    said = apply(action, scene, prepared.aim)
    assert list(scene.written()) == announced(prepared)
    assert said.strip()


def test_what_is_stored_of_it_is_json(action, scene):
    prepared = prepare(action, scene, **scene.params)
    stored = {"aim": prepared.aim, "undo": prepared.undo, "plan": prepared.plan()}
    assert json.loads(json.dumps(stored)) == stored


def test_who_has_lost_the_lease_writes_nothing(action, scene):
    prepared, before = prepare(action, scene, **scene.params), scene.state()

    def lost():
        raise Lost("Somebody else has it.")

    with pytest.raises(Lost):
        apply(action, scene, prepared.aim, lost)
    assert (list(scene.written()), scene.state()) == ([], before)


def test_done_is_seen_and_not_done_again(action, scene):
    prepared = prepare(action, scene, **scene.params)
    assert action.look(scene.target, prepared.aim, scene.world) is not Seen.DONE
    apply(action, scene, prepared.aim)
    once = list(scene.written())
    if announced(prepared):  # what only reads leaves nothing to be seen
        assert action.look(scene.target, prepared.aim, scene.world) is not Seen.NOT_DONE
        apply(action, scene, prepared.aim)
    assert list(scene.written()) == once


def test_the_undo_announces_what_it_writes_and_brings_the_state_back(action, scene):
    before, prepared = scene.state(), prepare(action, scene, **scene.params)
    apply(action, scene, prepared.aim)
    done = len(scene.written())
    if prepared.undo is None:
        assert prepared.irreversible.strip()
        return
    back = prepare(action, scene, **json.loads(json.dumps(prepared.undo)))
    assert len(scene.written()) == done
    apply(action, scene, back.aim)
    assert list(scene.written())[done:] == announced(back)
    assert scene.state() == before
