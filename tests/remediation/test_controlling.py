"""Settings, breakers and flags through a control endpoint: bounds, refusals, lost answers, nothing overwritten."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sre_platform.clients.supervisor import Supervisor
from sre_platform.kernel.errors import Lost, Malformed, Rejected, Unavailable
from sre_platform.remediation import steps
from sre_platform.remediation.domain import Seen, World
from sre_platform.remediation.steps import ACTIONS, Outcome
from tests.fakes.control import TOKEN, TOKEN_ENV, controlling
from tests.fakes.leases import Died, Mortal, Overtaken, incident, take, with_fate

SETTING, BREAKER, FLAG = ACTIONS.get("adjust_setting"), ACTIONS.get("set_breaker"), ACTIONS.get("set_flag")
WORLD = World(Supervisor(""), {})
ALL = {
    "adjust_setting": ("settings/pool", {"setting": "pool", "factor": 1.5}, {"value": 15}, {"value": 10}),
    "set_breaker": ("breakers/payments", {"breaker": "payments"}, {"state": "open"}, {"state": "closed"}),
    "set_flag": ("flags/recommendations", {"flag": "recommendations"}, {"enabled": False}, {"enabled": True}),
}
EACH = pytest.mark.parametrize("name", ALL)


@pytest.fixture(autouse=True)
def token(monkeypatch):
    monkeypatch.setenv(TOKEN_ENV, TOKEN)


@pytest.fixture
def control():
    with controlling() as it:
        yield it


def prepare(control, action=SETTING, target=None, **params):
    return action.prepare(target or control.target(), action.Params(**params), WORLD)


def apply(control, action, prepared, confirm=lambda: None):
    return action.apply(control.target(), prepared.aim, WORLD, confirm)


def written(control, name):
    prepared = steps.prepare(name, ALL[name][1], control.target(), WORLD)
    fields = {"incident_id": incident(service="orders").pk, "cause": "pool_exhausted", "params": ALL[name][1]}
    step = steps.from_prepared(prepared, action=name, target="orders", **fields)
    assert steps.write(step)
    return step


def carry(control, step, lease=None):
    step.refresh_from_db()
    return steps.carry_out(step, control.target(), WORLD, lease or take(step.incident_id))


def bodies(control):
    return [body for _, _, body in control.writes]


def test_a_pool_is_enlarged_by_a_factor_and_says_its_bounds(control):
    prepared = prepare(control, setting="pool", factor=1.5)
    assert prepared.says == "Set pool of orders from 10 to 15 connections (it may be 1 to 40)"
    assert prepared.aim == {"setting": "pool", "value": 15, "before": 10}
    assert prepared.undo == {"setting": "pool", "value": 10, "only_from": 15}
    assert [effect.as_json() for effect in prepared.effects] == [
        {"verb": "PUT", "to": f"{control.url}/settings/pool", "body": {"value": 15}}
    ]
    assert control.writes == []


@pytest.mark.parametrize(
    ("present", "params", "wanted"),
    [
        (3, {"factor": 1.5}, 5),  # a whole number stays one, and is rounded away from where it is
        (3, {"factor": 0.5}, 1),
        (10, {"factor": 1.1}, 11),  # and not 12, which the nearest binary number would give
        (30, {"factor": 2}, 40),  # the platform's bound
        (0.5, {"factor": 1.5}, 0.75),
        (2.5, {"factor": 0.05}, 0.25),
        (10, {"value": 7}, 7),
    ],
)
def test_what_a_factor_makes_of_it(control, present, params, wanted):
    control.set("settings/pool", value=present, min=0.25)
    target = control.target(low=0.25)
    aimed = prepare(control, setting="pool", target=target, **params).aim["value"]
    assert aimed == wanted
    assert type(aimed) is type(wanted)


def test_the_tighter_bound_counts_whosever_it_is(control):
    control.set("settings/pool", max=12)
    assert prepare(control, setting="pool", factor=2).aim["value"] == 12
    assert prepare(control, setting="pool", factor=0.01, target=control.target(low=4)).aim["value"] == 4


@pytest.mark.parametrize(
    ("content", "params", "reason"),
    [
        ({"value": 40}, {"factor": 1.5}, "pool is 40 and cannot be enlarged any more"),
        ({"value": 1}, {"factor": 0.5}, "pool is 1 and cannot be lowered any more"),
        ({"value": 50}, {"factor": 1.5}, "pool is 50, which is outside 1 to 40 already"),
        ({}, {"value": 41}, "pool may be 1 to 40, so it is not set to 41"),
        ({}, {"value": 10}, "pool is 10 already"),
        ({}, {}, "by which factor"),
        ({}, {"factor": 1}, "by which factor"),
        ({"min": 60, "max": 80}, {"factor": 2}, "no value in common"),
        ({}, {"value": 10, "only_from": 15, "setting": "x"}, "lists no setting 'x'; known are: pool"),
        ({}, {"setting": ""}, "Say which setting is meant"),
        ({"value": 22}, {"value": 10, "only_from": 15}, "pool was set to 15 and is 22 now: somebody has changed it"),
    ],
)
def test_what_is_refused_and_why(control, content, params, reason):
    control.set("settings/pool", **content)
    with pytest.raises(Rejected, match=reason):
        prepare(control, **{"setting": "pool"} | params)
    assert control.writes == []


@pytest.mark.parametrize("value", [True, "10", None, [], {}])
def test_a_value_that_is_no_number_is_malformed(control, value):
    control.set("settings/pool", value=value)
    with pytest.raises(Malformed, match=r"value of pool at .* is not a number"):
        prepare(control, setting="pool", factor=2)


@pytest.mark.parametrize("params", [{"factor": 0}, {"factor": 11}, {"factor": float("nan")}, {"factor": 2, "value": 3}])
def test_parameters_that_cannot_be_meant(params):
    with pytest.raises(ValueError, match="factor"):
        SETTING.Params(setting="pool", **params)


def test_breakers_and_flags_refuse_what_is_so_already(control):
    control.set("breakers/payments", state="open")
    control.set("flags/recommendations", enabled=False)
    with pytest.raises(Rejected, match="Breaker payments of orders is open already"):
        prepare(control, BREAKER, breaker="payments")
    with pytest.raises(Rejected, match="Flag recommendations of orders is off already"):
        prepare(control, FLAG, flag="recommendations")
    control.set("breakers/payments", state="ajar")
    with pytest.raises(Malformed, match="Breaker payments of orders is in no known state: 'ajar'"):
        prepare(control, BREAKER, breaker="payments")
    control.set("flags/recommendations", enabled=0)
    with pytest.raises(Malformed, match="neither on nor off"):
        prepare(control, FLAG, flag="recommendations")


def test_a_breaker_is_opened_for_a_time(control):
    prepared = prepare(control, BREAKER, breaker="payments", ttl_s=60)
    assert "Open the circuit breaker payments of orders (closed now)" in prepared.says
    apply(control, BREAKER, prepared)
    assert bodies(control) == [{"state": "open", "ttl_s": 60}]


def test_a_breaker_that_half_opened_by_itself_is_opened_again_and_not_closed_by_an_undo(control):
    control.set("breakers/payments", state="half_open")
    prepared = prepare(control, BREAKER, breaker="payments")
    control.set("breakers/payments", state="closed")  # it decides by itself, in between too
    apply(control, BREAKER, prepared)
    control.set("breakers/payments", state="half_open")  # its time is over
    back = prepare(control, BREAKER, **prepared.undo)
    assert (back.effects, BREAKER.look(control.target(), back.aim, WORLD)) == ([], Seen.DONE)
    assert "not touched" in apply(control, BREAKER, back)
    assert bodies(control) == [{"state": "open"}]


def test_without_its_token_nothing_is_asked(control, monkeypatch):
    monkeypatch.delenv(TOKEN_ENV)
    with pytest.raises(Rejected, match=f"The environment has no {TOKEN_ENV}"):
        prepare(control, setting="pool", factor=2)
    monkeypatch.setenv(TOKEN_ENV, "wrong")
    with pytest.raises(Rejected, match="401"):
        prepare(control, setting="pool", factor=2)


def test_a_token_may_stand_in_a_file_and_in_nothing_that_is_kept(control, tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    handle = {"url": control.url, "token_file": str(file), "settings": {"pool": {"min": 1, "max": 40}}}
    target = control.target(handles={"settings": handle})
    prepared = prepare(control, setting="pool", factor=2, target=target)
    assert TOKEN not in repr((prepared, prepared.plan(), SETTING.apply(target, prepared.aim, WORLD, lambda: None)))
    file.write_text("")
    with pytest.raises(Rejected, match="is empty"):
        prepare(control, setting="pool", factor=2, target=target)
    file.unlink()
    with pytest.raises(Rejected, match="cannot be read: FileNotFoundError"):
        prepare(control, setting="pool", factor=2, target=target)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"url": "ftp://x"}, "handle settings.url: "),
        ({"url": "http://user:pw@x"}, "handle settings.url: "),
        ({"settings": {"pool": {"min": 5, "max": 1}}}, "handle settings.settings.pool: min is above max"),
        ({"settings": {"pool": {"min": 5}}}, "handle settings.settings.pool.max: "),
        ({"token": "secret"}, "unknown key 'token'"),
    ],
)
def test_a_wrong_handle_is_named(control, change, said):
    handle = {"url": control.url, "settings": {"pool": {"min": 1, "max": 2}}} | change
    with pytest.raises(Malformed, match=said):
        prepare(control, setting="pool", factor=2, target=control.target(handles={"settings": handle}))
    with pytest.raises(Rejected, match="says nothing about settings for orders"):
        prepare(control, setting="pool", factor=2, target=control.target(handles={}))


def test_what_somebody_else_changed_in_between_is_not_overwritten(control):
    prepared = prepare(control, setting="pool", factor=1.5)
    control.set("settings/pool", value=20)
    with pytest.raises(Rejected, match="pool was 10 and is 20 now: somebody has changed it"):
        apply(control, SETTING, prepared)
    assert (control.value("settings/pool"), control.writes) == (20, [])


def test_what_somebody_else_changes_at_the_last_moment_is_not_overwritten(control):
    prepared = prepare(control, setting="pool", factor=1.5)
    with pytest.raises(Rejected, match="changed by somebody else"):
        apply(control, SETTING, prepared, lambda: control.set("settings/pool", value=20))
    assert (control.value("settings/pool"), control.writes) == (20, [])


def test_a_late_write_of_a_former_owner_changes_nothing_after_the_next_one(control):
    prepared = prepare(control, setting="pool", factor=1.5)
    control.fail = "late"
    with pytest.raises(Unavailable):
        apply(control, SETTING, prepared)
    assert SETTING.look(control.target(), prepared.aim, WORLD) is Seen.NOT_DONE
    apply(control, SETTING, prepared)
    assert control.arrive() == [412]
    assert bodies(control) == [{"value": 15}]


def test_a_late_write_that_comes_between_the_look_and_the_next_one_is_found_done(control):
    prepared = prepare(control, setting="pool", factor=1.5)
    control.fail = "late"
    with pytest.raises(Unavailable):
        apply(control, SETTING, prepared)
    said = apply(control, SETTING, prepared, control.arrive)
    assert "15" in said
    assert bodies(control) == [{"value": 15}]


@EACH
@pytest.mark.parametrize("failure", ["lost_before", "lost_after"])
@pytest.mark.django_db
def test_a_lost_answer_is_unknown_and_the_next_owner_finds_out(control, name, failure):
    step = written(control, name)
    control.fail = failure
    assert carry(control, step).outcome is Outcome.UNKNOWN
    carried = carry(control, step)
    assert carried.outcome is Outcome.DONE
    assert ("found done" in carried.said) is (failure == "lost_after")
    assert bodies(control) == [ALL[name][2]]


@EACH
@pytest.mark.django_db
def test_one_that_does_not_answer_with_etags_is_still_set_once(control, name):
    control.etags = False
    step = written(control, name)
    control.fail = "lost_after"
    assert carry(control, step).outcome is Outcome.UNKNOWN
    assert carry(control, step).outcome is Outcome.DONE
    assert bodies(control) == [ALL[name][2]]


# The lease is confirmed before begin, before the write and before finish; dying there is dying between them.
DEATHS = {
    "before begin": (1, "prepared", 0),
    "before the write": (2, "applying", 0),
    "before finish": (3, "applying", 1),
}


@EACH
@pytest.mark.parametrize("place", DEATHS)
@pytest.mark.django_db
def test_an_owner_dies_and_the_next_one_finishes(control, name, place):
    last, left, effects = DEATHS[place]
    step = written(control, name)
    with pytest.raises(Died):
        carry(control, step, with_fate(Mortal, take(step.incident_id, "the one who dies"), last))
    step.refresh_from_db()
    assert (step.state, len(control.writes)) == (left, effects)
    assert carry(control, step).outcome is Outcome.DONE
    assert bodies(control) == [ALL[name][2]]


@EACH
@pytest.mark.parametrize("last", [1, 2, 3])
@pytest.mark.django_db
def test_who_is_overtaken_writes_nothing_any_more(control, name, last):
    step = written(control, name)
    old = with_fate(Overtaken, take(step.incident_id), last)
    with pytest.raises(Lost):
        carry(control, step, old)
    assert len(control.writes) == (last == 3)
    assert carry(control, step).outcome is Outcome.DONE
    assert bodies(control) == [ALL[name][2]]


@EACH
@pytest.mark.parametrize("place", DEATHS)
@pytest.mark.django_db
def test_an_undo_whose_owner_died_is_finished(control, name, place):
    step = written(control, name)
    carry(control, step)
    undo = steps.begin_undo(step, control.target(), WORLD)
    with pytest.raises(Died):
        carry(control, undo, with_fate(Mortal, take(step.incident_id, "the one who dies"), DEATHS[place][0]))
    assert carry(control, undo).outcome is Outcome.DONE
    assert bodies(control) == [ALL[name][2], ALL[name][3]]


@EACH
@pytest.mark.django_db
def test_the_undo_of_what_never_happened_writes_nothing(control, name):
    step = written(control, name)
    with pytest.raises(Died):
        carry(control, step, with_fate(Mortal, take(step.incident_id), 2))
    undo = steps.begin_undo(step, control.target(), WORLD)
    assert undo.plan["effects"] == []
    assert carry(control, undo).outcome is Outcome.DONE
    assert control.writes == []


@EACH
@pytest.mark.django_db
def test_what_a_person_changed_after_the_step_is_not_undone(control, name):
    step = written(control, name)
    carry(control, step)
    control.set("settings/pool", value=22)
    if name == "adjust_setting":
        with pytest.raises(Rejected, match="somebody has changed it since"):
            steps.begin_undo(step, control.target(), WORLD)
        assert control.value("settings/pool") == 22
    else:  # there are but two states: what was changed back needs no undo
        control.set(ALL[name][0], **ALL[name][3])
        undo = steps.begin_undo(step, control.target(), WORLD)
        assert undo.plan["effects"] == []


MOVES = st.one_of(
    st.fixed_dictionaries({"factor": st.floats(0.05, 10)}),
    st.fixed_dictionaries({"value": st.one_of(st.integers(-50, 150), st.floats(-50, 150))}),
    st.just("undo"),
)


@settings(max_examples=60, deadline=None)
@given(
    start=st.one_of(st.integers(2, 40), st.floats(2, 40)),
    theirs=st.tuples(st.integers(0, 20), st.integers(21, 60)),
    moves=st.lists(MOVES, max_size=6),
)
def test_no_sequence_of_adjustments_and_undos_leaves_the_bounds(shared, start, theirs, moves):
    shared.documents["settings/pool"] = {}
    shared.set("settings/pool", value=start, min=theirs[0], max=theirs[1])
    shared.writes.clear()
    low, high = max(2, theirs[0]), min(40, theirs[1])
    whole, undos, target = isinstance(start, int), [], shared.target(low=2, high=40)
    for move in moves:
        params = (undos.pop() if undos else None) if move == "undo" else {"setting": "pool", **move}
        try:
            prepared = prepare(shared, target=target, **params) if params else None
        except Rejected:
            continue
        if prepared:
            apply(shared, SETTING, prepared)
            undos.append(prepared.undo)
    assert all(low <= body["value"] <= high for body in bodies(shared))
    by_factor = all("value" not in move for move in moves)
    assert not whole or not by_factor or all(isinstance(body["value"], int) for body in bodies(shared))


@pytest.fixture(scope="module")
def shared():
    with controlling() as it:
        yield it
