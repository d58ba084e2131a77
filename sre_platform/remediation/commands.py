"""The operator's list of commands that a repair may run, and running one: no shell, bounded, output kept in short.

A playbook names a command and gives it values; the program, its words and the patterns that values must match stand in
the operator's file alone.
"""

import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from sre_platform.catalog.domain import ENVIRONMENT_NAME
from sre_platform.clients import command
from sre_platform.kernel.complaint import complaint
from sre_platform.kernel.errors import Malformed, Rejected, Unavailable
from sre_platform.kernel.redaction import HIDDEN, redact_text
from sre_platform.kernel.storable import storable_text
from sre_platform.playbook.reading import read_yaml
from sre_platform.playbook.schema import Block

MAX_FILE_BYTES = 1024 * 1024
MAX_OUTPUT = 1024 * 1024  # what writes more is ended
MAX_VALUE = 200
SHOWN_LINES, SHOWN_WIDTH = 5, 200  # of the beginning and of the end
LEAST_HIDDEN = 4  # characters: a shorter value of a variable is no secret, and would hide half of the output
DEFAULT_TIMEOUT_S = 5.0  # with a check before and after, of the same length, it fits into the default lease of 30 s
LEASE_MARGIN_S = 5.0  # of a lease, for all that is done besides running the program
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=60)]
Word = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f]+$")]
_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_-]*)\}")
_KEY_VALUE = re.compile(r"(?i)((?:password|passwd|secret|token|api[_-]?key|credential)[\w-]*[\"']?\s*[=:]\s*)\S+")


class Command(Block):
    """A program and its words, of which ``{name}`` stands for a value that matches ``params[name]`` as a whole.

    ``env`` are variables that are passed on. ``undo`` and ``check`` are other commands of the file: what takes it back,
    and what ends with 0 if and only if what it is to bring about is so.
    """

    argv: Annotated[tuple[Word, ...], Field(min_length=1, max_length=50)]
    params: Mapping[Name, Annotated[str, Field(max_length=500)]] = Field(default_factory=dict)
    timeout_s: float = Field(DEFAULT_TIMEOUT_S, gt=0, le=300)
    env: Annotated[tuple[Annotated[str, Field(pattern=ENVIRONMENT_NAME)], ...], Field(max_length=50)] = ()
    undo: Name | None = None
    check: Name | None = None

    @model_validator(mode="after")
    def _fits(self) -> "Command":
        if not self.argv[0].startswith("/") or "{" in self.argv[0]:
            raise ValueError(f"{self.argv[0]} is not the absolute path of a program")
        held = {match[1] for word in self.argv if (match := _PLACEHOLDER.fullmatch(word))}
        for word in self.argv:
            if ("{" in word or "}" in word) and not _PLACEHOLDER.fullmatch(word):
                raise ValueError(f"a placeholder has to be a whole word, which it is not in {word}")
        if held != set(self.params):
            raise ValueError(f"the words and params do not name the same: {', '.join(sorted(held ^ set(self.params)))}")
        for name, pattern in self.params.items():
            _compiled(name, pattern)
        return self

    def filled(self, values: Mapping[str, str]) -> list[str]:
        """The words with the values in them. Raises Rejected for a value that is missing, unknown or does not match."""
        if unknown := sorted(values.keys() ^ self.params.keys()):
            raise Rejected(f"It takes {', '.join(sorted(self.params)) or 'no values'}; {unknown[0]} is wrong here.")
        for name, value in values.items():
            self._refuse(name, value)
        return [values[m[1]] if (m := _PLACEHOLDER.fullmatch(word)) else word for word in self.argv]

    def _refuse(self, name: str, value: str) -> None:
        pattern = self.params[name]
        if len(value) > MAX_VALUE or not value.isprintable() or not re.fullmatch(pattern, value):
            raise Rejected(f"The value of {name} does not match {pattern}.")
        if value.startswith("-") and not pattern.lstrip("^").startswith(("-", "\\-")):
            raise Rejected(f"The value of {name} begins with a dash, which its pattern does not demand.")

    def run(self, argv: Sequence[str]) -> command.Output:
        """Run it. Raises Unavailable when it could not be started, or did not end in time or within bounds."""
        env = {name: os.environ[name] for name in self.env if name in os.environ}
        timeout_s = self.timeout_s
        output = command.run(argv, deadline_s=timeout_s, max_bytes=MAX_OUTPUT, env=env, even_if_killed=True)
        if output.cut:
            raise Unavailable(f"{argv[0]} wrote more than {MAX_OUTPUT} bytes and was ended.")
        return output

    def shown(self, output: command.Output) -> str:
        """The first and the last lines of what it wrote, without secrets."""
        return excerpt(output.stdout.decode(errors="replace"), [os.environ.get(name, "") for name in self.env])

    def complaint(self, output: command.Output) -> str:
        """What it says is wrong, without secrets."""
        return excerpt(output.complaint, [os.environ.get(name, "") for name in self.env])


