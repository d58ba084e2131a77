"""What an experiment file may not do, because a file that is run is code."""

import copy

import pytest
import yaml

from sre_platform.chaos import experiment
from sre_platform.kernel.errors import Malformed, Unknown

PROBE = {
    "type": "probe",
    "name": "users are well",
    "tolerance": True,
    "provider": {"type": "python", "module": "sre_platform.chaos.probes", "func": "users_are_well"},
}
FAULT = {
    "type": "action",
    "name": "kill",
    "provider": {"type": "python", "module": "sre_platform.chaos.faults.kill_process", "func": "inject"},
}
GOOD = {
    "title": "t",
    "description": "d",
    "extensions": [{"name": "sre_platform", "outcome": "healed"}],
    "steady-state-hypothesis": {"title": "h", "probes": [PROBE]},
    "method": [FAULT],
    "rollbacks": [FAULT],
}
SHELL = {"type": "process", "path": "/bin/sh", "arguments": "-c id"}
PLACES = ["method", "rollbacks", "probes", "tolerance"]


def load(tmp_path, document):
    path = tmp_path / "e.yaml"
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return experiment.load(path)


def with_activity(place, activity):
    document = copy.deepcopy(GOOD)
    if place == "probes":
        document["steady-state-hypothesis"]["probes"].append(activity)
    elif place == "tolerance":
        document["steady-state-hypothesis"]["probes"][0]["tolerance"] = activity | {"type": "probe"}
    else:
        document[place] = [*document[place], activity]
    return document


def test_what_is_allowed_loads(tmp_path):
    document, expect = load(tmp_path, GOOD)
    assert document["title"] == "t"
    assert (expect.outcome, expect.timeout_s, expect.cause) == ("healed", 120, "")
    load(tmp_path, with_activity("tolerance", PROBE))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "provider",
    [
        SHELL,
        {"type": "http", "url": "http://127.0.0.1/"},
        {"type": "python", "module": "os", "func": "system", "arguments": {"command": "id"}},
        {"type": "python", "module": "sre_platform.chaos.probes", "func": "sleep"},
        {"type": "python", "module": "sre_platform.chaos.probes", "func": "from_environment"},
        {"type": "python", "module": "sre_platform.chaos.faults.kill_process", "func": "from_environment"},
        {"type": "python", "module": "sre_platform.chaos.faults", "func": "inject"},
        {"type": "python", "module": "sre_platform.chaos.faults.x.y", "func": "inject"},
        {"type": "python", "module": "sre_platform.chaos.faultsy", "func": "inject"},
        {"type": "python", "module": "${module}", "func": "inject"},
        {},
    ],
)
def test_nothing_foreign_is_called_from_any_place(tmp_path, place, provider):
    activity = {"type": "action", "name": "evil", "provider": provider, "tolerance": True}
    with pytest.raises(Malformed, match=r"'evil' calls .* which experiments may not call"):
        load(tmp_path, with_activity(place, activity))


def test_a_reference_to_another_activity_is_refused(tmp_path):
    with pytest.raises(Malformed, match="may not call"):
        load(tmp_path, with_activity("method", {"ref": "users are well"}))


CONTROL = [{"name": "c", "provider": {"type": "python", "module": "os"}}]


def test_controls_are_refused_wherever_they_stand(tmp_path):
    for document in (
        GOOD | {"controls": CONTROL},
        GOOD | {"steady-state-hypothesis": GOOD["steady-state-hypothesis"] | {"controls": CONTROL}},
        with_activity("method", FAULT | {"controls": CONTROL}),
    ):
        with pytest.raises(Malformed):
            load(tmp_path, document)


@pytest.mark.parametrize(
    "extra",
    [
        {"configuration": {"x": {"type": "probe", "name": "p", "provider": SHELL}}},
        {"secrets": {"x": {"type": "env", "key": "SRE_SECRET_KEY"}}},
        {"contributions": {}},
        {"runtime": {"rollbacks": {"strategy": "never"}}},
    ],
)
def test_what_chaos_toolkit_would_run_or_read_on_the_side_is_refused(tmp_path, extra):
    with pytest.raises(Malformed, match=f"{next(iter(extra))} is not allowed"):
        load(tmp_path, GOOD | extra)


@pytest.mark.parametrize(
    ("extensions", "reason"),
    [
        ([], "say what is expected"),
        ([{"name": "other"}], "say what is expected"),
        ([GOOD["extensions"][0]] * 2, "say what is expected"),
        ([{"name": "sre_platform"}], "extensions.outcome"),
        ([{"name": "sre_platform", "outcome": "fine"}], "extensions.outcome"),
        ([{"name": "sre_platform", "outcome": "healed", "typo": 1}], "extensions.typo"),
        ([{"name": "sre_platform", "outcome": "healed", "timeout_s": 9999}], "extensions.timeout_s"),
    ],
)
def test_what_is_expected_has_to_be_said_right(tmp_path, extensions, reason):
    with pytest.raises(Malformed, match=reason):
        load(tmp_path, GOOD | {"extensions": extensions})


@pytest.mark.parametrize("text", ["[", "just text", "- a list", ""])
def test_what_is_no_experiment_is_refused(tmp_path, text):
    with pytest.raises(Malformed, match="is not"):
        load(tmp_path, text)


def test_python_objects_are_not_made_from_yaml(tmp_path):
    with pytest.raises(Malformed, match="is not YAML"):
        load(tmp_path, "!!python/object/apply:os.system ['id']")


def test_an_unknown_experiment_lists_the_known(tmp_path):
    for name in ("a/one", "lab/catalog"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / f"{name}.yaml").write_text("{}")
    assert experiment.names(tmp_path) == ["a/one"]
    for name in ("a/two", "../etc/passwd", "lab/catalog"):
        with pytest.raises(Unknown, match="known are: a/one"):
            experiment.find(tmp_path, name)
