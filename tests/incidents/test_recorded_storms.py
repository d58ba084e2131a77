"""What a real Alertmanager sent during storms, replayed: noise goes away, and nothing real is hidden."""

from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from sre_platform.engine.recordings import read_files, surroundings
from sre_platform.engine.replay import replay

FOLDER = Path(__file__).parent.parent / "recordings" / "storms"
STORMS = sorted(path.stem for path in FOLDER.glob("*.jsonl"))


@pytest.fixture(params=STORMS)
def storm(request):
    """The replay of a recording, and what is expected of it."""
    recordings = read_files([str(FOLDER / f"{request.param}.jsonl")])
    assert not recordings.refused
    topology, rules, _ = surroundings(FOLDER / "catalog.yaml")
    expected = yaml.safe_load((FOLDER / f"{request.param}.yaml").read_text())
    return replay(recordings.webhooks, topology, rules), expected


def test_every_recording_has_its_expectations():
    assert len(STORMS) >= 7
    assert sorted(path.stem for path in FOLDER.glob("*.yaml")) == sorted([*STORMS, "catalog"])
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 300_000


def test_what_has_to_be_seen_is_seen_and_nothing_else(storm):
    found, expected = storm
    keys = [told.live.key for told in found.visible]
    assert len(keys) == len(expected["visible"]), keys
    assert all(fnmatch(*pair) for pair in zip(keys, expected["visible"], strict=True)), keys


def test_what_belongs_to_another_is_below_it_or_in_it(storm):
    found, expected = storm
    below = {(told.live.parent.key, told.live.key) for told in found.incidents.values() if told.live.parent}
    for parent, children in expected.get("children", {}).items():
        for child in children:
            assert [pair for pair in below if fnmatch(pair[0], parent) and pair[1] == child], (parent, child)
    assert not {told.live.key for told in found.incidents.values()} & set(expected.get("not_separate", ()))


def test_every_alert_that_fired_is_in_one_incident_or_quiet_with_a_reason(storm):
    found, _ = storm
    homes = [(i.alert.fingerprint, i.alert.starts_at) for told in found.incidents.values() for i in told.placed]
    assert len(homes) == len(set(homes))
    assert set(homes) | {key for key, why in found.quiet.items() if why} == found.fired
    for key in homes:
        live = found.known[key].live
        while live.parent:
            live = live.parent
        assert live in [told.live for told in found.visible]


def test_the_fates_and_the_noise_reduction(storm):
    found, expected = storm
    report = found.as_json()
    assert set(report["fates"]) == set(expected["fates"])
    assert report["noise_reduction"] >= expected["noise_reduction"]
    assert report["noise_reduction_webhooks"] >= report["noise_reduction"], "each alert came in a webhook of its own"
    said = {item.reason for told in found.incidents.values() for item in told.placed}
    assert expected.get("says", "") in said | {""}
