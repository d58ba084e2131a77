"""Commands of the operator's list: what is allowed, what is refused, and what becomes of those that do not end well."""

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as fuzzing
from hypothesis import strategies as st

from sre_platform.catalog.domain import Target
from sre_platform.clients.supervisor import Supervisor
from sre_platform.kernel.errors import Malformed, Rejected, SreError, Unavailable
from sre_platform.remediation import commands, steps
from sre_platform.remediation.domain import Seen, World
from sre_platform.remediation.steps import ACTIONS, Outcome
from tests.fakes.commands import programs
from tests.fakes.leases import Died, Mortal, incident, take, with_fate

RUN, ORDERS, WORLD = ACTIONS.get("run_command"), Target("orders"), World(Supervisor(""), {})


@pytest.fixture
def it(tmp_path, settings):
    made = programs(tmp_path)
    settings.SRE_COMMANDS = made.file
    return made


def prepare(command, back=False, **values):
    return RUN.prepare(ORDERS, RUN.Params(**{"command": command, "with": values, "back": back}), WORLD)


def apply(prepared, confirm=lambda: None):
    return RUN.apply(ORDERS, prepared.aim, WORLD, confirm)


def test_it_shows_every_word_and_what_takes_it_back(it):
    prepared = prepare("switch", to="on")
    argv = [it.program, "set", "on"]
    assert prepared.says == f"Run switch for orders: {' '.join(argv)}"
    assert prepared.aim == {"command": "switch", "with": {"to": "on"}, "argv": argv}
    assert prepared.undo == {"command": "switch-off", "with": {}, "back": True}
    assert it.ran() == []
    assert prepare("unchecked", to="on").irreversible == "the commands file names no command that takes it back"


def test_what_is_so_already_is_not_run(it):
    with pytest.raises(Rejected, match="is so already, says its check"):
        prepare("switch", to="off")
    back = prepare("switch-off", back=True)
    assert (back.effects, apply(back)) == ([], "switch-off was not run: what it is to bring about was so already")
    assert it.ran() == []


@pytest.mark.parametrize(
    ("command", "values", "said"),
    [
        ("rm", {}, "No command 'rm' is allowed; allowed are: fail, is-off, "),
        ("switch", {}, "It takes to; to is wrong here"),
        ("switch", {"to": "on", "more": "x"}, "more is wrong here"),
        ("switch", {"to": "only"}, "The value of to does not match on|off"),
        ("switch", {"to": "on\n"}, "does not match"),
        ("switch", {"to": "on; rm -rf /"}, "does not match"),
        ("switch", {"to": 1}, "does not match"),
    ],
)
def test_what_the_list_does_not_allow_is_refused(it, command, values, said):
    with pytest.raises(Rejected) as refused:
        prepare(command, **values)
    assert said in str(refused.value)
    assert it.ran() == []


@pytest.mark.parametrize(
    ("pattern", "allowed"), [(".*", False), ("[-a-z]+", False), ("--[a-z]+", True), (r"\-x", False)]
)
def test_a_value_becomes_no_option_unless_its_pattern_demands_it(it, pattern, allowed):
    it.write(free={"argv": [it.program, "set", "{to}"], "params": {"to": pattern}})
    if allowed:
        assert prepare("free", to="--force").aim["argv"][2] == "--force"
    else:
        with pytest.raises(Rejected, match=r"does not demand|does not match"):
            prepare("free", to="--force")


@pytest.mark.parametrize("word", ["$(touch x)", "`id`", "a b", "*", "~", "';x'", "%s"])
def test_no_shell_reads_the_words(it, word):
    it.write(free={"argv": [it.program, "set", "{to}"], "params": {"to": ".+"}})
    apply(prepare("free", to=word))
    assert it.switch == word


def test_without_a_file_or_with_one_that_anybody_may_write_nothing_is_allowed(it, settings):
    Path(it.file).chmod(0o666)
    with pytest.raises(Rejected, match="Everybody may write to"):
        prepare("switch", to="on")
    settings.SRE_COMMANDS = "/nonexistent/commands.yaml"
    with pytest.raises(Rejected, match="The commands file cannot be read"):
        prepare("switch", to="on")
    settings.SRE_COMMANDS = ""
    with pytest.raises(Rejected, match="Name a file of commands in SRE_COMMANDS"):
        prepare("switch", to="on")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"argv": ["rm", "x"]}, "rm is not the absolute path of a program"),
        ({"argv": ["/bin/{x}"], "params": {"x": "a"}}, "is not the absolute path"),
        ({"argv": ["/bin/a", "--to={x}"], "params": {"x": "a"}}, "a placeholder has to be a whole word"),
        ({"argv": ["/bin/a", "{x}"]}, "do not name the same: x"),
        ({"argv": ["/bin/a"], "params": {"x": "a"}}, "do not name the same: x"),
        ({"argv": ["/bin/a", "{x}"], "params": {"x": "("}}, "the pattern of x is none"),
        ({"argv": ["/bin/a"], "undo": "none"}, "one.undo: there is no command none"),
        ({"argv": ["/bin/a"], "check": "is-switched"}, "one.check: is-switched takes to, which one does not"),
        ({"argv": ["/bin/a"], "shell": True}, "unknown key 'shell'"),
        ({"argv": []}, "one.argv: "),
        ({"argv": ["/bin/a"], "timeout_s": 0}, "one.timeout_s: "),
        ("/bin/a", "one: "),
    ],
)
def test_a_wrong_file_is_named(it, wrong, said):
    it.write(one=wrong)
    with pytest.raises(Malformed) as refused:
        prepare("switch", to="on")
    assert it.file in str(refused.value)
    assert said in str(refused.value)


