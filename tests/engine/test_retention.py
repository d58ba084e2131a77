"""What has become old goes, in portions; what is pending, young, or belongs to an incident stays."""

import json
import threading
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from sre_platform.diagnosis import store
from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.models import Baseline, EvidenceBlob, EvidenceRow
from sre_platform.engine import retention, tasks
from sre_platform.engine.retention import Pruned
from sre_platform.incidents.models import Incident, IncidentAlert, TimelineEntry
from sre_platform.intake.models import Alert, Delivery, LedgerEntry
from sre_platform.rollouts import record, walk
from sre_platform.rollouts.models import Rollout, RolloutSample
from tests.web import factories

pytestmark = pytest.mark.django_db
OLD, YOUNG = timedelta(days=31), timedelta(days=29)


def sent(ago: timedelta, *alerts: Alert, state: str = "digested") -> Delivery:
    row = Delivery.objects.create(received_at=now() - ago, body=b"{}", size=2, state=state, source="alertmanager")
    for alert in alerts:
        LedgerEntry.objects.create(delivery=row, alert=alert, fate="joined", says="It joined.")
    return row


def over(ago: timedelta) -> Alert:
    """An alert that ended so long ago."""
    return factories.alert(at=now() - ago, resolved=True, ends_at=now() - ago)


def left(model) -> set[int]:
    return set(model.objects.values_list("pk", flat=True))


def test_what_is_old_goes_and_what_is_young_or_pending_stays():
    gone, alert = over(OLD), over(YOUNG)
    sent(OLD, gone, alert)
    sent(OLD, state="rejected")
    young, pending = sent(YOUNG, alert), sent(OLD, state="pending")
    assert retention.prunable() == retention.prune() == Pruned(deliveries=2, ledger=2, alerts=1)
    assert left(Delivery) == {young.pk, pending.pk}
    assert left(LedgerEntry) == set(young.ledger.values_list("pk", flat=True))
    assert left(Alert) == {alert.pk}
    assert retention.prune() == Pruned()


def test_alerts_stay_that_fire_or_belong_to_an_incident_or_came_again_lately():
    firing, again, member = factories.alert(at=now() - OLD), over(OLD), over(OLD)
    story = factories.opened()
    IncidentAlert.objects.create(incident=story.incident, alert=member, reason="joined")
    sent(YOUNG, again)
    sent(OLD, firing, again, member)
    before = left(Alert)
    assert retention.prune() == Pruned(deliveries=1, ledger=3)
    assert left(Alert) == before


def test_an_alert_whose_end_nobody_told_goes_by_when_it_came():
    factories.alert(at=now() - OLD, resolved=True)
    stays = factories.alert(at=now() - YOUNG, resolved=True)
    assert retention.prune().alerts == 1
    assert left(Alert) == {stays.pk}


def test_incidents_stay_and_only_the_raw_texts_of_ended_ones_go():
    ended, lately, still = factories.resolved(), factories.resolved(), factories.diagnosed()
    Incident.objects.filter(pk__in=[ended.incident.pk, still.incident.pk]).update(opened_at=now() - OLD)
    Incident.objects.filter(pk=ended.incident.pk).update(ended_at=now() - OLD)
    entries = TimelineEntry.objects.count()
    assert retention.prunable() == retention.prune() == Pruned(texts=1)
    kept = {row.incident_id for row in EvidenceRow.objects.all() if row.texts}
    assert kept == {lately.incident.pk, still.incident.pk}
    assert (Incident.objects.count(), TimelineEntry.objects.count()) == (3, entries)
    assert EvidenceBlob.objects.count() == 1, "the others hold the same dump"
    assert all(row.data or row.missing for row in ended.incident.evidence.all())


def aged(**fields) -> None:
    EvidenceBlob.objects.filter(**fields).update(created_at=now() - timedelta(hours=2))


def test_a_document_goes_once_nothing_refers_to_it_and_nobody_has_lately(monkeypatch):
    monkeypatch.setattr(retention, "A_FEW", 1)
    story, document = factories.opened(), store.document
    fresh, old, other, held, good = (document("x", "text", content) for content in (b"1", b"2", b"3", b"4", b"5"))
    store.write_blobs([fresh, old, other, held, good])
    Baseline.objects.create(service="a", release="v1", kind="cpu", blob_id=good.sha256, taken_at=now())
    aged(pk__in=[old.sha256, other.sha256, held.sha256, good.sha256])
    seen = Evidence("go_profiles", "payments", now(), texts={"x": "4"})
    store.keep(story.incident.pk, 1, store.pack([seen]))
    aged(pk=held.sha256)
    assert retention.prunable() == retention.prune() == Pruned(blobs=2)
    assert set(EvidenceBlob.objects.values_list("pk", flat=True)) == {fresh.sha256, held.sha256, good.sha256}


