from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from sre_platform.catalog.models import Service
from sre_platform.detection.models import AlertRule
from sre_platform.engine.syncing import problems, sync_catalog, sync_playbooks
from sre_platform.guardrails.models import ActionLimit, FreezeWindow, PolicyVersion, RemediationPolicy
from sre_platform.kernel.errors import Malformed
from sre_platform.playbook.models import PlaybookVersion
from sre_platform.playbook.schema import parse_playbook
from tests.playbook.test_schema import TEXT

pytestmark = pytest.mark.django_db
CATALOG = """\
services:
  - name: orders
    metrics_url: ${ORDERS_URL}/metrics
    depends_on: [redis]
  - name: redis
alert_rules:
  - {name: Deep, service: orders, sli: {kind: gauge, metric: depth}, op: ">", threshold: 10}
  - {name: Deep, service: redis, sli: {kind: gauge, metric: depth}, op: ">", threshold: 10}
policies:
  - {name: careful, mode: approve}
"""
VARIABLES = {"ORDERS_URL": "http://127.0.0.1:9001"}
LAB_PARTS = ("USERS", "STOREFRONT", "ORDERS", "PAYMENTS", "PAYMENTS_CANARY", "ENVOY_ADMIN", "ORDERS_ADMIN")
LAB = {f"SRE_LAB_{name}_URL": "http://127.0.0.1:1" for name in LAB_PARTS}


def catalog(folder: Path, text: str = CATALOG, **variables: str):
    path = folder / "catalog.yaml"
    path.write_text(text)
    return sync_catalog(path, VARIABLES | variables)


def books(folder: Path, **texts: str):
    for name, text in texts.items():
        path = folder / "playbooks" / "area" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return sync_playbooks(folder / "playbooks")


def rows():
    return [list(model.objects.order_by("pk").values()) for model in (Service, AlertRule, RemediationPolicy)]


def test_a_playbook_without_problems_has_none():
    assert list(problems(parse_playbook(TEXT))) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[process_down]", "[process_up]", "There is no rule 'process_up'; known are: bad_release, "),
        ("- process\n", "- processes\n", "There is no collector 'processes'; known are: "),
        ("  - restart_service:", "  - first: [look]\n    restart_service:", "There is no action 'look'; known are: "),
        ("restart_service:", "restart:", "There is no action 'restart'; known are: "),
        ("{tries: 2}", "{attempts: 2}", "health: attempts: extra inputs are not permitted"),
        ("{tries: 2}", "{tries: many}", "health: tries: "),
    ],
)
def test_what_names_no_plugin_or_gives_it_wrong_parameters_is_a_problem(old, new, said):
    [problem] = problems(parse_playbook(TEXT.replace(old, new)))
    assert problem.startswith(said)


def test_playbooks_are_put_in_force_and_nothing_changes_the_second_time(tmp_path):
    changed, refused = books(tmp_path, down=TEXT)
    assert changed == ["service-down v1 is in force, from playbooks/area/down.yaml."]
    assert refused == []
    assert books(tmp_path) == ([], [])
    assert books(tmp_path, down=TEXT.replace("0.5", "0.6"))[0] == [changed[0].replace("v1", "v2")]


@pytest.mark.parametrize("bad", [TEXT.replace("rules:", "rulez:"), TEXT.replace("process_down", "process_up"), "", "["])
def test_a_bad_playbook_is_named_the_last_good_version_stays_and_the_others_are_read(tmp_path, bad):
    books(tmp_path, down=TEXT)
    changed, [refused] = books(tmp_path, down=bad, other=TEXT.replace("service-down", "other"))
    assert refused.startswith("playbooks/area/down.yaml")
    assert refused.endswith("The last good version stays in force.")
    assert changed == ["other v1 is in force, from playbooks/area/other.yaml."]
    assert PlaybookVersion.objects.get(name="service-down", in_force=True).text == TEXT


def test_a_playbook_that_is_not_utf_8_is_named(tmp_path):
    books(tmp_path, down=TEXT)
    (tmp_path / "playbooks" / "latin.yaml").write_bytes("summary: Käse".encode("latin-1"))
    _, [refused] = books(tmp_path)
    assert refused.startswith("playbooks/latin.yaml is not UTF-8")


def test_two_files_with_one_name_do_not_replace_each_other(tmp_path):
    _, [refused] = books(tmp_path, a=TEXT, b=TEXT.replace("0.5", "0.6"))
    assert "playbooks/area/b.yaml: playbooks/area/a.yaml is called service-down already." in refused
    books(tmp_path)
    assert PlaybookVersion.objects.count() == 1