def excerpt(text: str, secrets: Sequence[str]) -> str:
    """The first and last lines of an output in one line, bounded, with secrets hidden."""
    lines = [line.strip()[:SHOWN_WIDTH] for line in hidden(text, secrets).splitlines() if line.strip()]
    if len(lines) > 2 * SHOWN_LINES:
        left_out = f"({len(lines) - 2 * SHOWN_LINES} more lines)"
        lines = [*lines[:SHOWN_LINES], left_out, *lines[-SHOWN_LINES:]]
    return " | ".join(lines)


def hidden(text: str, secrets: Sequence[str]) -> str:
    """``text`` as it may be stored: without these secrets, values of telling names, and credentials."""
    for secret in secrets:
        if len(secret) >= LEAST_HIDDEN:
            text = text.replace(secret, HIDDEN)
    return storable_text(redact_text(_KEY_VALUE.sub(rf"\1{HIDDEN}", text)))


def _compiled(name: str, pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"the pattern of {name} is none: {error}") from error


class Commands:
    """All commands of the file."""

    def __init__(self, known: Mapping[str, Command]) -> None:
        self._known = known

    def get(self, name: str) -> Command:
        """Raises Rejected, with the known names, for one that is not allowed."""
        if name not in self._known:
            raise Rejected(f"No command {name!r} is allowed; allowed are: {', '.join(sorted(self._known)) or 'none'}.")
        return self._known[name]

    def refuse_too_slow(self, name: str, lease_s: float) -> None:
        """Raise Rejected when the command and its check, which is run before and after, could outlive a lease."""
        one = self.get(name)
        check_s = 2 * self.get(one.check).timeout_s if one.check else 0.0
        if one.timeout_s + check_s > lease_s - LEASE_MARGIN_S:
            raise Rejected(
                f"{name} may take {one.timeout_s + check_s:g} s with its check, and a lease lasts {lease_s:g} s.",
                advice="Raise SRE_LEASE_S or lower its timeout_s.",
            )


def read(path: str) -> Commands:
    """The operator's file. Raises Rejected when there is none or anybody may write to it, and Malformed."""
    if not path:
        raise Rejected("No command is allowed.", advice="Name a file of commands in SRE_COMMANDS.")
    try:
        with Path(path).open("rb") as file:
            if os.fstat(file.fileno()).st_mode & stat.S_IWOTH:
                raise Rejected(f"Everybody may write to {path}, so no command in it is allowed.")
            text = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise Rejected(f"The commands file cannot be read: {error}.") from error
    if len(text) > MAX_FILE_BYTES:
        raise Malformed(f"{path} is larger than {MAX_FILE_BYTES} bytes.")
    return _parsed(text.decode(errors="replace"), path)


def _parsed(text: str, path: str) -> Commands:
    content, _ = read_yaml(text, path)
    if not isinstance(content, dict):
        raise Malformed(f"{path} has to map names to commands.")
    known: dict[str, Command] = {}
    for name, value in content.items():
        known[str(name)] = _command(path, name, value)
    for name, one in known.items():
        _refuse_strangers(path, name, one, known)
    return Commands(known)


def _command(path: str, name: Any, value: Any) -> Command:
    try:
        return Command.model_validate(value)
    except RecursionError as error:
        raise Malformed(f"{path}: {name}: is nested too deeply.") from error
    except ValidationError as error:
        raise Malformed(f"{path}: {complaint(error, name)}.") from error


def _refuse_strangers(path: str, name: str, one: Command, known: Mapping[str, Command]) -> None:
    for kind, other in (("undo", one.undo), ("check", one.check)):
        if other is None:
            continue
        if other not in known:
            raise Malformed(f"{path}: {name}.{kind}: there is no command {other}.")
        if more := sorted(known[other].params.keys() - one.params.keys()):
            raise Malformed(f"{path}: {name}.{kind}: {other} takes {more[0]}, which {name} does not.")
