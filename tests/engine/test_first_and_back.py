"""What has to come before a repair, what is done last is taken back first, and a person may ask for that."""

import pytest
from pydantic import BaseModel

from sre_platform.engine import approvals
from sre_platform.incidents.domain import State
from sre_platform.incidents.models import Incident
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Rejected
from sre_platform.playbook import library
from sre_platform.remediation import steps
from sre_platform.remediation.domain import Effect, Prepared, Seen, Traits
from sre_platform.remediation.models import Step
from tests.engine.story import LADDER, STRICT, alert, drive, events, fire, install, last, sound, step_on
from tests.fakes.leases import Died, Mortal, take, with_fate
from tests.fakes.shop import deploy

pytestmark = pytest.mark.django_db
STOP, START = ("stop", "payments"), ("start", "payments")
DRAIN, FILL = ("drain", "payments"), ("fill", "payments")
LOOK = "{capture_evidence: {collect: [log_templates]}}"
TWO = LADDER.sub("remediate: [{restart_service: {}, first: [{drain_users: {}}]}]\n", STRICT)


class DrainUsers:
    """Takes the users off a service before it is touched."""

    name, traits = "drain_users", Traits(captures=True)  # so that the guard does not want more

    class Params(BaseModel):
        """``drained``: whether they are to be away."""

        drained: bool = True

    def __init__(self, done):
        self.done, self.away, self.refuses = done, False, False

    def prepare(self, target, params, world):
        word = "drain" if params.drained else "fill"
        aim, undo = {"drained": params.drained}, {"drained": not params.drained}
        return Prepared(f"{word.title()} {target.service}", aim, undo, effects=[Effect(word, target.service)])

    def apply(self, target, aim, world, confirm):
        if self.refuses:
            raise Rejected("The users will not go.")
        if self.look(target, aim, world) is Seen.DONE:
            return "it was so already"
        confirm()
        self.away = aim["drained"]
        self.done.append(("drain" if self.away else "fill", target.service))
        return "the users are away" if self.away else "the users are back"

    def look(self, target, aim, world):
        return Seen.DONE if self.away == aim["drained"] else Seen.NOT_DONE


@pytest.fixture
def users(shop, monkeypatch):
    assert "restart_service" in steps.ACTIONS.names()
    plugin = DrainUsers(shop.supervisor.effects)
    monkeypatch.setitem(steps.ACTIONS._loaded, plugin.name, plugin)
    return plugin


@pytest.fixture
def two(shop, users):
    """An incident whose only rung is a restart, before which the users are drained."""
    install(shop)
    library.store(TWO, "tests")
    incident = drive(fire(), State.APPROVED)
    assert [s.action for s in incident.steps.order_by("pk")] == ["restart_service", "drain_users"]
    return incident


def test_what_comes_first_is_told_and_does_not_hold_the_target(two):
    step = two.steps.repairs().get()
    [told] = step.plan["first"]
    assert (told["action"], told["says"]) == ("drain_users", "Drain payments")
    assert told["effects"] == [{"verb": "drain", "to": "payments", "body": None}]
    assert last(two).data["plan"]["first"] == [told]
    assert list(step.led_by.values_list("state", flat=True)) == ["prepared"]


def test_it_is_done_first_and_counts_as_no_attempt_of_its_own(shop, two):
    drive(two, State.REMEDIATED)
    assert shop.supervisor.effects == [DRAIN, STOP, START]
    assert list(two.steps.values_list("state", flat=True)) == ["applied", "applied"]
    assert len(steps.past()) == 1
    assert two.timeline.filter(name="step_first").count() == 1
    assert sound(two)


def test_what_does_more_than_look_never_comes_first_for_no_guard_is_asked_about_it(shop):
    install(shop)
    library.store(TWO.replace("drain_users", "restart_service"), "an older version of the platform")
    incident = drive(fire())
    assert (incident.state, shop.supervisor.effects) == (State.ESCALATED, [])
    [skipped] = [said for said in last(incident).data["skipped"] if "cannot come first" in said]
    assert "restart_service cannot come first: it does more than capture evidence" in skipped
    assert incident.steps.count() == 0


