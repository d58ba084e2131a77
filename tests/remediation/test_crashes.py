"""An owner dies at every place of a step, and of its undo: the next one finishes, and each effect happened once."""

import os
from datetime import timedelta

import pytest

from sre_platform.incidents import record
from sre_platform.incidents.models import Incident
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Lost
from sre_platform.remediation import steps
from sre_platform.remediation.steps import Outcome
from tests.fakes.leases import Died, Mortal, incident, take, with_fate
from tests.remediation.test_steps import carry, state, written

pytestmark = pytest.mark.django_db
STOP, START = ("stop", "payments"), ("start", "payments")

# The lease is confirmed before begin, before each effect and before finish; dying there is dying between them.
ROLLBACK_DEATHS = {
    "before begin": (1, "prepared", "v2", []),
    "after begin, before any effect": (2, "applying", "v2", []),
    "between link switch and restart": (3, "applying", "v1", []),
    "between stop and start": (4, "applying", "v1", [STOP]),
    "after the effect, before finish": (5, "applying", "v1", [STOP, START]),
}
RESTART_DEATHS = {
    "before begin": (1, "prepared", []),
    "after begin, before any effect": (2, "applying", []),
    "between stop and start": (3, "applying", [STOP]),
    "after the effect, before finish": (4, "applying", [STOP, START]),
}


def die(shop, step, last):
    with pytest.raises(Died):
        carry(shop, step, with_fate(Mortal, take(step.incident_id, "the one who dies"), last))


def test_who_is_about_to_act_has_a_whole_lease_for_it(settings):
    """With a second left a command of ten would be found begun, not done, and run again beside itself."""
    one = incident()
    lease = take(one.pk)
    Incident.objects.update(claimed_until=now() + timedelta(seconds=1))
    lease.confirm()
    one.refresh_from_db()
    assert one.claimed_until > now() + timedelta(seconds=settings.SRE_LEASE_S - 1)
    assert record.claim(one.pk, "the next owner", 30) is None
    settings.SRE_LEASE_S = 1
    lease.confirm()
    assert Incident.objects.get().claimed_until == one.claimed_until, "no lease is shortened"


def test_a_lease_that_is_over_is_not_begun_anew_by_asking():
    lease = take(incident().pk)
    Incident.objects.update(claimed_until=now() - timedelta(seconds=1))
    with pytest.raises(Lost):
        lease.confirm()
    assert Incident.objects.get().claimed_until < now()


@pytest.mark.parametrize("place", ROLLBACK_DEATHS)
def test_a_rollback_whose_owner_died(shop, place):
    last, left, release, effects = ROLLBACK_DEATHS[place]
    step = written(shop)
    die(shop, step, last)
    assert (state(step), shop.release, shop.supervisor.effects) == (left, release, effects)
    link = os.lstat(shop.link).st_ino
    assert carry(shop, step).outcome is Outcome.DONE
    assert (state(step), shop.release, shop.supervisor.effects) == ("applied", "v1", [STOP, START])
    if release == "v1":
        assert os.lstat(shop.link).st_ino == link  # not switched a second time


@pytest.mark.parametrize("place", RESTART_DEATHS)
def test_a_restart_whose_owner_died(shop, place):
    last, left, effects = RESTART_DEATHS[place]
    step, old = written(shop, "restart_service"), shop.process.pid
    die(shop, step, last)
    assert (state(step), shop.supervisor.effects) == (left, effects)
    carried = carry(shop, step)
    assert carried.outcome is Outcome.DONE
    assert shop.supervisor.effects == [STOP, START]
    assert (state(step), shop.process.state) == ("applied", "RUNNING")
    assert shop.process.pid != old
    assert ("found done" in carried.said) == (len(effects) == 2)


@pytest.mark.parametrize("place", ROLLBACK_DEATHS)
def test_an_undo_whose_owner_died(shop, place):
    last, left, _, effects = ROLLBACK_DEATHS[place]
    step = written(shop)
    carry(shop, step)
    shop.supervisor.effects.clear()
    undo = steps.begin_undo(step, shop.target(), shop.world())
    die(shop, undo, last)
    assert (state(undo), shop.supervisor.effects) == (left, effects)
    again = steps.begin_undo(step, shop.target(), shop.world())
    assert again.pk == undo.pk
    assert carry(shop, again).outcome is Outcome.DONE
    assert (shop.release, shop.supervisor.effects) == ("v2", [STOP, START])


def test_two_owners_die_one_after_the_other(shop):
    step = written(shop)
    die(shop, step, 3)  # the link is switched
    die(shop, step, 3)  # the process is stopped
    assert shop.supervisor.effects == [STOP]
    assert carry(shop, step).outcome is Outcome.DONE
    assert shop.supervisor.effects == [STOP, START]
