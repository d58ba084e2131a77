from datetime import UTC, datetime, timedelta
from importlib import import_module

import pytest
from django.apps import apps

from sre_platform.guardrails.domain import Limit
from sre_platform.guardrails.models import (
    ActionLimit,
    FreezeWindow,
    Gate,
    PolicyVersion,
    RemediationPolicy,
    every_policy,
    gate,
    halted,
    limits,
    open_freezes,
    policies,
    set_kill_switch,
)

pytestmark = pytest.mark.django_db


def test_the_kill_switch_is_off_until_somebody_throws_it():
    assert halted() == ""
    set_kill_switch(True, "ann", "migration")
    assert halted() == "migration (by ann)"
    set_kill_switch(False, "ann", "done")
    assert halted() == ""


def test_a_switch_thrown_without_a_reason_still_stops():
    set_kill_switch(True, "ann", "")
    assert halted() == "no reason given (by ann)"


def test_a_policy_does_not_act_unless_somebody_says_so():
    assert RemediationPolicy.objects.create(name="new").mode == "observe"


def test_policies_in_force_come_by_precedence():
    RemediationPolicy.objects.create(name="b", precedence=20)
    RemediationPolicy.objects.create(name="z", precedence=10, mode="auto", service="pay*")
    RemediationPolicy.objects.create(name="a", precedence=20)
    RemediationPolicy.objects.create(name="off", precedence=1, enabled=False)
    assert [policy.name for policy in policies()] == ["z", "a", "b"]
    assert (policies()[0].mode, policies()[0].service) == ("auto", "pay*")
    assert [(policy.name, policy.enabled) for policy in every_policy()] == [
        ("off", False),
        ("z", True),
        ("a", True),
        ("b", True),
    ]


def versions(name="careful"):
    rows = PolicyVersion.objects.filter(name=name).order_by("version")
    return [(row.version, row.by, row.content["mode"]) for row in rows]


def test_every_change_of_a_policy_is_kept_and_nothing_when_nothing_changed():
    row = RemediationPolicy.objects.create(name="careful")
    row.save()
    row.mode, row.changed_by = "auto", "ann"
    row.save()
    RemediationPolicy.objects.update_or_create(name="careful", defaults={"mode": "approve"})
    RemediationPolicy.objects.get(name="careful").save()
    assert versions() == [(1, "", "observe"), (2, "ann", "auto"), (3, "", "approve")]
    assert (policies()[0].version, str(policies()[0])) == (3, "careful v3")


def test_a_version_holds_all_that_people_decide_about():
    row = RemediationPolicy.objects.create(name="careful", plan=["restart_service"], tier="gold", min_budget_left=0.2)
    fields = {field.attname for field in RemediationPolicy._meta.concrete_fields} - {"id", "version"}
    content = PolicyVersion.objects.get().content
    assert set(content) == fields
    assert (content["plan"], content["tier"], content["min_budget_left"]) == (["restart_service"], "gold", 0.2)
    assert row.as_value().plan[0].name == "restart_service"


def test_the_history_of_a_policy_that_is_deleted_stays_and_goes_on():
    RemediationPolicy.objects.create(name="careful", mode="auto")
    RemediationPolicy.objects.all().delete()
    assert versions() == [(1, "", "auto")]
    assert RemediationPolicy.objects.create(name="careful", mode="auto").version == 2
    assert versions() == [(1, "", "auto"), (2, "", "auto")]


def test_policies_from_before_there_were_versions_get_their_first(migrated_without_versions):
    RemediationPolicy.objects.bulk_create([RemediationPolicy(name="old", mode="auto")])
    migrated_without_versions(apps, None)
    assert (versions("old"), policies()[0].version) == ([(1, "before there were versions", "auto")], 1)
    migrated_without_versions(apps, None)
    RemediationPolicy.objects.get().save()
    assert len(versions("old")) == 1


@pytest.fixture
def migrated_without_versions():
    return import_module("sre_platform.guardrails.migrations.0003_versions_and_bounds").first_versions


def test_limits_in_force():
    ActionLimit.objects.create(name="hourly", per="cluster", max_actions=6, window_s=3600, at_once=2, service="pay*")
    ActionLimit.objects.create(name="off", max_actions=0, enabled=False)
    assert limits() == [Limit("hourly", "cluster", 6, 3600, at_once=2, service="pay*")]


START = datetime(2027, 1, 3, 2, 0, tzinfo=UTC)


def window(**fields):
    times = {"first_start": START, "duration_s": 3600, "rrule": "FREQ=WEEKLY;BYDAY=SU"}
    return FreezeWindow.objects.create(**{"name": "sundays", "reason": "nobody is here"} | times | fields)


@pytest.mark.parametrize(
    ("hours", "is_open"), [(-1, False), (0, True), (0.99, True), (1, False), (7 * 24, True), (8 * 24, False)]
)
def test_freeze_windows_open_as_often_as_they_say(hours, is_open):
    window(service="pay*", environment="prod*")
    freezes = open_freezes(START + timedelta(hours=hours))
    assert bool(freezes) is is_open
    if is_open:
        assert freezes[0].reason.startswith("nobody is here, until 03:00 UTC")
        assert (freezes[0].name, freezes[0].service, freezes[0].environment) == ("sundays", "pay*", "prod*")


def test_a_freeze_window_that_is_off_is_never_open():
    window(enabled=False)
    assert open_freezes(START) == []


@pytest.mark.parametrize("wrong", [{"rrule": "FREQ=NEVER"}, {"timezone": "Atlantis"}, {"duration_s": float("inf")}])
def test_a_freeze_window_that_cannot_be_read_counts_as_open(wrong):
    row = FreezeWindow(name="broken", reason="year end", **{"first_start": START, "duration_s": 60} | wrong)
    freeze = row.open_at(START - timedelta(days=99))
    assert "year end (when it is open cannot be told: " in freeze.reason


def test_whoever_is_in_the_gate_is_counted():
    with gate():
        assert Gate.objects.get().passed == 1
    with gate(), gate():
        pass
    assert Gate.objects.get().passed == 3
