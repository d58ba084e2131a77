from datetime import UTC, datetime, timedelta

import pytest

from sre_platform.engine import digestion, reconcile, tasks
from sre_platform.incidents import record
from sre_platform.incidents.domain import Event
from sre_platform.incidents.models import Silence
from sre_platform.intake.models import Alert, Delivery, Reconciliation
from sre_platform.intake.receive import receive
from sre_platform.kernel.clock import now
from tests.fakes.alertmanager import alert, body
from tests.fakes.leases import take
from tests.fakes.manager import FakeManager, firing, managing, stamp

pytestmark = pytest.mark.django_db
AGO = timedelta(minutes=10)
SINCE = datetime.now(UTC).replace(microsecond=123456) - AGO


@pytest.fixture
def manager():
    with managing() as fake:
        yield fake


def digest():
    digestion.digest()


def look(*managers: FakeManager):
    """A look as soon as one may begin, and what it made digested."""
    Reconciliation.objects.update(next_at=now())
    looked = reconcile.look([manager.url for manager in managers])
    digest()
    return looked


def webhook(fingerprint="f1", since=SINCE, **fields):
    receive("alertmanager", body(alert(fingerprint=fingerprint, starts_at=since.isoformat(), **fields)))
    digest()


def later(seconds=reconcile.GRACE_S + 1):
    """As if the last look had been so long ago."""
    Alert.objects.filter(missing_since__isnull=False).update(missing_since=now() - timedelta(seconds=seconds))


def found(looked):
    return looked.lost_firing, looked.lost_resolved


def test_a_lost_webhook_is_found_and_mended_once(manager):
    manager.alerts = [firing(since=SINCE)]
    assert found(look(manager)) == (1, 0)
    row = Alert.objects.get()
    assert (row.fingerprint, row.name, row.service, row.resolved) == ("f1", "HighErrorRatio", "payments", False)
    assert row.membership.incident.state == "open"
    delivery = Delivery.objects.get()
    assert (delivery.source, delivery.state) == ("alertmanager", "digested")
    assert b'"receiver": "reconcile"' in bytes(delivery.body)
    assert found(look(manager)) == (0, 0)
    assert Delivery.objects.count() == 1


def test_an_alert_that_came_by_webhook_is_known_though_its_start_is_more_exact(manager):
    webhook()
    manager.alerts = [firing(since=SINCE)]
    assert found(look(manager)) == (0, 0)


def test_a_webhook_that_comes_after_all_is_the_same_alert(manager):
    manager.alerts = [firing(since=SINCE)]
    look(manager)
    webhook()
    assert Alert.objects.count() == 1


def test_a_webhook_that_may_still_be_on_its_way_is_waited_for(manager):
    manager.alerts = [firing(since=now() - timedelta(seconds=20))]
    assert found(look(manager)) == (0, 0)
    manager.alerts = [firing(since=now() - timedelta(seconds=40))]
    assert found(look(manager)) == (1, 0)


def test_the_next_start_of_an_alert_is_another_one(manager):
    webhook(since=SINCE - AGO, ends_at=now().isoformat())
    manager.alerts = [firing(since=SINCE)]
    assert found(look(manager)) == (1, 0)


@pytest.mark.parametrize("state", ["suppressed", "unprocessed"])
def test_what_alertmanager_keeps_to_itself_was_not_lost(manager, state):
    manager.alerts = [firing(state=state)]
    assert found(look(manager)) == (0, 0)


def test_alerts_of_other_receivers_are_not_fetched(manager, settings):
    settings.SRE_ALERTMANAGER_RECEIVERS = {"sre-platform"}
    manager.alerts = [firing("f1"), firing("f2", receivers=[{"name": "mail"}])]
    assert found(look(manager)) == (1, 0)
    assert Alert.objects.get().fingerprint == "f1"


def test_a_lost_resolved_is_mended_after_two_looks(manager):
    webhook()
    assert found(look(manager)) == (0, 0)
    assert found(look(manager)) == (0, 0), "too early"
    later()
    missing_since = Alert.objects.get().missing_since
    assert found(look(manager)) == (0, 1)
    row = Alert.objects.get()
    assert (row.resolved, row.ends_at) == (True, missing_since)
    assert found(look(manager)) == (0, 0)


def test_one_that_is_back_was_never_gone(manager):
    webhook()
    look(manager)
    manager.alerts = [firing(since=SINCE, state="suppressed")]
    look(manager)
    assert Alert.objects.get().missing_since is None
    manager.alerts = []
    assert found(look(manager)) == (0, 0)


def test_unreachable_changes_nothing(manager):
    webhook()
    look(manager)
    later()
    before = list(Alert.objects.values())
    manager.down = True
    looked = look(manager)
    assert (looked.asked, looked.answered, *found(looked)) == (1, 0, 0, 0)
    assert list(Alert.objects.values()) == before


