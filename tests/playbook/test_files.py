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
    """One that names no experiment never acts alone: the guard `proven` asks."""
    book = read(path)
    assert list(problems(book)) == []
    for name in book.proof:
        _, expected = experiment.load(experiment.find(settings.BASE_DIR / "experiments", name))
        assert expected.outcome == "healed"
        assert expected.action in [call.name for call in book.remediate]


def test_what_is_done_without_asking_is_proven():
    """The failures that the lab has, and only those, have an experiment each."""
    proven = {read(path).name for path in FILES if read(path).proof}
    assert proven >= {"go-goroutine-leak", "bad-release", "service-hung", "service-down"}


def test_there_are_some_and_no_two_have_one_name():
    names = [read(path).name for path in FILES]
    assert len(names) == len(set(names)) >= 4
