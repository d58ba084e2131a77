import os
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from pydantic import BaseModel, ConfigDict, Field

from sre_platform.catalog.domain import Target
from sre_platform.kernel.errors import Rejected
from sre_platform.remediation import commands
from sre_platform.remediation.commands import Commands
from sre_platform.remediation.domain import Delta, Effect, Prepared, Seen, Traits, World


class RunCommand:
    """Runs one command of the operator's list, without a shell. Undone by the command that the list names for that."""

    name = "run_command"
    traits = Traits()

    class Params(BaseModel):
        """``command`` of the file that SRE_COMMANDS names, ``with`` a value for each of its params.

        ``back`` marks an undo, for which it is fine when there is nothing to take back.
        """

        model_config = ConfigDict(extra="forbid")
        command: str = Field("", max_length=60)
        values: dict[str, str | int | float] = Field(default_factory=dict, alias="with", max_length=50)
        back: bool = False

    def prepare(self, target: Target, params: Params, world: World) -> Prepared:  # noqa: ARG002
        """Fills in the values, and asks the command's check, if it has one, whether there is anything to do."""
        known = _known(params.command)
        values = {name: str(value) for name, value in params.values.items()}
        argv = known.get(params.command).filled(values)
        if not os.access(argv[0], os.X_OK):
            raise Rejected(f"{argv[0]} is no program on this machine.")
        is_so = _holds(known, params.command, values)
        if is_so and not params.back:
            raise Rejected(f"What {params.command} is to bring about is so already, says its check.")
        undo = _undo(known, params.command, values)
        return Prepared(
            says=f"Run {params.command} for {target.service}: {' '.join(argv)}",
            aim={"command": params.command, "with": values, "argv": argv},
            undo=undo,
            irreversible="" if undo else "the commands file names no command that takes it back",
            effects=[] if is_so else [Effect("run", argv[0], {"argv": argv})],
            diff=[] if is_so else [Delta(f"command {params.command}", None, argv)],
        )

    def apply(self, target: Target, aim: Mapping[str, Any], world: World, confirm: Callable[[], None]) -> str:  # noqa: ARG002
        """Raises Rejected, with its complaint, when it ends with another status than 0."""
        name, known = aim["command"], _known(aim["command"])
        command = known.get(name)
        if command.filled(aim["with"]) != aim["argv"]:
            raise Rejected(f"The commands file says something else about {name} by now.")
        if _holds(known, name, aim["with"]):
            return f"{name} was not run: what it is to bring about was so already"
        confirm()
        output = command.run(aim["argv"])
        if output.code != 0:
            raise Rejected(f"{name} ended with status {output.code}: {command.complaint(output)}")
        return f"{name} ended well; it wrote: {command.shown(output) or 'nothing'}"

    def look(self, target: Target, aim: Mapping[str, Any], world: World) -> Seen:  # noqa: ARG002
        """What the command's check says; without one nobody knows, and it is never run a second time."""
        known = _known(aim["command"])
        if known.get(aim["command"]).check is None:
            return Seen.UNKNOWN
        return Seen.DONE if _holds(known, aim["command"], aim["with"]) else Seen.NOT_DONE


def _known(name: str) -> Commands:
    known = commands.read(settings.SRE_COMMANDS)
    known.refuse_too_slow(name, settings.SRE_LEASE_S)
    return known


def _holds(known: Commands, name: str, values: Mapping[str, str]) -> bool:
    check = known.get(name).check
    if check is None:
        return False
    command = known.get(check)
    return command.run(command.filled(_of(command, values))).code == 0


def _of(command: commands.Command, values: Mapping[str, str]) -> dict[str, str]:
    return {name: values[name] for name in command.params}


def _undo(known: Commands, name: str, values: Mapping[str, str]) -> dict[str, Any] | None:
    back = known.get(name).undo
    return {"command": back, "with": _of(known.get(back), values), "back": True} if back else None