def test_one_that_has_just_started_knows_nothing(manager):
    webhook()
    manager.age = timedelta(minutes=4)
    look(manager)
    assert Alert.objects.get().missing_since is None
    manager.age = timedelta(minutes=6)
    look(manager)
    later()
    manager.age = timedelta(minutes=4)
    assert found(look(manager)) == (0, 0)
    manager.alerts = [firing("f2")]
    assert found(look(manager)) == (1, 0), "what it does know is believed"
    manager.alerts, manager.age = [], timedelta(minutes=6)
    assert found(look(manager)) == (0, 1)


def test_with_several_all_have_to_answer_and_none_to_have_it(manager):
    webhook()
    with managing() as other:
        other.alerts = [firing(since=SINCE)]
        for _ in range(2):
            assert found(look(manager, other)) == (0, 0)
            later()
        other.alerts, other.down = [], True
        look(manager, other)
        assert Alert.objects.get().missing_since is None
        other.down = False
        look(manager, other)
        later()
        assert found(look(manager, other)) == (0, 1)


def test_a_firing_alert_of_another_source_is_nobodys_business(manager):
    webhook()
    Alert.objects.update(source="grafana")
    look(manager)
    assert Alert.objects.get().missing_since is None


def test_what_fires_there_and_has_resolved_here_is_opened_again(manager):
    webhook(ends_at=stamp(now() - timedelta(minutes=5)))
    manager.alerts = [firing(since=SINCE)]
    looked = look(manager)
    assert (found(looked), looked.contradicted) == ((0, 0), 1)
    digestion.reconsider(timedelta(0))
    row = Alert.objects.get()
    assert (row.resolved, row.ends_at, row.quiet) == (False, None, "")
    assert row.membership.incident.state == "open"
    assert look(manager).contradicted == 0


def test_what_is_opened_again_leaves_the_incident_that_has_ended_and_gets_another(manager):
    webhook()
    first = Alert.objects.get().membership.incident
    webhook(ends_at=stamp(now() - timedelta(minutes=5)))
    record.record(take(first.pk), Event.ALERTS_CLEARED, "Gone.")
    manager.alerts = [firing(since=SINCE)]
    assert look(manager).contradicted == 1
    digestion.reconsider(timedelta(0))
    assert Alert.objects.get().membership.incident_id != first.pk


def test_what_the_intake_would_refuse_is_left_out_and_the_rest_is_mended(manager):
    manager.alerts = [firing("x" * 65), firing("f1")]
    for expected in ((1, 0), (0, 0)):
        looked = look(manager)
        assert (found(looked), looked.unreadable) == (expected, 1)
    assert Delivery.objects.count() == 1


def test_nothing_is_mended_while_the_last_looks_deliveries_wait(manager):
    manager.alerts = [firing(since=SINCE)]
    for _ in range(2):
        Reconciliation.objects.update(next_at=now())
        reconcile.look([manager.url])
    assert Delivery.objects.count() == 1
    digest()
    manager.alerts = [firing(since=SINCE), firing("f2")]
    assert found(look(manager)) == (1, 0)


def test_many_are_mended_in_bodies_of_a_hundred(manager):
    manager.alerts = [firing(f"f{n}", labels={"n": str(n)}) for n in range(250)]
    assert found(look(manager)) == (250, 0)
    assert (Delivery.objects.count(), Alert.objects.count()) == (3, 250)


def test_only_one_looks_at_a_time_and_not_too_often(manager):
    assert look(manager) is not None
    assert reconcile.look([manager.url]) is None
    Reconciliation.objects.update(next_at=now() + timedelta(seconds=1))
    assert reconcile.look([manager.url]) is None
    assert look(manager) is not None


def test_one_that_dies_while_looking_is_followed_by_another(manager):
    manager.alerts = [firing()]

    assert reconcile._claim(), "and then it died"
    assert reconcile.look([manager.url]) is None
    until = Reconciliation.objects.get().next_at
    assert timedelta(seconds=50) < until - now() <= timedelta(seconds=reconcile.CLAIM_S)
    assert found(look(manager)) == (1, 0)


def test_without_alertmanagers_nothing_happens(settings):
    settings.SRE_ALERTMANAGER_URLS = []
    tasks.reconcile_alerts()
    assert not Reconciliation.objects.exists()


def test_the_task_asks_those_of_the_settings(manager, settings):
    settings.SRE_ALERTMANAGER_URLS = [manager.url, "not a url"]
    manager.alerts = [firing()]
    tasks.reconcile_alerts()
    assert Delivery.objects.count() == 1, "a wrong address does not stop the others"


def test_an_alertmanager_whose_silences_cannot_be_read_was_heard_all_the_same(manager):
    manager.alerts = [firing()]
    manager.silence(comment=5)
    looked = look(manager)
    assert (looked.answered, *found(looked)) == (1, 1, 0)
    assert not Silence.objects.exists()
