"""Amounts, quotas, selectors and shares as Kubernetes writes them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.clients.kubernetes import Write
from sre_platform.kernel.errors import Malformed, Rejected
from sre_platform.remediation.disruption import selects
from sre_platform.remediation.kubernetes import as_query, digest, effect, resolved, secret
from sre_platform.remediation.quantities import no_room, quantity, written


@pytest.mark.parametrize(
    ("text", "amount"),
    [("500m", "0.5"), ("2", "2"), ("0.5", "0.5"), ("1Gi", "1073741824"), ("1G", "1000000000"), ("1e3", "1000"),
     ("128974848000m", "128974848"), ("100n", "0.0000001"), (".5Ki", "512"), (3, "3"), ("1E", "1e18")],
)  # fmt: skip
def test_amounts(text, amount):
    assert quantity(text) == Decimal(amount)


@pytest.mark.parametrize("text", ["", "m", "1 Gi", "1gi", "1KiB", "0x10", "nan", "inf", "1e999", "9" * 50, None, {}])
def test_what_is_no_amount_is_malformed(text):
    with pytest.raises(Malformed, match="is not an amount"):
        quantity(text)


@given(st.integers(1, 2**50))
def test_memory_is_rounded_up_to_mebibytes(amount):
    shown = quantity(written("memory", Decimal(amount)))
    assert 0 <= shown - amount < 2**20


@given(st.text(max_size=12))
def test_any_text_is_an_amount_or_malformed(text):
    try:
        assert quantity(text).is_finite()
    except Malformed as error:
        assert "is not an amount" in str(error)


def test_a_quota_may_name_requests_without_saying_so():
    quota = [{"metadata": {"name": "team"}, "status": {"hard": {"memory": "1Gi"}, "used": {"memory": "900Mi"}}}]
    assert no_room(quota, {"requests.memory": Decimal(2**28)}) == "the quota team has 1Gi of memory, 900Mi of it used"
    assert no_room(quota, {"requests.memory": Decimal(2**26)}) == ""
    assert no_room(quota, {"limits.memory": Decimal(2**40), "requests.memory": Decimal(-1)}) == ""


@pytest.mark.parametrize(
    ("share", "up", "number"),
    [("25%", True, 3), ("25%", False, 2), (2, True, 2), ("0%", True, 0), ("100%", False, 9)],
)
def test_a_share_is_rounded_as_the_controllers_do(share, up, number):
    assert resolved(share, 9, up=up) == number


@pytest.mark.parametrize("share", ["a%", "x", None, {}, "%"])
def test_what_is_no_share_is_malformed(share):
    with pytest.raises(Malformed, match="a number or a share"):
        resolved(share, 9, up=True)


RULES = [
    {"key": "tier", "operator": "In", "values": ["a", "b"]},
    {"key": "old", "operator": "DoesNotExist"},
    {"key": "app", "operator": "Exists"},
    {"key": "zone", "operator": "NotIn", "values": ["x"]},
]


def test_a_selector_as_a_query_and_as_a_question():
    selector = {"matchLabels": {"app": "payments"}, "matchExpressions": RULES}
    assert as_query(selector) == "app=payments,tier in (a,b),!old,app,zone notin (x)"
    labels = {"app": "payments", "tier": "a", "zone": "y"}
    assert selects(selector, {"metadata": {"labels": labels}})
    for changed in ({"app": "other"}, {"tier": "c"}, {"old": "1"}, {"zone": "x"}):
        assert not selects(selector, {"metadata": {"labels": labels | changed}})
    assert selects({}, {"metadata": {}})


def test_a_selector_of_everything_or_of_tomorrow_is_not_taken_for_the_services_pods():
    with pytest.raises(Rejected, match="selector is empty"):
        as_query({})
    with pytest.raises(Malformed, match="operator 'Like'"):
        as_query({"matchExpressions": [{"key": "a", "operator": "Like"}]})


@pytest.mark.parametrize("name", ["DB_PASS", "PGPWD", "SENTRY_DSN", "STRIPE_KEY", "key", "SSH_PRIVATE", "db.pass.word"])
def test_names_of_variables_that_hold_secrets(name):
    assert secret(name)


@pytest.mark.parametrize("name", ["POOL_SIZE", "CACHE_KEY_PREFIX", "KEYSPACE", "COMPASS_URL", "BYPASS"])
def test_names_of_variables_that_hold_none(name):
    assert not secret(name)


def test_of_a_whole_container_nothing_is_shown_that_may_be_a_secret():
    env = [{"name": "A", "value": "s3cret"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]
    container = {"name": "app", "image": "a:1", "env": env, "args": ["--key", "s3cret"], "command": ["run", "s3cret"]}
    write = Write("PATCH", "/x", [{"op": "replace", "path": "/spec/template", "value": {"containers": [container]}}])
    shown = effect(write).as_json()
    assert "s3cret" not in str(shown)
    assert shown["body"][0]["value"]["containers"][0]["image"] == "a:1"
    assert shown["body"][0]["value"]["containers"][0]["env"][1] == env[1]
    assert container["env"] == env


def test_digests_and_secret_names():
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    assert digest({"a": 1}) != digest({"a": "1"})
    assert [secret(name) for name in ("DB_PASSWORD", "API_KEY", "POOL_SIZE")] == [True, True, False]