def test_a_catalog_file_fills_three_tables_and_the_second_time_changes_nothing(tmp_path):
    assert catalog(tmp_path) == [
        "2 services from catalog.yaml, 2 of them changed.",
        "2 alert rules from catalog.yaml, 2 of them changed.",
        "1 remediation policies from catalog.yaml, 1 of them changed.",
    ]
    assert Service.objects.get(name="orders").metrics_url == "http://127.0.0.1:9001/metrics"
    before = rows()
    assert [len(kind) for kind in before] == [2, 2, 1]
    assert all(said.endswith(", 0 of them changed.") for said in catalog(tmp_path))
    assert rows() == before


def test_what_the_file_says_replaces_the_row_of_that_name_and_the_rest_is_left_alone(tmp_path):
    catalog(tmp_path)
    Service.objects.filter(name="orders").update(owner="ann", metrics_url="http://else")
    catalog(tmp_path, "services: [{name: orders, metrics_url: 'http://127.0.0.1:2/'}]")
    orders = Service.objects.get(name="orders")
    assert (orders.metrics_url, orders.owner, orders.depends_on) == ("http://127.0.0.1:2/", "ann", ["redis"])
    assert Service.objects.filter(name="redis").exists()


BROKEN = [
    ("mode: approve", "mode: sometimes", "remediation policy careful: Value 'sometimes' is not a valid choice"),
    ("mode: approve", "mood: approve", "remediation policy has no mood."),
    ("mode: approve", "id: 7", "remediation policy has no id."),
    ("{name: careful, mode", "{mode", "remediation policy None: "),
    ("kind: gauge, metric: depth", "kind: gage, metric: depth", "alert rule Deep: "),
    ("kind: gauge, metric: depth", "kind: gauge, metrics: depth", "alert rule Deep: "),
    ("threshold: 10", "threshold: high", "alert rule Deep: "),
    ("threshold: 10", "threshold: .nan", "alert rule Deep: "),
    ("${ORDERS_URL}", "${NOT_SET}", "needs NOT_SET in the environment."),
    ("${ORDERS_URL}", "orders:80", "service orders: 'orders:80/metrics' is not of the form http://host:port/path."),
    ("[redis]", "redis", "service orders: Must be a list of services' names."),
    ("name: redis", "name: redis\n    objectives: [{name: x}]", "service redis: "),
    ("policies:", "policys:", "is not a catalog file: policys: extra inputs are not permitted."),
    ("policies:", "services:", "catalog.yaml:9: the key 'services' is there twice"),
    ("policies:", "policies: [", "is not YAML"),
    ("mode: approve", "mode: 2020-99-99", "is not YAML"),
    ("mode: approve", "mode: 2020-09-09", "remediation policy careful: "),
    ("[redis]", "[2020-09-09]", "service orders: "),
    ("[redis]", "&me [*me]", "holds an alias that contains itself."),
    (CATALOG, "- name: orders", "is not a catalog file: the document: "),
    (CATALOG, "", "is not a catalog file: the document: "),
]


@pytest.mark.parametrize(("old", "new", "said"), BROKEN)
def test_a_wrong_catalog_file_is_named_and_changes_nothing(tmp_path, old, new, said):
    catalog(tmp_path)
    before = rows()
    assert old in CATALOG
    with pytest.raises(Malformed) as caught:
        catalog(tmp_path, CATALOG.replace(old, new).replace("${ORDERS_URL}", "http://127.0.0.1:3"))
    assert said in str(caught.value)
    assert str(tmp_path / "catalog.yaml") in str(caught.value)
    assert rows() == before, "all of it or nothing"


BOUNDS = """
limits:
  - {name: hourly, per: cluster, max_actions: 6, window_s: 3600, at_once: 2}
freeze_windows:
  - {name: year-end, reason: books are closed, environment: production, first_start: 2026-12-24T00:00:00+01:00,
     duration_s: 864000, rrule: FREQ=YEARLY, timezone: Europe/Berlin}
policies:
  - name: gold
    tier: gold
    environment: production
    mode: approve
    min_healthy_share: 0.8
    plan:
      - restart_service
      - rollback_release: {to: v1}
"""


def test_a_catalog_file_holds_limits_freeze_windows_and_policies_with_plans(tmp_path):
    told = catalog(tmp_path, BOUNDS)
    assert told[3:] == [
        "1 action limits from catalog.yaml, 1 of them changed.",
        "1 freeze windows from catalog.yaml, 1 of them changed.",
    ]
    limit, window, policy = ActionLimit.objects.get(), FreezeWindow.objects.get(), RemediationPolicy.objects.get()
    assert (limit.as_value().per, limit.at_once) == ("cluster", 2)
    assert (
        window.open_at(datetime(2029, 12, 31, 12, tzinfo=UTC)).reason == "books are closed, until 2030-01-02 23:00 UTC"
    )
    assert window.open_at(datetime(2029, 12, 23, 12, tzinfo=UTC)) is None
    assert [(call.name, call.params) for call in policy.as_value().plan] == [
        ("restart_service", {}),
        ("rollback_release", {"to": "v1"}),
    ]
    assert all(said.endswith(", 0 of them changed.") for said in catalog(tmp_path, BOUNDS)[2:])


