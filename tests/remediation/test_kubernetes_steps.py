"""What holds for every action on Kubernetes, through the official client against an API server at the wire.

What is announced is what arrives, byte for byte; preparing writes nothing; whoever was faster is not overwritten; and
whatever dies or gets lost, the effect is there at most once.
"""

import json

import pytest

from sre_platform.kernel.errors import Lost, Rejected, Unavailable
from sre_platform.remediation import steps
from sre_platform.remediation.domain import Seen
from sre_platform.remediation.steps import Outcome
from tests.fakes.kubernetes import READER, Refusal, kubeconfig, serving_kubernetes
from tests.fakes.leases import Died, Mortal, Overtaken, take, with_fate
from tests.remediation.kube import CASES, WORLD, apply, carry, look, nothing, prepare, seen, written

pytestmark = pytest.mark.django_db
BY_OTHER_UID = ("k8s_cordon", "k8s_evict_pod")  # whose aims name a node and a pod
REVERSIBLE = [name for name, case in CASES.items() if case.undo]


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


@pytest.fixture
def fake():
    with serving_kubernetes() as it:
        yield it


def bodies(fake):
    return [(method, path, body) for method, path, body in fake.writes]


def announced(prepared):
    return [(item.verb, item.to, json.dumps(item.body).encode()) for item in prepared.effects]


def test_preparing_writes_nothing(case, fake, tmp_path):
    shop = case.shop(fake, tmp_path)
    before = json.dumps(fake.objects)
    prepared = prepare(case.name, shop, **case.params)
    assert prepared.says
    assert json.dumps(fake.objects) == before
    assert fake.writes == []
    assert all(method == "GET" or path.endswith("?dryRun=All") for method, path in fake.requests)


def test_what_arrives_is_what_was_announced_byte_for_byte(case, fake, tmp_path):
    shop = case.shop(fake, tmp_path)
    prepared = prepare(case.name, shop, **case.params)
    asked = []
    said = apply(case.name, shop, prepared.aim, lambda: asked.append(len(fake.writes)))
    assert said
    assert announced(prepared) == bodies(fake)
    assert asked == list(range(len(fake.writes)))  # confirmed right before each effect
    assert prepared.plan()["effects"] == [item.as_json() for item in prepared.effects]


def test_applying_twice_is_applying_once_and_the_look_knows(case, fake, tmp_path):
    shop = case.shop(fake, tmp_path)
    aim = json.loads(json.dumps(dict(prepare(case.name, shop, **case.params).aim)))
    assert look(case.name, shop, aim) is Seen.NOT_DONE
    apply(case.name, shop, aim)
    assert look(case.name, shop, aim) is Seen.DONE
    apply(case.name, shop, aim)
    fake.settle()
    apply(case.name, shop, aim)
    assert len(fake.writes) == 1


def test_whoever_was_faster_is_not_overwritten(case, fake, tmp_path):
    shop = case.shop(fake, tmp_path)
    aim, states = prepare(case.name, shop, **case.params).aim, []

    def somebody():
        case.interfere(shop)
        states.append(json.dumps(fake.objects))

    fake.meanwhile = somebody
    try:
        said = apply(case.name, shop, aim)
    except Rejected as error:
        said = str(error)
    assert len(states) == 1
    assert [json.dumps(fake.objects), fake.writes] == [states[0], []]
    assert "nothing was done" in said or "had gone by itself" in said


def test_after_somebody_elses_change_nobody_knows_whether_it_was_done(case, fake, tmp_path):
    shop = case.shop(fake, tmp_path)
    aim = prepare(case.name, shop, **case.params).aim
    case.interfere(shop)
    expected = Seen.DONE if case.name == "k8s_evict_pod" else Seen.UNKNOWN  # that pod is gone, whoever did it
    assert look(case.name, shop, aim) is expected


@pytest.mark.parametrize("which", [name for name, case in CASES.items() if case.name not in BY_OTHER_UID])
def test_of_a_workload_that_was_made_anew_nobody_knows_either(which, fake, tmp_path):
    case = CASES[which]
    shop = case.shop(fake, tmp_path)
    aim = prepare(case.name, shop, **case.params).aim
    apply(case.name, shop, aim)
    fake.create(shop.path, shop.kind, shop.found)
    assert look(case.name, shop, aim) is Seen.UNKNOWN


def test_a_target_that_changed_since_it_was_prepared_is_left_alone(case, fake, tmp_path):
    shop = case.shop(fake, tmp_path)
    step = written(shop, case.name, **case.params)
    case.interfere(shop)
    assert carry(shop, step).outcome is Outcome.CHANGED
    assert fake.writes == []
    assert not step.needs_undo


def test_what_the_server_refused_as_a_whole_is_not_taken_back(case, fake, tmp_path):
    """Else the undo of a cordon that was refused, as somebody else was cordoning, would take back theirs."""
    shop = case.shop(fake, tmp_path)
    step = written(shop, case.name, **case.params)
    fake.meanwhile = lambda: case.interfere(shop)
    carried = carry(shop, step)
    step.refresh_from_db()
    assert fake.writes == []
    assert carried.outcome is (Outcome.DONE if case.name == "k8s_evict_pod" else Outcome.FAILED)
    assert (carried.outcome is Outcome.FAILED) is (steps.to_take_back(step) == [])


