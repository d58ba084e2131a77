"""A catalog file's handles are held against those that actions name: a slip is named with its service and field."""

from typing import ClassVar

import pytest

from sre_platform.catalog.domain import Handle
from sre_platform.catalog.models import Service, topology
from sre_platform.engine import handles
from sre_platform.engine.syncing import sync_catalog
from sre_platform.kernel.errors import Malformed, SreError
from sre_platform.remediation.controlling import SettingsHandle
from sre_platform.remediation.steps import ACTIONS

pytestmark = pytest.mark.django_db
CATALOG = """\
services:
  - name: orders
    handles:
      settings: {url: "${ORDERS_URL}", token_env: ORDERS_TOKEN, settings: {pool: {min: 1, max: 40}}}
      logs: {folder: /var/log/orders, patterns: ["orders.log.*"]}
"""


def catalog(folder, text):
    path = folder / "catalog.yaml"
    path.write_text(text)
    return sync_catalog(path, {"ORDERS_URL": "http://127.0.0.1:9001/control"})


def test_good_handles_are_stored_as_they_stand(tmp_path):
    catalog(tmp_path, CATALOG)
    target = topology()["orders"]
    assert target.held_by(SettingsHandle).settings["pool"].max == 40
    assert target.held_by(SettingsHandle).url == "http://127.0.0.1:9001/control"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("      settings:", "      setings:", "handles: unknown handle 'setings': did you mean 'settings'?"),
        ("      settings:", "      zzz:", "handles: unknown handle 'zzz': known are: "),
        ("max: 40", "maxx: 40", "handles.settings.settings.pool: unknown key 'maxx': did you mean 'max'?"),
        ("max: 40", "max: 0", "handles.settings.settings.pool: min is above max."),
        ("/var/log/orders", "var/log", "handles.logs.folder: string should match pattern"),
        ("token_env: ORDERS_TOKEN", "token_env: 'not a name'", "handles.settings.token_env: string should match"),
        ('{folder: /var/log/orders, patterns: ["orders.log.*"]}', "7", "handles.logs: input should be a valid dict"),
    ],
)
def test_a_slip_is_named_and_nothing_is_stored(tmp_path, old, new, said):
    assert old in CATALOG
    with pytest.raises(Malformed) as refused:
        catalog(tmp_path, CATALOG.replace(old, new))
    assert f"catalog.yaml: service orders: {said}" in str(refused.value)
    assert not Service.objects.exists()


@pytest.mark.parametrize("wrong", ["7", "[settings]", "text"])
def test_what_is_no_object_at_all_is_malformed_too(tmp_path, wrong):
    with pytest.raises(Malformed, match="service orders: "):
        catalog(tmp_path, f"services: [{{name: orders, handles: {wrong}}}]")


def test_what_contains_itself_is_malformed(tmp_path):
    with pytest.raises(Malformed, match="contains itself"):
        catalog(tmp_path, "services: [{name: orders, handles: {settings: &me {settings: *me}}}]")


def test_every_handle_that_an_action_names_is_known():
    named = {kind.handle for action in ACTIONS for kind in getattr(action, "handles", ())}
    assert {"settings", "breakers", "flags", "logs", "ansible"} <= named <= set(handles.known())


def test_what_the_roll_outs_read_is_known_too():
    assert {"envoy", "nginx", "canary"} <= set(handles.known())


def test_two_kinds_of_one_name_are_refused(monkeypatch):
    class Other(Handle):
        handle: ClassVar[str] = "settings"

    class Reader:
        handles = (Other,)

    monkeypatch.setattr(handles, "READERS", (*handles.READERS, [Reader()]))
    with pytest.raises(SreError, match="Two kinds of handle are called 'settings'"):
        handles.known()
