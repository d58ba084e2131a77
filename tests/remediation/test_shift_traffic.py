"""Shifting traffic: all of it to the baseline, through whichever proxy the catalog names; once, and taken back."""

import pytest
from pydantic import ValidationError

from sre_platform.catalog.domain import Target
from sre_platform.clients.supervisor import Supervisor
from sre_platform.kernel.errors import Lost, Malformed, Rejected, Unavailable
from sre_platform.remediation.domain import Seen, World
from sre_platform.remediation.steps import ACTIONS
from tests.fakes.envoy import envoy

SHIFT, WORLD = ACTIONS.get("shift_traffic"), World(Supervisor(""), {})


@pytest.fixture
def proxy():
    with envoy() as fake:
        fake.runtime |= {"routing.shop.stable": "70", "routing.shop.canary": "30", "routing.shop.header": "100"}
        yield fake


def target(proxy, **handle):
    return Target("payments", handles={"envoy": proxy.handle() | handle})


def prepare(proxy, **params):
    return SHIFT.prepare(target(proxy), SHIFT.Params(**params), WORLD)


def apply(proxy, aim, confirm=lambda: None):
    return SHIFT.apply(target(proxy), aim, WORLD, confirm)


def test_it_aims_at_the_baseline_and_writes_the_way_back_without_touching_anything(proxy):
    prepared = prepare(proxy)
    assert prepared.says == "Give 100 % of the traffic of payments to its baseline"
    assert prepared.aim == {"canary": 0, "header": False, "region": False}
    assert prepared.undo == {"baseline": 70, "header": True, "region": False, "only_from": prepared.aim}
    assert [delta.as_json() for delta in prepared.diff] == [
        {"of": "traffic", "before": {"canary": 30, "header": True, "region": False}, "after": prepared.aim}
    ]
    assert proxy.effects == []


def test_what_it_shows_beforehand_is_what_arrives_at_the_proxy(proxy):
    prepared = prepare(proxy)
    [effect] = prepared.effects
    assert apply(proxy, prepared.aim) == "100 % of the traffic of payments go to the baseline"
    assert (effect.verb, effect.to) == ("POST", f"{proxy.url}/runtime_modify")
    assert [{key: int(value) for key, value in call.items()} for call in proxy.effects] == [effect.body]
    assert (effect.body["routing.shop.stable"], effect.body["routing.shop.canary"]) == (100, 0)


def test_it_is_done_once_and_looks(proxy):
    aim = prepare(proxy).aim
    assert SHIFT.look(target(proxy), aim, WORLD) is Seen.NOT_DONE
    apply(proxy, aim)
    assert SHIFT.look(target(proxy), aim, WORLD) is Seen.DONE
    assert apply(proxy, aim).endswith("already")
    assert len(proxy.effects) == 1
    with pytest.raises(Rejected, match="already"):
        prepare(proxy)


def test_undone_it_is_as_it_was(proxy):
    before, prepared = dict(proxy.runtime), prepare(proxy)
    apply(proxy, prepared.aim)
    apply(proxy, prepare(proxy, **prepared.undo).aim)
    assert proxy.runtime == before | {"routing.shop.region": "0"}


def test_what_somebody_has_shared_out_otherwise_since_is_left_to_them(proxy):
    prepared = prepare(proxy)
    apply(proxy, prepared.aim)
    proxy.runtime |= {"routing.shop.stable": "50", "routing.shop.canary": "50"}
    with pytest.raises(Rejected, match="is not shared as it was left: somebody has changed it"):
        prepare(proxy, **prepared.undo)
    assert len(proxy.effects) == 1


def test_an_undo_finds_nothing_to_do_where_somebody_has_put_it_back(proxy):
    before, prepared = dict(proxy.runtime), prepare(proxy)
    apply(proxy, prepared.aim)
    proxy.runtime |= before
    back = prepare(proxy, **prepared.undo)
    assert (back.effects, back.diff) == ([], [])
    assert apply(proxy, back.aim).endswith("already")
    assert len(proxy.effects) == 1


def test_who_has_lost_the_lease_changes_nothing(proxy):
    def lost():
        raise Lost("somebody else has it")

    with pytest.raises(Lost):
        apply(proxy, prepare(proxy).aim, lost)
    assert proxy.effects == []


@pytest.mark.parametrize("share", [-1, 101, 0.5, "many"])
def test_shares_are_percentages(share):
    with pytest.raises(ValidationError):
        SHIFT.Params(baseline=share)


def test_without_a_proxy_it_cannot_be_done():
    with pytest.raises(Rejected, match="names no proxy"):
        SHIFT.prepare(Target("payments"), SHIFT.Params(), WORLD)
    with envoy() as fake, pytest.raises(Rejected, match="there is no router"):
        SHIFT.prepare(target(fake, admin_url=""), SHIFT.Params(), WORLD)


def test_a_proxy_that_is_away_or_speaks_nonsense_is_said(proxy):
    proxy.runtime["routing.shop.canary"] = "many"
    with pytest.raises(Malformed, match="no number"):
        prepare(proxy)
    proxy.runtime["routing.shop.canary"] = "-4"
    with pytest.raises(Malformed, match="no share"):
        prepare(proxy)
    proxy.down = True
    with pytest.raises(Unavailable):
        prepare(proxy)
    assert proxy.effects == []


def test_a_label_without_a_route_is_refused(proxy):
    without = target(proxy, header_key="")
    with pytest.raises(Rejected, match="names no runtime key"):
        SHIFT.apply(without, {"canary": 0, "header": True, "region": False}, WORLD, lambda: None)
    assert proxy.effects == []


def test_a_handle_that_is_wrong_is_named(proxy):
    wrong = target(proxy, admin_url="ftp://x")
    with pytest.raises(Malformed, match=r"envoy\.admin_url"):
        SHIFT.prepare(wrong, SHIFT.Params(), WORLD)
    assert proxy.effects == []
