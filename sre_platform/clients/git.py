"""What changed between two releases, from a local checkout: commits with their files and changed lines.

git is run as an argument list, with nothing of the user's or the machine's configuration, without hooks, external
diffs, pagers or the network, and bounded in time and bytes. Release names are resolved first, and refused when they
could be taken for options. Formats: git-log(1), "generating patch text with -p".
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sre_platform.clients import command
from sre_platform.kernel.errors import Rejected, Unavailable

MAX_COMMITS = 50
MAX_BYTES = 8 * 1024 * 1024
MAX_FILES, MAX_RANGES = 200, 200  # of a commit, and of a file in it
DEADLINE_S = 3.0
_NOTHING = os.devnull
_ENV = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": _NOTHING,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
}
_CONFIG = ("core.hooksPath=" + _NOTHING, "core.fsmonitor=false", "protocol.allow=never", "core.quotePath=false")
_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_ESCAPED = re.compile(r"\\([0-7]{3}|.)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}

Lines = tuple[int, int]


@dataclass(frozen=True)
class Hunk:
    """A replaced block: so many lines from ``old`` became so many from ``new``. Lines count from 1."""

    old: int
    old_count: int
    new: int
    new_count: int

    @property
    def lines(self) -> Lines:
        """First and last line that are different now; of a pure deletion the lines on its both sides."""
        if self.new_count:
            return self.new, self.new + self.new_count - 1
        return max(1, self.new), self.new + 1

    def moved(self, line: int) -> int:
        """Where a line that stands behind this block is now."""
        return line + self.new_count - self.old_count if line >= self.old + max(self.old_count, 1) else line


@dataclass(frozen=True)
class Commit:
    """A commit; ``files`` has the changed lines by path, first and last, as they are numbered in the later release."""

    id: str
    by: str
    at: str
    says: str
    files: Mapping[str, Sequence[Lines]] = field(default_factory=dict)


def resolve(repository: str, release: str, deadline_s: float = DEADLINE_S) -> str:
    """The commit that a release's name stands for. Raises Rejected for no name or an unknown one, Unavailable."""
    if not release or release.startswith("-") or len(release) > 200 or not release.isprintable():
        raise Rejected(f"{release!r} is no name of a Git reference.")
    wanted = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{release}^{{commit}}"]
    output = _git(repository, wanted, deadline_s)
    if output.code == 1 and not output.stderr:
        raise Rejected(f"{repository} has no release {release!r}: no tag, branch or commit is called so.")
    found = output.stdout.decode(errors="replace").strip()
    if output.code or not re.fullmatch(r"[0-9a-f]{40,64}", found):
        raise Unavailable(f"Git cannot read {repository}: {output.complaint}.")
    return found


def commits(
    repository: str, before: str, after: str, folder: str = "", deadline_s: float = DEADLINE_S
) -> Sequence[Commit]:
    """The newest MAX_COMMITS that ``after`` has and ``before`` has not, newest first, of ``folder`` only if given.

    Merges are left out. Raises Rejected (unknown release), Unavailable.
    """
    first, last = resolve(repository, before, deadline_s), resolve(repository, after, deadline_s)
    shown = ["--no-color", "--no-ext-diff", "--no-textconv", "--no-show-signature", "--no-merges", "--topo-order", "-M"]
    wanted = ["log", *shown, "-p", "-U0", "-n", str(MAX_COMMITS), "--format=%x01%H%x00%an%x00%cI%x00%s"]
    output = _git(repository, [*wanted, f"{first}..{last}", "--", *([folder] if folder else [])], deadline_s)
    if output.code and not output.cut:
        raise Unavailable(f"Git cannot read {repository}: {output.complaint}.")
    return parse_log(output.stdout.decode(errors="replace"))


def _git(repository: str, arguments: Sequence[str], deadline_s: float) -> command.Output:
    config = [word for setting in (*_CONFIG, f"safe.directory={repository}") for word in ("-c", setting)]
    argv = ["git", "--no-pager", "--literal-pathspecs", "-C", repository, *config, *arguments]
    return command.run(argv, deadline_s=deadline_s, max_bytes=MAX_BYTES, env=_ENV)


def parse_log(text: str) -> list[Commit]:
    """The commits of ``git log -p -U0``, newest first, with the lines as the newest of them numbers them."""
    later: dict[str, list[Sequence[Hunk]]] = {}
    found = []
    for commit, files in _commits(text.split("\n")):
        kept = list(files.items())[:MAX_FILES]
        lines = {path: _now(hunks[:MAX_RANGES], later.get(path, ())) for path, hunks in kept}
        found.append(replace(commit, files={path: ranges for path, ranges in lines.items() if ranges}))
        for path, hunks in files.items():
            later.setdefault(path, []).insert(0, hunks)
    return found


def _now(hunks: Sequence[Hunk], later: Sequence[Sequence[Hunk]]) -> list[Lines]:
    """The lines that these hunks changed, as they are numbered after the ``later`` commits, the next one first."""
    ranges = [hunk.lines for hunk in hunks]
    for others in later:
        for hunk in reversed(others):
            ranges = [(hunk.moved(first), hunk.moved(last)) for first, last in ranges]
    return ranges


def _commits(lines: Sequence[str]) -> Iterator[tuple[Commit, dict[str, list[Hunk]]]]:
    commit: Commit | None = None
    files: dict[str, list[Hunk]] = {}
    path, skip = "", 0
    for line in lines:
        if skip and line[:1] in "+-":
            skip -= 1
        elif line.startswith("\x01"):
            if commit:
                yield commit, files
            commit, files, path = _head(line[1:]), {}, ""
        elif line.startswith("+++ "):
            path = _path(line[4:])
        elif path and (match := _HUNK.match(line)):
            hunk = Hunk(*(int(group) if group else 1 for group in match.groups()))
            files.setdefault(path, []).append(hunk)
            skip = hunk.old_count + hunk.new_count
    if commit:
        yield commit, files


def _head(line: str) -> Commit:
    digest, by, at, says = [*line.split("\0"), "", "", ""][:4]
    return Commit(digest, by, at, says[:300])


def _path(said: str) -> str:
    """The path of ``+++ b/path``; empty for /dev/null. Names with odd characters come in quotes, escaped as in C."""
    said = said.rstrip("\t")
    if said.startswith('"') and said.endswith('"'):
        said = _ESCAPED.sub(_unescaped, said[1:-1])
    return said.removeprefix("b/") if said.startswith("b/") else ""


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    return chr(int(code, 8)) if len(code) == 3 else _ESCAPES.get(code, code)
