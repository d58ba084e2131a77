from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from sre_platform.catalog.models import Change, Service, changes_since, topology

pytestmark = pytest.mark.django_db
GOAL = {"name": "well", "sli": {"kind": "gauge", "metric": "up"}, "op": ">=", "threshold": 1}
MOMENT = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_the_topology_is_all_services_by_name_in_one_query(django_assert_num_queries):
    Service.objects.create(name="orders", depends_on=["redis"], objectives=[GOAL], process="orders")
    Service.objects.create(name="redis")
    with django_assert_num_queries(1):
        known = topology()
    assert list(known) == ["orders", "redis"]
    assert (known["orders"].depends_on, known["orders"].process) == (("redis",), "orders")
    assert known["orders"].objectives[0].threshold == 1
    assert known["redis"].objectives == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("depends_on", "redis"),
        ("depends_on", [5]),
        ("depends_on", {"redis": 1}),
        ("objectives", "none"),
        ("objectives", [GOAL | {"op": "=="}]),
        ("objectives", [GOAL | {"sli": {"kind": "gauge", "metrik": "up"}}]),
        ("metrics_url", "payments:8080"),
        ("name", "two words"),
    ],
)
def test_a_row_that_could_not_be_read_back_is_refused_at_its_field(field, value):
    with pytest.raises(ValidationError) as caught:
        Service(**{"name": "orders"} | {field: value}).full_clean()
    assert list(caught.value.message_dict) == [field]


def test_changes_since_are_of_the_service_newest_first():
    for minutes, service in [(0, "orders"), (5, "orders"), (9, "orders"), (9, "redis")]:
        Change.objects.create(service=service, at=MOMENT + timedelta(minutes=minutes), after=f"v{minutes}")
    assert [change.after for change in changes_since("orders", MOMENT + timedelta(minutes=5))] == ["v9", "v5"]


def test_a_change_is_there_once():
    Change.objects.create(service="orders", at=MOMENT, after="v2")
    with pytest.raises(IntegrityError), transaction.atomic():
        Change.objects.create(service="orders", at=MOMENT, after="v2", by="somebody else")
