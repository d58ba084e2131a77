"""Profiles of a good day: once for each release, only when asked for, only while all is well."""

from datetime import timedelta

import pytest
from django.db import transaction

from sre_platform.catalog.models import Change, Service, changes_since, topology
from sre_platform.diagnosis import baselines, store
from sre_platform.diagnosis.models import Baseline, EvidenceBlob, LookTurn
from sre_platform.diagnosis.turns import DatabaseTurns
from sre_platform.engine import tasks
from sre_platform.engine.work import load
from sre_platform.incidents.domain import State
from sre_platform.incidents.models import Incident
from sre_platform.kernel.clock import now
from tests.diagnosis.test_collect_profiles import Go
from tests.fakes.leases import Died, incident, take
from tests.fakes.wire import serving

pytestmark = pytest.mark.django_db


@pytest.fixture
def go(tmp_path, monkeypatch):
    """A process of payments v1 that has run for long."""
    monkeypatch.setitem(baselines.PROFILES, "cpu", "profile?seconds=1")
    (tmp_path / "current").symlink_to(tmp_path / "v1")
    process = Go()
    with serving(process) as wire:
        url = f"{wire.url}/debug/pprof"
        Service.objects.create(name="payments", baseline=True, pprof_url=url, release_link=str(tmp_path / "current"))
        process.folder = tmp_path
        yield process


def tick():
    return baselines.take(topology(), changes_since, DatabaseTurns())


def release(folder, name):
    (folder / "current").unlink()
    (folder / "current").symlink_to(folder / name)


def test_one_cpu_and_one_heap_profile_of_a_release_once(go):
    assert tick() == ["cpu of payments v1", "heap of payments v1"]
    assert go.asked == ["profile?seconds=1", "heap"]
    assert tick() == []
    assert len(go.asked) == 2
    found = baselines.newest({"payments": "v2"})["payments"]
    assert (found.release, found.profiles) == ("v1", {"cpu": b"profile 1", "heap": b"heap 2"})
    assert baselines.newest({"payments": "v1"}) == {}, "the running release is not compared with itself"
    assert not LookTurn.objects.exclude(held_until=None).exists()


@pytest.mark.parametrize("state", ["off", "incident", "deploy", "no link", "turn"])
def test_nothing_is_asked_unless_it_is_wanted_and_all_is_well(go, state):
    if state == "off":
        Service.objects.update(baseline=False)
    elif state == "incident":
        incident(State.DIAGNOSED, service="somebody else")
    elif state == "deploy":
        Change.objects.create(service="payments", at=now() - timedelta(minutes=5), before="v0", after="v1")
    elif state == "no link":
        Service.objects.update(release_link="/nonexistent")
    else:
        DatabaseTurns().take(["payments"])
    assert tick() == []
    assert go.asked == []


def test_a_past_incident_and_an_old_deploy_do_not_keep_it_from_being_taken(go):
    row = incident(State.RESOLVED, service="payments")
    Incident.objects.filter(pk=row.pk).update(due_at=None, ended_at=now())
    Change.objects.create(service="payments", at=now() - timedelta(minutes=11), before="v0", after="v1")
    assert len(tick()) == 2


def test_a_profile_that_is_refused_is_tried_again_at_the_next_tick(go):
    go.refuse = ("profile",)
    assert tick() == ["heap of payments v1"]
    go.refuse = ()
    assert tick() == ["cpu of payments v1"]


def test_who_dies_in_between_has_taken_nothing(go, monkeypatch):
    def die(_documents):
        raise Died

    monkeypatch.setattr(store, "write_blobs", die)
    with pytest.raises(Died), transaction.atomic():
        tick()
    assert not Baseline.objects.exists()
    monkeypatch.undo()
    LookTurn.objects.update(held_until=None)
    assert len(tick()) == 2


def test_a_few_releases_are_kept_and_the_blobs_of_the_others_become_garbage(go):
    for number in range(1, 6):
        release(go.folder, f"v{number}")
        assert len(tick()) == 2
    assert set(Baseline.objects.values_list("release", flat=True)) == {"v3", "v4", "v5"}
    EvidenceBlob.objects.update(created_at=now() - timedelta(hours=2))
    assert store.garbage().count() == 4


def test_the_diagnosis_of_another_release_is_given_them_if_a_playbook_wants_profiles(go):
    tick()
    release(go.folder, "v2")
    row = incident(State.OPEN)
    work = load(take(row.pk))
    assert work.scene().baselines == {}
    from tests.diagnosis.test_investigate import book

    work.playbooks["x"] = book("[go_profiles]")
    assert work.scene().baselines["payments"].release == "v1"


def test_beat_rings_for_it(settings, go):
    assert settings.CELERY_BEAT_SCHEDULE["baselines"]["task"] == tasks.take_baselines.name
    tasks.take_baselines()
    assert Baseline.objects.count() == 2
