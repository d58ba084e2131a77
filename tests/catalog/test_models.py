from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from sre_platform.catalog.models import Change, Service, changes_of, changes_since, topology

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
        ("replicas", "orders-1"),
        ("replicas", [{"pprof_url": "http://a/"}]),
        ("replicas", [{"name": "a", "pproof_url": "http://a/"}]),
        ("replicas", [{"name": "a"}, {"name": "a"}]),
        ("replicas", [{"name": "a b"}]),
        ("replicas", [{"name": "a", "pprof_url": "a:6060"}]),
        ("replicas", [{"name": "a", "metrics_url": "file:///etc/passwd"}]),
        ("replicas", [{"name": "a", "pid": -1}]),
        ("replicas", [{"name": "a", "exec": "kubectl exec a --"}]),
        ("exec", "ssh host"),
        ("exec", [""]),
        ("exec", ["x"] * 33),
        ("pprof_auth", {"bearer": "the secret itself"}),
        ("pprof_auth", {"bearer_env": "A", "basic_env": "B"}),
        ("pprof_auth", {"bearer_env": "not a name"}),
        ("pprof_auth", ["A"]),
        ("repository", "orders"),
        ("log_file", {"path": "x"}),
        ("log_file", [""]),
        ("log_file", "orders.log"),
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


@pytest.mark.parametrize(
    ("repository", "source_root"),
    [("", "orders"), ("/srv/shop", "/orders"), ("/srv/shop", "a/../.."), ("/srv/shop", "--all"), ("/srv/shop", ":/")],
)
def test_the_source_root_is_a_folder_inside_the_repository(repository, source_root):
    with pytest.raises(ValidationError, match="a folder inside the repository"):
        Service(name="orders", repository=repository, source_root=source_root).full_clean()


def test_replicas_and_where_the_code_is_come_back_as_they_were_written():
    replicas = [
        {"name": "orders-1", "pprof_url": "https://a:1/debug/pprof", "exec": ["ssh", "a"]},
        {"name": "b", "pid": 7},
    ]
    row = Service(name="orders", process="orders", replicas=replicas, exec=["kubectl", "exec", "orders", "--"])
    row.pprof_auth, row.repository, row.source_root = {"bearer_env": "PPROF_TOKEN"}, "/srv/shop", "services/orders"
    row.log_file = "/var/log/orders.log"
    row.full_clean()
    row.save()
    known = topology()["orders"]
    assert (known.pprof_auth.bearer_env, known.repository, known.source_root) == (
        "PPROF_TOKEN",
        "/srv/shop",
        "services/orders",
    )
    assert known.log_files == ("/var/log/orders.log",)
    first, second = (known.at(replica) for replica in known.replicas)
    assert (first.label, first.pprof_url, first.exec, first.process) == (
        "orders (orders-1)",
        "https://a:1/debug/pprof",
        ("ssh", "a"),
        "",
    )
    assert (second.pid, second.exec, second.pprof_url, second.replicas) == (
        7,
        ("kubectl", "exec", "orders", "--"),
        "",
        (),
    )
    assert second.pprof_auth is known.pprof_auth


def test_a_service_of_one_process_needs_none_of_this():
    Service.objects.create(name="redis")
    known = topology()["redis"]
    assert (known.replicas, known.exec, known.pprof_auth, known.log_files, known.label) == ((), (), None, (), "redis")


def test_changes_of_several_services_are_one_query(django_assert_num_queries):
    for minutes, (service, after) in enumerate([("orders", "v1"), ("orders", "v2"), ("payments", "p1"), ("db", "d1")]):
        Change.objects.create(service=service, at=MOMENT + timedelta(minutes=minutes), after=after)
    with django_assert_num_queries(1):
        found = changes_of(["orders", "payments", "cache"], MOMENT)
    assert {name: [change.after for change in changes] for name, changes in found.items()} == {
        "orders": ["v2", "v1"],
        "payments": ["p1"],
        "cache": [],
    }
    assert changes_of(["orders"], MOMENT + timedelta(minutes=1))["orders"] == found["orders"][:1]
