import os
import threading

import pytest

from sre_platform.clients import releases
from sre_platform.kernel.errors import Rejected, Unavailable


@pytest.fixture
def folder(tmp_path):
    for name in ("v2", "v1"):
        (tmp_path / "releases" / name).mkdir(parents=True)
    (tmp_path / "releases" / "notes.txt").write_text("no release")
    (tmp_path / "releases" / "latest").symlink_to(tmp_path / "releases" / "v2")
    return tmp_path


def test_switch_points_the_link_to_the_release(folder):
    link, where = str(folder / "current"), str(folder / "releases")
    releases.switch(link, where, "v2")
    assert releases.current(link) == "v2"
    releases.switch(link, where, "v1")
    assert releases.current(link) == "v1"
    assert (folder / "current").resolve() == folder / "releases" / "v1"


def test_only_folders_are_releases(folder):
    assert releases.available(str(folder / "releases")) == ["v1", "v2"]


@pytest.mark.parametrize("release", ["v3", "..", "", "v1/../v2", "latest", "notes.txt"])
def test_an_unknown_release_is_refused_and_the_link_is_left_alone(folder, release):
    link, where = str(folder / "current"), str(folder / "releases")
    releases.switch(link, where, "v1")
    with pytest.raises(Rejected, match="known are: v1, v2"):
        releases.switch(link, where, release)
    assert releases.current(link) == "v1"


def test_the_link_is_never_missing_while_it_is_switched(folder):
    link, where = str(folder / "current"), str(folder / "releases")
    releases.switch(link, where, "v1")
    seen, done = set(), threading.Event()

    def read():
        while not done.is_set():
            try:
                seen.add(os.path.basename(os.readlink(link)))
            except OSError as error:
                seen.add(repr(error))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(2000):
        releases.switch(link, where, f"v{number % 2 + 1}")
    done.set()
    reader.join()
    assert seen == {"v1", "v2"}


def test_what_a_dead_switch_left_behind_does_not_matter(folder):
    link, where = str(folder / "current"), str(folder / "releases")
    (folder / "current.next").symlink_to("/nowhere")
    releases.switch(link, where, "v1")
    assert releases.current(link) == "v1"


def test_a_link_that_may_not_be_changed_is_a_rejection(folder):
    (folder / "current").mkdir()  # a folder cannot be replaced by a link
    with pytest.raises(Rejected, match="cannot be changed"):
        releases.switch(str(folder / "current"), str(folder / "releases"), "v1")


def test_missing_links_and_folders_are_unavailable(folder):
    with pytest.raises(Unavailable, match="release_link"):
        releases.current("")
    with pytest.raises(Unavailable, match="cannot be read"):
        releases.current(str(folder / "nothing"))
    with pytest.raises(Unavailable, match="cannot be listed"):
        releases.available(str(folder / "nothing"))