@pytest.mark.parametrize("status", [403, 429])
def test_a_refused_write_is_a_failure_with_the_servers_words_and_needs_no_undo(case, fake, tmp_path, status):
    shop = case.shop(fake, tmp_path)
    step = written(shop, case.name, **case.params)

    def refuse():
        raise Refusal(status, "not for you")

    fake.meanwhile = refuse
    carried = carry(shop, step)
    step.refresh_from_db()
    assert (carried.outcome, fake.writes, step.needs_undo) == (Outcome.FAILED, [], False)
    assert f"{status}" in carried.said and "not for you" in carried.said


@pytest.mark.parametrize("failure", ["die_before", "die_after"])
def test_a_lost_answer_is_unknown_and_the_next_owner_finishes_it_once(case, fake, tmp_path, failure):
    shop = case.shop(fake, tmp_path)
    step = written(shop, case.name, **case.params)
    fake.fail = {"PATCH": failure, "POST": failure}
    if case.name == "k8s_set_resources":  # its dry run comes first, and is what fails
        with pytest.raises(Unavailable, match="died"):
            carry(shop, step)
        fake.fail = {"PATCH": failure}
        with pytest.raises(Unavailable, match="died"):
            carry(shop, step)
    else:
        assert carry(shop, step).outcome is Outcome.UNKNOWN
    done = len(fake.writes)
    assert done == (failure == "die_after" and case.name != "k8s_set_resources")
    fake.fail.clear()
    assert carry(shop, step).outcome is Outcome.DONE
    assert len(fake.writes) == 1


@pytest.mark.parametrize("last", [1, 2, 3])
@pytest.mark.parametrize("fate", [Mortal, Overtaken])
def test_an_owner_who_dies_or_is_overtaken_anywhere(case, fake, tmp_path, fate, last):
    shop = case.shop(fake, tmp_path)
    step = written(shop, case.name, **case.params)
    with pytest.raises((Died, Lost)):
        carry(shop, step, with_fate(fate, take(step.incident_id), last))
    step.refresh_from_db()
    assert (step.state, len(fake.writes)) == ("prepared" if last == 1 else "applying", int(last == 3))
    carried = carry(shop, step)
    assert carried.outcome is Outcome.DONE
    assert len(fake.writes) == 1
    assert ("found done" in carried.said) == (last == 3)


@pytest.mark.parametrize("which", REVERSIBLE)
def test_the_undo_is_the_same_action_and_puts_back_what_was_there(which, fake, tmp_path):
    case = CASES[which]
    shop = case.shop(fake, tmp_path)
    before = seen(shop)
    step = written(shop, case.name, **case.params)
    assert carry(shop, step).outcome is Outcome.DONE
    undo = steps.begin_undo(step, shop.target(), WORLD)
    assert undo.action == case.name
    assert carry(shop, undo).outcome is Outcome.DONE
    steps.undone(step)
    if case.params.get("do") in ("promote", "promote_full"):  # whose undo is the stable release's template
        assert shop.container["image"] == "payments:v2"
    else:
        assert seen(shop) == before
    assert len(fake.writes) == 2


@pytest.mark.parametrize("which", REVERSIBLE)
def test_an_undo_never_takes_back_what_somebody_else_did(which, fake, tmp_path):
    case = CASES[which]
    shop = case.shop(fake, tmp_path)
    step = written(shop, case.name, **case.params)
    carry(shop, step)
    fake.settle()
    fake.writes.clear()
    theirs = {"replicas": 7, "template": {**shop.found["spec"]["template"], "metadata": {"labels": {"app": "other"}}}}
    theirs["template"] = json.loads(json.dumps(theirs["template"]).replace('"15"', '"99"').replace("512Mi", "600Mi"))
    if case.name == "k8s_cordon":
        fake.change("/api/v1/nodes/node-1", lambda found: found["spec"].clear())
    else:
        fake.change(shop.path, lambda found: found["spec"].update(theirs))
        fake.change(shop.path, lambda found: found.update(status={**found["status"], "currentPodHash": "theirs"}))
        fake.change(shop.path, lambda found: found["status"].update(abort=case.params.get("do") == "retry"))
    before = json.dumps(fake.objects)
    with pytest.raises(Rejected):
        steps.begin_undo(step, shop.target(), WORLD)
    assert (json.dumps(fake.objects), fake.writes) == (before, [])


def test_a_token_without_the_right_is_told_so_and_nothing_happens(case, fake, tmp_path):
    shop = case.shop(fake, tmp_path)
    aim = prepare(case.name, shop, **case.params).aim
    kubeconfig(tmp_path, fake.url, READER)
    with pytest.raises(Rejected, match=r"403 .*cannot"):
        apply(case.name, shop, aim, nothing)
    assert fake.writes == []


def test_a_token_that_is_not_known_is_refused_before_anything_is_said(case, fake, tmp_path):
    shop = case.shop(fake, tmp_path)
    kubeconfig(tmp_path, fake.url, "wr0ng-token-of-nobody")
    with pytest.raises(Rejected, match="401") as caught:
        prepare(case.name, shop, **case.params)
    assert "wr0ng" not in str(caught.value)


def test_no_secret_is_in_what_a_step_keeps(case, fake, tmp_path):
    shop = case.shop(fake, tmp_path)
    step = written(shop, case.name, **case.params)
    kept = json.dumps([step.aim, step.undo, step.plan, step.says])
    assert "t0ken" not in kept
    assert "kubeconfig" not in kept