def test_each_change_of_a_policy_is_a_version_and_says_which_file_it_came_from(tmp_path):
    catalog(tmp_path, BOUNDS)
    catalog(tmp_path, BOUNDS)
    catalog(tmp_path, BOUNDS.replace("mode: approve", "mode: auto"))
    kept = PolicyVersion.objects.order_by("version").values_list("name", "version", "by", "content__mode")
    assert list(kept) == [("gold", 1, "catalog.yaml", "approve"), ("gold", 2, "catalog.yaml", "auto")]
    assert RemediationPolicy.objects.get().version == 2


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("- restart_service", "- restart", "policy gold: plan: There is no action 'restart'; known are: "),
        (
            "- restart_service",
            "- {restart_service: {}, first: [capture: {}]}",
            "policy gold: plan: There is no action 'capture'; known are: ",
        ),
        (
            "- restart_service",
            "- {restart_service: {}, first: [set_breaker: {}]}",
            "policy gold: plan: set_breaker cannot come first: it does more than capture evidence",
        ),
        ("{to: v1}", "{too: v1}", "policy gold: plan: rollback_release: too: extra inputs are not permitted"),
        (
            "- rollback_release: {to: v1}",
            "- {x: 1, y: 2}",
            "policy gold: plan.1: unknown key 'x': known are: name, params, first.",
        ),
        ("min_healthy_share: 0.8", "min_healthy_share: 80", "policy gold: Must lie between 0 and 1."),
        ("min_healthy_share: 0.8", "min_healthy_share: .nan", "policy gold: Must lie between 0 and 1."),
        ("min_healthy_share: 0.8", "cooldown_s: .nan", "policy gold: Must lie between 0 and 2592000."),
        ("window_s: 3600", "window_s: 100000", "action limit hourly: Must lie between 1 and 86400."),
        ("window_s: 3600", "window_s: .inf", "action limit hourly: Must lie between 1 and 86400."),
        ("per: cluster", "per: galaxy", "action limit hourly: Value 'galaxy' is not a valid choice."),
        ("max_actions: 6", "max_actions: -6", "action limit hourly: "),
        ("FREQ=YEARLY", "FREQ=HOURLY", "freeze window year-end: FREQ has to be one of"),
        ("duration_s: 864000", "duration_s: 0", "freeze window year-end: A duration lies between"),
        ("Europe/Berlin", "Europe/Atlantis", "freeze window year-end: 'Europe/Atlantis' is not a time zone"),
    ],
)
def test_a_wrong_bound_or_plan_is_named_and_changes_nothing(tmp_path, old, new, said):
    assert old in BOUNDS
    with pytest.raises(Malformed) as caught:
        catalog(tmp_path, BOUNDS.replace(old, new))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    models = (RemediationPolicy, PolicyVersion, ActionLimit, FreezeWindow)
    assert [model.objects.count() for model in models] == [0, 0, 0, 0]


def test_a_changed_alert_rule_has_a_new_version(tmp_path):
    catalog(tmp_path)
    catalog(tmp_path, CATALOG.replace("threshold: 10", "threshold: 11", 1))
    assert list(AlertRule.objects.order_by("service").values_list("threshold", "version")) == [(11, 2), (10, 1)]


def test_a_variable_whose_value_looks_like_another_is_not_expanded_again(tmp_path):
    catalog(tmp_path, "services: [{name: orders, owner: 'team ${TEAM}'}]", TEAM="${ORDERS_URL}")
    assert Service.objects.get().owner == "team ${ORDERS_URL}"


def test_the_labs_catalog_and_the_platforms_playbooks_are_good(capsys):
    file = settings.BASE_DIR / "experiments" / "lab" / "catalog.yaml"
    assert len(sync_catalog(file, LAB | {"SRE_LAB_DIR": "/srv/lab", "SRE_LAB_LOG_DIR": "/srv/lab/log"})) == 4
    call_command("sync")
    assert sync_playbooks(settings.BASE_DIR / "playbooks") == ([], [])
    assert "service-down v1 is in force, from playbooks/service/down.yaml." in capsys.readouterr().out


def test_the_command_names_what_it_refuses_and_fails(tmp_path):
    (tmp_path / "catalog.yaml").write_text("services: 5")
    books(tmp_path, bad="x: 1")
    with pytest.raises(CommandError, match=r"(?s)bad\.yaml:1: .*catalog\.yaml is not a catalog file.*nobody\.yaml"):
        call_command(
            "sync", playbooks=tmp_path / "playbooks", catalog=[tmp_path / "catalog.yaml", tmp_path / "nobody.yaml"]
        )