@fuzzing(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet=st.sampled_from("abz:[]{}-&*!|>'\"\n ,#0%/\x00\x85é"), max_size=120))
@example("a: &x [*x]")
@example("a: {argv: [/a], params: &p {b: *p}}")
@example("? [a]\n: {argv: [/bin/a]}")
def test_any_text_is_a_commands_file_or_malformed(tmp_path, text):
    path = tmp_path / "commands.yaml"
    path.write_text(text)
    try:
        assert commands.read(str(path)) is not None
    except SreError as error:
        assert str(path) in str(error)


def test_one_that_could_outlive_the_lease_is_refused(it, settings):
    settings.SRE_LEASE_S = 19.9  # twice 5 s for the check, 5 s for itself, and the margin
    with pytest.raises(Rejected, match=r"switch may take 15 s with its check, and a lease lasts 19\.9 s"):
        prepare("switch", to="on")
    settings.SRE_LEASE_S = 20
    assert prepare("switch", to="on").says


def test_a_program_that_is_not_there_is_refused(it):
    it.write(none={"argv": ["/nonexistent/program"]})
    with pytest.raises(Rejected, match="/nonexistent/program is no program on this machine"):
        prepare("none")


def test_a_complaint_is_a_refusal_without_its_secret(it, monkeypatch):
    monkeypatch.setenv("SWITCH_TOKEN", "hunter22")
    with pytest.raises(Rejected, match=r"fail ended with status 3: cannot: password=\[redacted\] is wrong") as refused:
        apply(prepare("fail"))
    assert "hunter22" not in str(refused.value)


def test_the_first_and_last_lines_are_kept_and_only_named_variables_are_passed_on(it, monkeypatch):
    monkeypatch.setenv("SWITCH_TOKEN", "hunter22")
    monkeypatch.setenv("HOME", "/somewhere")
    said = apply(prepare("say"))
    assert said.startswith(
        "say ended well; it wrote: line 1 | line 2 | line 3 | line 4 | line 5 | (3 more lines) | line 9"
    )
    assert said.endswith("line 12 | token [redacted] home none")


def test_what_does_not_end_or_writes_for_ever_is_ended_with_its_children(it):
    began = time.monotonic()
    with pytest.raises(Unavailable, match="did not finish in time"):
        apply(prepare("slow"))
    with pytest.raises(Unavailable, match="wrote more than 1048576 bytes and was ended"):
        apply(prepare("noisy"))
    assert time.monotonic() - began < 10


def test_a_file_that_says_something_else_by_now_is_not_followed(it):
    prepared = prepare("switch", to="on")
    it.write(switch=it.commands()["switch"] | {"argv": [it.program, "wipe", "{to}"]})
    with pytest.raises(Rejected, match="something else about switch by now"):
        apply(prepared)
    assert it.ran() == []


def written(command, **values):
    params = {"command": command, "with": values}
    prepared = steps.prepare("run_command", params, ORDERS, WORLD)
    fields = {"incident_id": incident(service="orders").pk, "cause": "c", "action": "run_command", "target": "orders"}
    step = steps.from_prepared(prepared, params=params, **fields)
    assert steps.write(step)
    return step


def carry(step, lease=None):
    step.refresh_from_db()
    return steps.carry_out(step, ORDERS, WORLD, lease or take(step.incident_id))


@pytest.mark.parametrize(("last", "found_done"), [(1, False), (2, False), (3, True)])
@pytest.mark.django_db
def test_an_owner_dies_and_the_check_tells_the_next_one(it, last, found_done):
    step = written("switch", to="on")
    with pytest.raises(Died):
        carry(step, with_fate(Mortal, take(step.incident_id), last))
    carried = carry(step)
    assert (carried.outcome, "found done" in carried.said) == (Outcome.DONE, found_done)
    assert len(it.ran()) == 1


@pytest.mark.parametrize("last", [2, 3])
@pytest.mark.django_db
def test_without_a_check_it_is_never_run_again(it, last):
    step = written("unchecked", to="on")
    with pytest.raises(Died):
        carry(step, with_fate(Mortal, take(step.incident_id), last))
    assert carry(step).outcome is Outcome.UNKNOWN
    assert len(it.ran()) == last - 2
    assert RUN.look(ORDERS, step.aim, WORLD) is Seen.UNKNOWN
    assert Path(it.file).exists()
