"""The playbooks that come with the platform."""

from pathlib import Path

import pytest
from django.conf import settings

from sre_platform.chaos import experiment
from sre_platform.engine.syncing import problems
from sre_platform.playbook.schema import parse_playbook

FILES = sorted((settings.BASE_DIR / "playbooks").rglob("*.yaml"))


def read(path: Path):
    return parse_playbook(path.read_text(), path.name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_names_existing_plugins_and_experiments_that_prove_it(path):
    book = read(path)
    assert list(problems(book)) == []
    assert book.proof, "a playbook without a proof may never act"
    for name in book.proof:
        _, expected = experiment.load(experiment.find(settings.BASE_DIR / "experiments", name))
        assert expected.outcome == "healed"
        assert expected.action in [call.name for call in book.remediate]


def test_there_are_some_and_no_two_have_one_name():
    names = [read(path).name for path in FILES]
    assert len(names) == len(set(names)) >= 4
