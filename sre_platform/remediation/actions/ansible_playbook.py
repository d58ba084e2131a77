from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from pydantic import BaseModel, ConfigDict, Field, field_validator

from sre_platform.catalog.domain import Target
from sre_platform.kernel.errors import Rejected
from sre_platform.remediation import ansible
from sre_platform.remediation.ansible import AnsibleHandle, Ran, Run, Variable
from sre_platform.remediation.domain import Delta, Effect, Prepared, Seen, Traits, World

MAX_VALUE = 1000


class AnsiblePlaybook:
    """Runs one Ansible playbook that the catalog allows for a service. Undone by the playbook named there for that."""

    name = "ansible_playbook"
    traits = Traits()
    handles = (AnsibleHandle,)

    class Params(BaseModel):
        """``playbook`` is a file of the handle's folder, ``vars`` are extra variables: plain values, no templates.

        ``back`` marks an undo, for which it is fine when there is nothing to take back.
        """

        model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
        playbook: str = Field("", max_length=100)
        vars: dict[Variable, bool | int | float | str] = Field(default_factory=dict, max_length=50)
        back: bool = False

        @field_validator("vars")
        @classmethod
        def _plain(cls, values: dict[str, Any]) -> dict[str, Any]:
            for name, value in values.items():
                if name.startswith("ansible_"):
                    raise ValueError(f"{name} says how Ansible works, which is the operator's to say")
                if isinstance(value, str) and ("{{" in value or "{%" in value or len(value) > MAX_VALUE):
                    raise ValueError(f"{name} is a template or too long")
            return values

    def prepare(self, target: Target, params: Params, world: World) -> Prepared:  # noqa: ARG002
        """Runs the playbook in check mode: what that says would change is the diff."""
        run = _run(target, params.playbook, params.vars)
        digest, would = run.digest(), run.do(check=True)
        if not would.changed and not params.back:
            raise Rejected(f"{params.playbook} would change nothing, says its check mode.")
        undo = run.handle.playbooks[params.playbook].undo
        return Prepared(
            says=f"Run the Ansible playbook {params.playbook} for {target.service} on {run.handle.limit}",
            aim={"playbook": params.playbook, "vars": params.vars, "sha256": digest, "changes": dict(would.changes)},
            undo={"playbook": undo, "vars": params.vars, "back": True} if undo else None,
            irreversible="" if undo else "the catalog names no playbook that takes it back",
            effects=[_effect(run, would)] if would.changed else [],
            diff=[Delta(f"check mode of {params.playbook}", None, would.text)] if would.changed else [],
        )

    def apply(self, target: Target, aim: Mapping[str, Any], world: World, confirm: Callable[[], None]) -> str:  # noqa: ARG002
        """Raises Rejected, with its complaint, when it ends with another status than 0."""
        run = _run(target, aim["playbook"], aim["vars"])
        if run.digest() != aim["sha256"]:
            raise Rejected(f"{run.path} is another one by now.")
        if not any(aim["changes"].values()) or not run.do(check=True).changed:
            return f"{run.playbook} was not run: there was nothing to change"
        confirm()
        return f"{run.playbook} ended well: {run.do(check=False).short}"

    def look(self, target: Target, aim: Mapping[str, Any], world: World) -> Seen:  # noqa: ARG002
        """Done when check mode would change nothing any more. Else nobody knows, and it is never run a second time."""
        ran = _run(target, aim["playbook"], aim["vars"]).do(check=True)
        return Seen.UNKNOWN if ran.changed else Seen.DONE


def _run(target: Target, playbook: str, values: Mapping[str, Any]) -> Run:
    handle = target.held_by(AnsibleHandle)
    ansible.refuse_too_slow(handle, settings.SRE_LEASE_S)
    return Run(handle, playbook, values)


def _effect(run: Run, would: Ran) -> Effect:
    body = {"limit": run.handle.limit, "vars": dict(run.values), "changes": dict(would.changes)}
    return Effect("ansible-playbook", run.path, body)
