from datetime import timedelta

import pytest

from sre_platform.clients.alertmanager import Alertmanager
from sre_platform.engine.mirroring import Mirrored, mark, mirror
from sre_platform.incidents.models import Silence
from sre_platform.incidents.quieting import load
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Unavailable
from tests.fakes.manager import managing, stamp

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager():
    with managing() as fake:
        yield fake


def look(*managers):
    done = Mirrored()
    for manager in managers:
        mirror(Alertmanager(manager.url), done)
    return done


def ours(**fields):
    some = {"matchers": ["alertname=DiskFull", "env=~prod.*"], "comment": "swap", "by": "ann"}
    return Silence.objects.create(**some | {"starts_at": now(), "ends_at": now() + timedelta(hours=1)} | fields)


def in_force():
    return [silence.id for silence in load(now()).silences]


def test_silences_made_there_are_mirrored_once_and_followed(manager):
    key = manager.silence()
    assert look(manager).taken == 1
    row = Silence.objects.get()
    assert (row.origin, row.external_id, row.by, row.comment) == (manager.url, key, "bob", "swap")
    assert in_force() == [str(row.pk)]
    assert look(manager) == Mirrored(), "nothing new"
    manager.silences[key]["endsAt"] = stamp(now() + timedelta(days=2))
    look(manager)
    assert Silence.objects.get().ends_at > now() + timedelta(days=1)
    manager.expire(key)
    look(manager)
    assert in_force() == []
    assert Silence.objects.count() == 1


def test_what_is_gone_there_ends_here_and_comes_back_with_it(manager):
    key = manager.silence()
    look(manager)
    kept = manager.silences.pop(key)
    assert look(manager).ended_here == 1
    assert in_force() == []
    manager.silences[key] = kept
    look(manager)
    assert len(in_force()) == 1
    assert not [call for call in manager.calls if call.startswith("DELETE")], "nothing is ended there by our doubt"


def test_what_has_expired_before_it_was_seen_is_not_mirrored(manager):
    manager.expire(manager.silence())
    look(manager)
    assert not Silence.objects.exists()


def test_one_that_cannot_be_judged_here_is_left_out(manager):
    manager.silence(matchers=[{"name": "x", "value": "(a+)+b", "isRegex": True, "isEqual": True}])
    good = manager.silence()
    done = look(manager)
    assert (done.refused, done.taken) == (1, 1)
    assert Silence.objects.get().external_id == good


def test_a_mirrored_one_that_is_ended_here_is_ended_there(manager):
    key = manager.silence()
    look(manager)
    Silence.objects.update(expired=True)
    assert look(manager).ended_there == 1
    assert manager.silences[key]["status"] == {"state": "expired"}
    assert look(manager).ended_there == 0


def test_one_made_here_is_posted_once_and_not_mirrored_back(manager):
    row = ours()
    assert look(manager).posted == [row.pk]
    [there] = manager.silences.values()
    assert (there["createdBy"], there["comment"]) == ("ann", f"swap {mark(row)}")
    assert there["matchers"][1] == {"name": "env", "value": "prod.*", "isRegex": True, "isEqual": True}
    row.refresh_from_db()
    assert row.posted == {manager.url: there["id"]}
    assert look(manager) == Mirrored()
    assert (len(manager.silences), Silence.objects.count()) == (1, 1)


def test_dying_between_posting_and_remembering_makes_no_second_one(manager):
    row = ours()
    manager.die_after = {"POST"}
    with pytest.raises(Unavailable):
        look(manager)
    assert Silence.objects.get().posted == {}
    look(manager)
    [there] = manager.silences
    assert Silence.objects.get() == row
    assert Silence.objects.get().posted == {manager.url: there}


def test_one_made_here_and_ended_here_is_ended_there(manager):
    row = ours()
    look(manager)
    Silence.objects.update(expired=True)
    assert look(manager).ended_there == 1
    [there] = manager.silences.values()
    assert there["status"] == {"state": "expired"}
    assert look(manager) == Mirrored()
    assert row.pk not in in_force()


def test_one_made_here_and_ended_there_is_ended_here(manager):
    ours()
    look(manager)
    manager.expire(*manager.silences)
    assert look(manager).ended_here == 1
    assert Silence.objects.get().expired
    assert look(manager) == Mirrored()


def test_one_made_here_that_it_has_forgotten_is_posted_again(manager):
    row = ours()
    look(manager)
    manager.silences.clear()
    assert look(manager).posted == [row.pk]


def test_one_that_was_ended_before_it_was_posted_or_is_over_is_not(manager):
    ours(expired=True), ours(starts_at=now() - timedelta(hours=2), ends_at=now() - timedelta(hours=1))
    ours(matchers=["x=~("])
    assert (look(manager).posted, look(manager).refused, manager.silences) == ([], 1, {})


def test_each_alertmanager_gets_it_but_not_in_the_same_look(manager):
    row = ours()
    with managing() as other:
        assert look(manager, other).posted == [row.pk]
        assert (len(manager.silences), len(other.silences)) == (1, 0)
        other.silences = dict(manager.silences)  # they are one cluster
        assert look(manager, other).posted == []
        other.silences = {}  # they are none
        assert look(manager, other).posted == [row.pk]
        assert len(other.silences) == 1
    assert Silence.objects.count() == 1
