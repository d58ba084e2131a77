"""Whose turn it is to look hard: one owner at a time, over processes, and none for ever."""

import subprocess
import sys
import threading
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection

from sre_platform.diagnosis import investigate, turns
from sre_platform.diagnosis.models import LookTurn
from sre_platform.diagnosis.turns import DatabaseTurns
from sre_platform.kernel.clock import now

pytestmark = pytest.mark.django_db


def test_who_has_the_turn_keeps_others_away_and_they_are_told_who():
    one, other = DatabaseTurns(), DatabaseTurns()
    assert one.take(["orders", "payments"]) == {}
    refused = other.take(["orders", "redis"])
    assert set(refused) == {"orders"}
    assert f"{one.owner} looks hard at orders just now, until " in refused["orders"]
    one.give_back(["orders"])
    assert other.take(["orders"]) == {}
    assert set(one.take(["redis", "payments"])) == {"redis", "payments"}, "not even its own turn twice"


def test_the_turn_of_who_died_runs_out_and_he_cannot_give_back_what_is_anothers():
    dead, heir = DatabaseTurns(), DatabaseTurns()
    assert dead.take(["orders"]) == {}
    LookTurn.objects.update(held_until=now() - timedelta(seconds=1))
    assert heir.take(["orders"]) == {}
    dead.give_back(["orders"])
    row = LookTurn.objects.get()
    assert (row.fence, row.held_until is None) == (2, False)
    heir.give_back(["orders"])
    assert LookTurn.objects.get().held_until is None


def test_a_turn_lasts_longer_than_a_look():
    assert investigate.LOOK_DEADLINE_S * 1.5 <= turns.LEASE_S <= settings.SRE_LEASE_S / 2


def test_it_takes_as_many_statements_however_many_services(django_assert_max_num_queries):
    services = [f"s{number}" for number in range(30)]
    mine = DatabaseTurns()
    with django_assert_max_num_queries(5):  # with the savepoint
        mine.take(services)
    with django_assert_max_num_queries(1):
        mine.give_back(services)
    assert not LookTurn.objects.exclude(held_until=None).exists()


@pytest.mark.django_db(transaction=True)
def test_of_many_who_ask_at_the_same_moment_one_gets_it():
    together, given = threading.Barrier(6), []

    def ask():
        mine = DatabaseTurns()
        together.wait(10)
        try:
            given.append(not mine.take(["orders", "payments"]))
        finally:
            connection.close()

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(given) == [False] * 5 + [True]
    assert set(LookTurn.objects.values_list("fence", flat=True)) == {1}


TAKER = """
import django; django.setup()
from sre_platform.diagnosis.turns import DatabaseTurns
import sys
print(len(DatabaseTurns().take(["orders"])), flush=True)
sys.stdin.read()
"""


@pytest.mark.django_db(transaction=True)
def test_the_turn_of_a_process_that_is_killed_is_free_once_it_has_run_out():
    url = connection.settings_dict["NAME"]
    if connection.vendor != "sqlite":
        pytest.skip("the other process is given the test database as a file")
    env = {"SRE_DATABASE_URL": f"sqlite:///{url}", "SRE_SECRET_KEY": "x", "SRE_ENV_FILE": "/nonexistent"}
    env |= {"DJANGO_SETTINGS_MODULE": "sre_platform.settings", "SRE_DATA": str(settings.SRE_DATA)}
    with subprocess.Popen(
        [sys.executable, "-c", TAKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, cwd=settings.BASE_DIR
    ) as other:
        try:
            assert other.stdout.readline() == b"0\n"
            mine = DatabaseTurns()
            assert "looks hard at orders" in mine.take(["orders"])["orders"]
            other.kill()
            other.wait(10)
            assert mine.take(["orders"]), "nobody can know yet that it is dead"
            LookTurn.objects.update(held_until=now())
            assert mine.take(["orders"]) == {}
        finally:
            other.kill()