def test_when_it_fails_the_repair_is_not_begun(shop, two, users):
    users.refuses = True
    assert step_on(two) == State.UNHEALTHY
    assert "Drain payments, which has to come first: The users will not go." in last(two).reason
    assert two.steps.repairs().get().applying_at is None
    users.refuses = False
    drive(two)
    assert two.steps.get(action="restart_service").state == "failed", "it counts as tried"
    assert shop.supervisor.effects == []


def test_all_of_it_is_taken_back_last_thing_first(shop, two):
    shop.bad = lambda: 1
    drive(two, State.UNHEALTHY)
    assert step_on(two) == State.DIAGNOSED
    undone = two.steps.exclude(undoes=None).order_by("pk").values_list("action", flat=True)
    assert list(undone) == ["restart_service", "drain_users"]
    assert shop.supervisor.effects[-1] == FILL
    assert set(two.steps.filter(undoes=None).values_list("state", flat=True)) == {"undone"}


def test_a_worker_that_dies_before_during_and_after_it_changes_nothing(shop, two):
    for deaths in (2, 3):  # before the effect, and right after it
        earlier = Step.objects.get(action="drain_users")
        lease = with_fate(Mortal, take(two.pk), deaths)
        with pytest.raises(Died):
            steps.carry_out(earlier, shop.target(), shop.world(), lease)
    Incident.objects.update(claimed_until=now())  # the time of the last one who died is over
    drive(two, State.REMEDIATED)
    assert shop.supervisor.effects == [DRAIN, STOP, START]


def test_alerts_that_resolve_after_the_decision_end_it_with_nothing_done(shop):
    install(shop)
    incident = drive(fire(), State.APPROVED)
    alert("resolved")
    assert step_on(incident) == State.RESOLVED
    assert (shop.supervisor.effects, shop.release) == ([], "v2")
    assert incident.steps.repairs().get().state == "cancelled"


def test_alerts_that_resolve_while_something_comes_first_end_it_after_that_was_taken_back(shop, two, users):
    apply = users.apply

    def apply_and_resolve(*args):
        said = apply(*args)
        alert("resolved")
        return said

    users.apply = apply_and_resolve
    assert step_on(two) == State.UNHEALTHY
    assert "all alerts resolved before anything was done" in last(two).reason
    assert drive(two).state == State.RESOLVED
    assert shop.supervisor.effects == [DRAIN, FILL]


def unverified(shop):
    """An incident that was left to people because nobody could measure whether its repair helped."""
    install(shop)
    library.store(STRICT, "tests")
    incident = drive(fire(), State.REMEDIATED)
    shop.bad = lambda: None
    drive(incident)
    assert (incident.state, last(incident).name) == (State.ESCALATED, "unverified")
    return incident


def test_a_person_takes_back_what_could_not_be_verified_and_nothing_else_is_tried(shop):
    incident = unverified(shop)
    assert incident.steps.repairs().get().can_be_taken_back
    assert approvals.take_back(incident.pk, "ann")
    assert events(drive(incident))[-2:] == ["take_back", "taken_back"]
    assert (incident.state, shop.release, incident.steps.repairs().get().state) == (State.ESCALATED, "v2", "undone")
    assert not approvals.take_back(incident.pk, "ann"), "there is nothing left to take back"
    assert sound(incident)


def test_nothing_is_taken_back_while_another_incident_of_the_service_is_open(shop):
    incident = unverified(shop)
    Incident.objects.create(key=incident.key, service="payments", title="t", opened_at=now())
    assert not approvals.take_back(incident.pk, "ann")
    incident.refresh_from_db()
    assert (incident.state, shop.release) == (State.ESCALATED, "v1")


def test_the_same_action_with_other_parameters_is_another_rung(shop):
    install(shop)
    first = f"first: [{LOOK}]"
    ladder = f"remediate: [{{rollback_release: {{to: v1}}, {first}}}, {{rollback_release: {{}}, {first}}}]\n"
    library.store(LADDER.sub(ladder, STRICT), "tests")
    shop.bad = lambda: 1
    incident = drive(fire())
    tried = incident.steps.repairs().order_by("pk").values_list("params", flat=True)
    assert list(tried) == [{"to": "v1"}, {}]
    assert deploy("v1", "v2").after == shop.release
