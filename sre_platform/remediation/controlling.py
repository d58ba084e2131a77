"""Handles of a service's control endpoint, and how one value of it is read and set exactly once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from sre_platform.catalog.domain import ENVIRONMENT_NAME, Handle
from sre_platform.clients import secret
from sre_platform.clients.control import Changed, Control, Document
from sre_platform.kernel.errors import Rejected
from sre_platform.playbook.schema import Block
from sre_platform.remediation.domain import Effect, Seen

MAX_NAMES = 200
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]
Names = Annotated[tuple[Name, ...], Field(min_length=1, max_length=MAX_NAMES)]


class ControlHandle(Handle):
    """Where the endpoint is. Its token stands in an environment variable or in a file, which are named here."""

    handle: ClassVar[str] = ""
    url: str = Field(pattern=r"^https?://[^\s@?#]+$", max_length=500)
    token_env: str = Field("", pattern=rf"{ENVIRONMENT_NAME}|^$")
    token_file: str = Field("", pattern=r"^/|^$", max_length=500)

    def control(self) -> Control:
        """A client of the endpoint. Raises Rejected when its token is not where it is said to be."""
        return Control(self.url, secret.read(self.token_env, self.token_file))


class Bounds(Block):
    """Between which values the platform may set a setting, in the setting's own unit."""

    min: float
    max: float

    @model_validator(mode="after")
    def _in_order(self) -> "Bounds":
        if self.min > self.max:
            raise ValueError("min is above max")
        return self


class SettingsHandle(ControlHandle):
    """Numeric settings that may be adjusted, each with its bounds."""

    handle: ClassVar[str] = "settings"
    settings: Annotated[Mapping[Name, Bounds], Field(min_length=1, max_length=MAX_NAMES)]


class BreakersHandle(ControlHandle):
    """Circuit breakers that may be opened and closed."""

    handle: ClassVar[str] = "breakers"
    names: Names


class FlagsHandle(ControlHandle):
    """Feature flags that may be switched."""

    handle: ClassVar[str] = "flags"
    names: Names


def allowed(kind: str, name: str, names: object) -> None:
    """Raise Rejected unless the catalog lists ``name``: what it does not list is not touched."""
    listed = list(names) if isinstance(names, (tuple, Mapping)) else []
    if not name:
        raise Rejected(f"Say which {kind} is meant; known are: {', '.join(listed)}.")
    if name not in listed:
        raise Rejected(f"The catalog lists no {kind} {name!r}; known are: {', '.join(listed)}.")


@dataclass(frozen=True)
class Knob:
    """One object of a control endpoint: ``kind`` is settings, breakers or flags, ``key`` the field that is set."""

    control: Control
    kind: str
    name: str
    key: str

    def read(self) -> Document:
        return self.control.read(self.kind, self.name)

    def effect(self, body: Mapping[str, Any]) -> Effect:
        """The write that sets it."""
        return Effect("PUT", self.control.address(self.kind, self.name), dict(body))

    def look(self, wanted: Any) -> Seen:
        """Whether it is as wanted."""
        return Seen.DONE if _same(self.read().content.get(self.key), wanted) else Seen.NOT_DONE

    def put(self, body: Mapping[str, Any], confirm: Callable[[], None], before: Any = None) -> str:
        """Make it so; says what was done. With ``before`` only if it is that: else raises Changed.

        It is written under the version that was just read, so that a former owner's write that arrives later fails.
        """
        document, wanted = self.read(), body[self.key]
        present = document.content.get(self.key)
        if _same(present, wanted):
            return "was so already"
        if before is not None and not _same(present, before):
            raise Changed(f"{self.name} was {before} and is {present} now: somebody has changed it.")
        confirm()
        try:
            self.control.write(self.kind, self.name, body, document.etag)
        except Changed:
            if self.look(wanted) is not Seen.DONE:  # else a former owner's write has only now arrived
                raise
        return "was set"


def _same(value: Any, wanted: Any) -> bool:
    # In Python True is 1, in JSON it is not.
    return isinstance(value, bool) is isinstance(wanted, bool) and bool(value == wanted)


def unmoved(what: str, present: Any, wanted: Any, only_from: Any) -> bool:
    """Whether there is something left to do, for an undo: only what was set by the step is put back.

    Raises Rejected when somebody has set it to something else since.
    """
    if present == wanted:
        return False
    if present != only_from:
        raise Rejected(f"{what} was set to {only_from} and is {present} now: somebody has changed it since.")
    return True
