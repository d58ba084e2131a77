from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from sre_platform.engine.syncing import sync_catalog
from sre_platform.incidents.models import InhibitionRule, MaintenanceWindow, Silence
from sre_platform.incidents.quiet import why_quiet
from sre_platform.incidents.quieting import load
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Malformed

pytestmark = pytest.mark.django_db
AT = datetime(2026, 11, 22, 2, 30, tzinfo=UTC)
CATALOG = """\
maintenance_windows:
  - name: db-sunday
    matchers: ['alertname="DiskFull"']
    first_start: "2026-11-22T03:00:00+01:00"
    duration_s: 7200
    rrule: FREQ=WEEKLY;BYDAY=SU
    timezone: Europe/Berlin
inhibition_rules:
  - {name: x, source: [alertname=ClusterDown], target: [severity=warning], equal: [cluster]}
"""


def silence(**fields):
    some = {"matchers": ["alertname=DiskFull"], "starts_at": AT, "ends_at": AT + timedelta(hours=1), "by": "ann"}
    return Silence.objects.create(**some | fields)


def catalog(folder, text=CATALOG):
    (folder / "catalog.yaml").write_text(text)
    return sync_catalog(folder / "catalog.yaml", {})


def test_what_is_in_force_is_loaded_in_three_queries(tmp_path, django_assert_num_queries):
    catalog(tmp_path)
    row, coming = silence(comment="swap"), silence(starts_at=AT + timedelta(minutes=5))
    silence(expired=True), silence(starts_at=AT - timedelta(hours=1), ends_at=AT)
    with django_assert_num_queries(3):
        rules = load(AT)
    assert [one.id for one in rules.silences] == [str(row.pk), str(coming.pk)]
    assert why_quiet({"alertname": "DiskFull"}, AT, rules, list) == f"silence {row.pk} by ann until 03:30 UTC: swap"
    Silence.objects.update(expired=True)
    MaintenanceWindow.objects.update(enabled=True)
    assert why_quiet({"alertname": "DiskFull"}, AT, load(AT), list) == "maintenance window db-sunday until 04:00 UTC"
    warning = {"severity": "warning", "cluster": "eu1"}
    down = {"alertname": "ClusterDown", "cluster": "eu1"}
    assert why_quiet(warning, AT, load(AT), lambda _: [down]).startswith("inhibited by ClusterDown (rule x)")


def test_what_is_disabled_is_not_in_force(tmp_path):
    catalog(tmp_path)
    MaintenanceWindow.objects.update(enabled=False)
    InhibitionRule.objects.update(enabled=False)
    rules = load(AT)
    assert (rules.windows, rules.inhibitions) == ((), ())


def test_a_row_that_cannot_be_read_is_left_out_and_the_others_count():
    silence(matchers=["x=~("]), silence(matchers=7)
    good = silence()
    assert [one.id for one in load(AT).silences] == [str(good.pk)]


def test_syncing_again_changes_nothing_and_a_change_is_taken(tmp_path):
    assert catalog(tmp_path)[3:] == [
        "1 maintenance windows from catalog.yaml, 1 of them changed.",
        "1 inhibition rules from catalog.yaml, 1 of them changed.",
    ]
    assert [said.split(", ")[1] for said in catalog(tmp_path)[3:]] == ["0 of them changed."] * 2
    assert catalog(tmp_path, CATALOG.replace("7200", "3600"))[3].endswith(", 1 of them changed.")
    assert MaintenanceWindow.objects.get().duration_s == 3600


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("BYDAY=SU", "BYDAY=XX", "maintenance window db-sunday: BYDAY needs weekdays"),
        ("FREQ=WEEKLY", "FREQ=MINUTELY", "FREQ has to be one of"),
        ("Europe/Berlin", "Berlin", "'Berlin' is not a time zone"),
        ('+01:00"', '"', "needs a UTC offset"),
        ("7200", "-1", "A duration lies between"),
        ("7200", "long", "“long” value must be a float"),
        ("['alertname=\"DiskFull\"']", "DiskFull", "Matchers are a list"),
        ("alertname=ClusterDown", "alertname", "is not a matcher such as"),
        ("equal: [cluster]", "equal: cluster", "a list of labels' names"),
        ("equal: [cluster]", "equal: [a b]", "'a b' is not a label name"),
        ("first_start", "start", "maintenance window has no start"),
    ],
)
def test_a_wrong_file_says_what_is_wrong_in_a_sentence(tmp_path, old, new, said):
    assert old in CATALOG
    with pytest.raises(Malformed) as caught:
        catalog(tmp_path, CATALOG.replace(old, new))
    assert said in str(caught.value)
    assert not MaintenanceWindow.objects.exists()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"matchers": ["x=~(a+)+"]}, "repeats a group"),
        ({"matchers": []}, "This field cannot be blank"),
        ({"ends_at": AT}, "has to end after it starts"),
        ({"starts_at": None}, "This field cannot be null"),
    ],
)
def test_a_wrong_silence_is_refused_with_one_sentence(fields, said):
    some = {"matchers": ["x=a"], "starts_at": AT, "ends_at": AT + timedelta(hours=1)}
    with pytest.raises(ValidationError) as caught:
        Silence(**some | fields).full_clean()
    assert said in " ".join(caught.value.messages)


def test_people_make_silences_in_the_admin_and_end_them(admin_client, admin_user):
    add = reverse("admin:incidents_silence_add")
    fields = {"matchers": '["alertname=DiskFull"]', "comment": "swap"}
    fields |= {"starts_at_0": "2026-11-22", "starts_at_1": "02:00", "ends_at_0": "2099-11-22", "ends_at_1": "03:00"}
    bad = admin_client.post(add, fields | {"matchers": '["alertname"]'})
    assert "is not a matcher such as" in str(bad.context["adminform"].form.errors)
    assert admin_client.post(add, fields).status_code == 302
    row = Silence.objects.get()
    assert (row.by, row.comment, row.expired) == (admin_user.get_username(), "swap", False)
    page = admin_client.get(reverse("admin:incidents_silence_change", args=[row.pk]))
    assert page.status_code == 200
    assert admin_client.post(reverse("admin:incidents_silence_change", args=[row.pk]), fields).status_code == 403
    listed = reverse("admin:incidents_silence_changelist")
    admin_client.post(listed, {"action": "expire", "_selected_action": [row.pk]})
    assert load(now()).silences == ()
