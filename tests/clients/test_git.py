"""Commits between two releases of a real checkout, with the lines that they changed."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.clients import git
from sre_platform.kernel.errors import Rejected, SreError, Unavailable

WHO = {"GIT_AUTHOR_NAME": "ann", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "bob", "GIT_COMMITTER_EMAIL": "b@b"}
LONG = [f"line {n}\n" for n in range(1, 21)]


def run(folder, *arguments):
    env = {"PATH": "/usr/bin:/bin", "HOME": str(folder), **WHO}
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, env=env)


def commit(folder, says, tag="", **files):
    for name, lines in files.items():
        path = folder / name.replace("__", "/").replace("_go", ".go")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(lines))
    run(folder, "add", "-A")
    run(folder, "commit", "-qm", says)
    if tag:
        run(folder, "tag", tag)


@pytest.fixture
def checkout(tmp_path):
    run(tmp_path, "init", "-q", "-b", "main")
    commit(tmp_path, "Begin", "v1", orders__quote_go=LONG, search__main_go=LONG)
    changed = [*LONG[:4], "changed 5\n", "changed 6\n", *LONG[6:]]
    commit(tmp_path, "Change two lines\n\nAnd say why.", orders__quote_go=changed)
    commit(tmp_path, "Put two lines before them", orders__quote_go=["new\n", "new\n", *changed])
    commit(
        tmp_path,
        "Take one away",
        "v2",
        orders__quote_go=["new\n", "new\n", *changed[:9], *changed[10:]],
        search__main_go=LONG[1:],
    )
    return tmp_path


def test_commits_newest_first_with_the_lines_as_the_release_numbers_them(checkout):
    found = git.commits(str(checkout), "v1", "v2")
    assert [c.says for c in found] == ["Take one away", "Put two lines before them", "Change two lines"]
    assert {c.by for c in found} == {"ann"}
    assert [c.files for c in found] == [
        {"orders/quote.go": [(11, 12)], "search/main.go": [(1, 1)]},
        {"orders/quote.go": [(1, 2)]},
        {"orders/quote.go": [(7, 8)]},
    ]
    assert (checkout / "orders/quote.go").read_text().splitlines()[6:8] == ["changed 5", "changed 6"]
    assert len(found[0].id) == 40
    assert found[0].at.startswith("20")


def test_only_the_folder_of_the_service(checkout):
    found = git.commits(str(checkout), "v1", "v2", "search")
    assert [(c.says, list(c.files)) for c in found] == [("Take one away", ["search/main.go"])]
    assert git.commits(str(checkout), "v2", "v1") == []


@pytest.mark.parametrize("name", ["--all", "-x", "", "v1\nv2", "v" * 201])
def test_a_release_that_could_be_an_option_is_no_name(checkout, name):
    with pytest.raises(Rejected, match="is no name of a Git reference"):
        git.commits(str(checkout), name, "v2")
    with pytest.raises(Rejected, match="is no name of a Git reference"):
        git.commits(str(checkout), "v1", name)


@pytest.mark.parametrize("name", ["v3", "v1..v2", "$(id)", "v1;id"])
def test_a_release_that_is_not_there_is_said(checkout, name):
    with pytest.raises(Rejected, match="no tag, branch or commit is called so"):
        git.commits(str(checkout), "v1", name)


def test_a_folder_that_is_no_repository(tmp_path):
    with pytest.raises(Unavailable, match="Git cannot read"):
        git.commits(str(tmp_path), "v1", "v2")
    with pytest.raises(SreError):
        git.commits("/nonexistent", "v1", "v2")


def test_what_the_checkout_is_configured_to_run_is_not_run(checkout):
    trap, marker = checkout / "trap", checkout / "sprung"
    trap.write_text(f"#!/bin/sh\ntouch {marker}\ncat\n")
    trap.chmod(0o755)
    for key in (
        "diff.external",
        "core.pager",
        "core.fsmonitor",
        "diff.t.textconv",
        "diff.t.command",
        "core.sshCommand",
    ):
        run(checkout, "config", key, str(trap))
    run(checkout, "config", "log.showSignature", "true")
    run(checkout, "config", "gpg.program", str(trap))
    (checkout / ".git" / "info" / "attributes").write_text("*.go diff=t\n")
    assert len(git.commits(str(checkout), "v1", "v2")) == 3
    assert not marker.exists()


def test_no_more_is_read_than_the_bound(checkout, monkeypatch):
    monkeypatch.setattr(git, "MAX_BYTES", 600)
    found = git.commits(str(checkout), "v1", "v2")
    assert [c.says for c in found][:1] == ["Take one away"]
    assert len(found) < 3
    monkeypatch.setattr(git, "MAX_COMMITS", 1)
    assert len(git.commits(str(checkout), "v1", "v2")) == 1


def test_names_with_odd_characters_and_lines_that_look_like_a_diff(checkout):
    tricky = ["+++ b/other.go\n", "@@ -1 +1 @@\n", "\x01fake me\n"]
    (checkout / 'od"d é.go').write_text("".join(tricky))
    commit(checkout, "Odd", "v3")
    commit(checkout, "Take it away", "v4", x=["no newline at the end"])
    (checkout / 'od"d é.go').unlink()
    commit(checkout, "Gone", "v5")
    gone, added, odd = git.commits(str(checkout), "v2", "v5")
    assert (gone.files, added.files, odd.files) == ({}, {"x": [(1, 1)]}, {'od"d é.go': [(1, 3)]})


@given(st.text(alphabet='+-@ \x01\x00\n\\"ab/,0123456789', max_size=400))
def test_whatever_git_writes_is_read_without_an_error(text):
    for prefix in ("", "\x01a\x00b\x00c\x00d\n\n--- a/x\n+++ b/x\n@@ -1,2 +3 @@\n"):
        for found in git.parse_log(prefix + text):
            assert all(isinstance(line, int) for ranges in found.files.values() for lines in ranges for line in lines)


def test_git_that_hangs_is_not_waited_for(tmp_path, monkeypatch):
    slow = tmp_path / "git"
    slow.write_text("#!/bin/sh\nsleep 30\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(Unavailable, match="git did not finish in time"):
        git.commits("/srv", "v1", "v2", deadline_s=0.3)