def test_a_document_that_is_referred_to_again_meanwhile_stays():
    """A writer that finds a blob makes it young, so the collector that had chosen it deletes nothing."""
    document = store.document("x", "text", b"1")
    store.write_blobs([document])
    aged()
    chosen = list(store.garbage().values_list("pk", flat=True))
    store.write_blobs([document])
    assert chosen == [document.sha256]
    assert store.delete_garbage(chosen) == 0
    assert EvidenceBlob.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_document_that_is_being_referred_to_at_the_same_moment_stays():
    """On PostgreSQL the collector waits for the writer's lock and looks again; on SQLite it waits for its turn."""
    story, begun = factories.opened(), threading.Event()
    old = store.document("x", "text", b"4")
    store.write_blobs([old])
    aged()
    deleted = []

    def collect():
        begun.wait(10)
        try:
            deleted.append(store.delete_garbage([old.sha256]))
        finally:
            connection.close()

    collector = threading.Thread(target=collect)
    collector.start()
    with transaction.atomic():
        store.keep(story.incident.pk, 1, store.pack([Evidence("a", "payments", now(), texts={"x": "4"})]))
        begun.set()
        collector.join(0.5)
        assert deleted == [], "it waits"
    collector.join(30)
    assert deleted == [0]
    assert EvidenceRow.objects.get().texts == {"x": "4"}


def test_documents_that_were_let_go_of_before_a_crash_are_collected_by_the_next_run():
    ended = factories.resolved()
    Incident.objects.filter(pk=ended.incident.pk).update(ended_at=now() - OLD)
    aged()
    assert retention.prunable() == Pruned(texts=1, blobs=1)
    portions = retention._portions(now() - timedelta(days=30))
    assert next(portions) == ("texts", 1)
    portions.close()
    assert retention.prune() == Pruned(blobs=1)
    assert not EvidenceBlob.objects.exists()


def test_each_transaction_deletes_a_portion_and_the_oldest_go_first(monkeypatch):
    monkeypatch.setattr(retention, "A_PORTION", 4)
    monkeypatch.setattr(retention, "A_FEW", 2)
    alert = factories.alert()
    rows = [sent(OLD + timedelta(minutes=minute), *[alert] * 5) for minute in range(5)]
    portions = retention._portions(now() - timedelta(days=30))
    assert [next(portions) for _ in range(4)] == [("ledger", 4), ("ledger", 4), ("ledger", 2), ("deliveries", 2)]
    assert left(Delivery) == {row.pk for row in rows[:3]}
    assert retention.prune() == Pruned(deliveries=3, ledger=15)


def test_it_stops_when_its_time_is_up_and_goes_on_the_next_time(monkeypatch):
    monkeypatch.setattr(retention, "A_FEW", 1)
    for _ in range(3):
        sent(OLD, factories.alert())
    assert retention.prune(for_s=-1) == Pruned(ledger=1, finished=False)
    assert retention.prune() == Pruned(deliveries=3, ledger=2)


def test_a_delivery_that_became_pending_again_stays():
    row = sent(OLD, factories.alert())
    portions = retention._portions(now() - timedelta(days=30))
    next(portions)
    Delivery.objects.filter(pk=row.pk).update(state="pending")
    assert next(portions) == ("deliveries", 0)
    assert left(Delivery) == {row.pk}


def test_bodies_are_not_read_to_be_deleted():
    sent(OLD)
    with CaptureQueriesContext(connection) as seen:
        retention.prune()
    assert not [query["sql"] for query in seen if '"body"' in query["sql"]]


def test_with_no_days_everything_is_kept(settings, capsys):
    settings.SRE_KEEP_DAYS = 0
    sent(OLD)
    assert retention.prunable() == retention.prune() == Pruned()
    call_command("prune")
    assert "everything is kept" in capsys.readouterr().out


def test_the_command_counts_and_deletes_nothing_when_it_is_dry(capsys):
    sent(OLD, over(OLD))
    call_command("prune", dry_run=True, json=True)
    assert json.loads(capsys.readouterr().out) == {
        "deliveries": 1,
        "ledger": 1,
        "alerts": 1,
        "texts": 0,
        "blobs": 0,
        "samples": 0,
        "finished": True,
        "dry_run": True,
        "keep_days": 30,
    }
    call_command("prune")
    assert "Deleted 1 webhooks, 1 entries of the ledger, 1 alerts" in capsys.readouterr().out
    assert not left(Delivery)


def test_beat_rings_for_it(settings):
    assert settings.CELERY_BEAT_SCHEDULE["prune"]["task"] == tasks.prune.name
    sent(OLD)
    tasks.prune()
    assert not left(Delivery)


def test_the_samples_of_a_roll_out_go_once_it_is_old_and_its_decisions_stay():
    walks = [
        record.start(name, ("v1", "v2"), "envoy", walk.plan(), 60.0, "ann", "") for name in ("old", "fresh", "open")
    ]
    for row, days in zip(walks, (31, 29, None), strict=True):
        ended = None if days is None else now() - timedelta(days=days)
        Rollout.objects.filter(pk=row.pk).update(ended_at=ended)
        RolloutSample.objects.create(rollout=row, number=0, at=now(), step=0, weight=5, data={})
    assert retention.prunable() == retention.prune() == Pruned(samples=1)
    assert set(RolloutSample.objects.values_list("rollout__service", flat=True)) == {"fresh", "open"}
    assert walks[0].events.count() == 1
