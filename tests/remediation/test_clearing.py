"""Rotated logs are packed, unpacked and deleted: within limits, and no line is lost wherever an owner dies."""

import gzip
import os
import resource
import time
from pathlib import Path

import pytest

from sre_platform.clients import rotated
from sre_platform.clients.rotated import opened as open_folder
from sre_platform.clients.supervisor import Supervisor
from sre_platform.kernel.errors import Lost, Malformed, Rejected
from sre_platform.remediation import steps
from sre_platform.remediation.domain import Seen, World
from sre_platform.remediation.steps import ACTIONS, Outcome
from tests.fakes.leases import Died, Mortal, Overtaken, incident, take, with_fate
from tests.fakes.logs import OLD, lines, logging

PACK, DELETE = ACTIONS.get("compress_logs"), ACTIONS.get("delete_old_logs")
WORLD = World(Supervisor(""), {})
MIB = 1024 * 1024


@pytest.fixture
def logs(tmp_path):
    with logging(tmp_path) as it:
        yield it


def prepare(logs, action=PACK, target=None, **params):
    return action.prepare(target or logs.target(), action.Params(**params), WORLD)


def apply(logs, prepared, action=PACK, confirm=lambda: None):
    return action.apply(logs.target(), prepared.aim, WORLD, confirm)


def chosen(prepared):
    return [item["name"] for item in prepared.aim["files"]]


def test_it_says_exactly_which_files_and_how_many_bytes(logs):
    prepared = prepare(logs)
    assert chosen(prepared) == ["orders.log.4", "orders.log.3", "orders.log.2"]
    assert prepared.says == f"Pack 3 rotated logs of orders in {logs.folder}, 0.0 MiB"
    assert [effect.body["bytes"] for effect in prepared.effects] == [len(lines(number)) for number in (4, 3, 2)]
    assert logs.names() == ["orders.log", *(f"orders.log.{number}" for number in range(1, 5))]


def test_packed_they_hold_the_same_lines_and_keep_time_and_mode(logs):
    os.chmod(logs.folder / "orders.log.4", 0o640)
    before = logs.contents()
    said = apply(logs, prepare(logs))
    assert said.startswith("3 of 3 logs of orders were packed; ")
    assert logs.names() == ["orders.log", "orders.log.1", *(f"orders.log.{number}.gz" for number in (2, 3, 4))]
    assert logs.contents() == before
    packed = (logs.folder / "orders.log.4.gz").stat()
    assert (packed.st_mode & 0o777, packed.st_mtime) == (0o640, OLD - 240)


def test_limits_of_files_and_bytes_hold(logs):
    assert chosen(prepare(logs, max_files=1)) == ["orders.log.4"]
    with (logs.folder / "orders.log.4").open("ab") as file:
        file.truncate(MIB)
    os.utime(logs.folder / "orders.log.4", (OLD - 900, OLD - 900))
    assert chosen(prepare(logs, max_mib=1)) == ["orders.log.4"]
    with (logs.folder / "orders.log.4").open("ab") as file:
        file.truncate(MIB + 1)
    os.utime(logs.folder / "orders.log.4", (OLD - 900, OLD - 900))
    assert chosen(prepare(logs, max_mib=1)) == ["orders.log.3", "orders.log.2"]


def test_the_newest_are_kept(logs):
    assert chosen(prepare(logs, target=logs.target(keep_newest=3))) == ["orders.log.4"]
    with pytest.raises(Rejected, match=r"no rotated log in .* that may be packed now"):
        prepare(logs, target=logs.target(keep_newest=4))


def test_the_active_file_is_never_touched_whatever_the_pattern(logs):
    target = logs.target(patterns=["orders*"], keep_newest=0)
    os.utime(logs.folder / "orders.log", (OLD - 9999, OLD - 9999))
    assert "orders.log" not in chosen(prepare(logs, target=target))


def test_a_file_that_somebody_has_open_for_writing_is_left_alone(logs):
    with (logs.folder / "orders.log.3").open("ab"):
        assert chosen(prepare(logs)) == ["orders.log.4", "orders.log.2"]
    with (logs.folder / "orders.log.3").open("rb"):
        prepared = prepare(logs)
        assert "orders.log.3" in chosen(prepared)
    with (logs.folder / "orders.log.3").open("ab"), pytest.raises(Rejected, match=r"log\.3 is open for writing"):
        apply(logs, prepared)
    assert (logs.folder / "orders.log.3").read_bytes() == lines(3)


def test_when_all_are_open_that_is_the_reason(tmp_path):
    all_open = pytest.raises(Rejected, match=r"All 1 rotated logs in .* are open for writing")
    with logging(tmp_path, rotated=2) as logs, (tmp_path / "orders.log.2").open("ab"), all_open:
        prepare(logs)


def test_links_pipes_and_files_with_other_names_are_left_alone(logs, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "secret"
    outside.write_text("not a log\n" * 100)
    (logs.folder / "orders.log.7").symlink_to(outside)
    os.mkfifo(logs.folder / "orders.log.8")
    (logs.folder / "orders.log.9").mkdir()
    os.link(logs.folder / "orders.log.2", logs.folder / "also")
    assert chosen(prepare(logs)) == ["orders.log.4", "orders.log.3"]
    old = prepare(logs, DELETE)
    assert chosen(old) == ["orders.log.4", "orders.log.3"]


def test_a_log_that_becomes_a_link_in_between_is_not_followed(logs, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "secret"
    outside.write_bytes(lines(4))
    for action in (PACK, DELETE):
        prepared = prepare(logs, action)
        (logs.folder / "orders.log.4").unlink()
        (logs.folder / "orders.log.4").symlink_to(outside)
        apply(logs, prepared, action)
        assert outside.read_bytes() == lines(4)
        assert not (logs.folder / "orders.log.4.gz").exists()
        (logs.folder / "orders.log.4").unlink()
        for number in (2, 3, 4):
            logs.add(number)
            (logs.folder / f"orders.log.{number}.gz").unlink(missing_ok=True)


def test_a_folder_that_is_a_link_or_is_not_there_is_refused(logs, tmp_path_factory):
    link = tmp_path_factory.mktemp("other") / "logs"
    link.symlink_to(logs.folder)
    for folder in (str(link), str(logs.folder / "none")):
        with pytest.raises(Rejected, match=f"The log folder {folder} cannot be opened"):
            prepare(logs, target=logs.target(folder=folder))


@pytest.mark.parametrize(
    "wrong",
    [{"patterns": ["../x"]}, {"patterns": ["*"]}, {"patterns": []}, {"folder": "logs"}, {"folder": "/"}, {"keep": 1}],
)
def test_a_handle_that_could_mean_more_than_rotated_logs_is_malformed(logs, wrong):
    with pytest.raises(Malformed, match=r"Of orders, the catalog.s handle logs"):
        prepare(logs, target=logs.target(**wrong))


def rotate(logs):
    """As a logger does: the older ones move on, packed or not."""
    for path in sorted(logs.folder.glob("orders.log.*"), key=lambda path: -int(path.name.split(".")[2])):
        number, dot, packed = path.name.removeprefix("orders.log.").partition(".")
        path.rename(logs.folder / f"orders.log.{int(number) + 1}{dot}{packed}")
    logs.add(1)


def test_files_that_rotation_has_renamed_meanwhile_are_packed_under_their_new_names(logs):
    prepared = prepare(logs)
    held = set(logs.contents().values())
    rotate(logs)
    assert apply(logs, prepared).startswith("3 of 3 logs of orders were packed; ")
    assert logs.names() == ["orders.log", "orders.log.1", "orders.log.2", *(f"orders.log.{n}.gz" for n in (3, 4, 5))]
    assert held <= set(logs.contents().values())
    assert PACK.look(logs.target(), prepared.aim, WORLD) is Seen.DONE


@pytest.mark.parametrize(("action", "params"), [(PACK, {}), (DELETE, {"older_than_s": 60})])
def test_a_rotation_between_decision_and_act_changes_nothing_that_matters_but_a_file_that_is_gone_does(
    logs, action, params
):
    step = steps.from_prepared(
        prepare(logs, action, **params), incident_id=1, playbook="p", cause="c", action=action.name, target="orders",
        params=params,
    )  # fmt: skip
    rotate(logs)
    assert steps.changed(step, logs.target(), WORLD) == ""
    (logs.folder / "orders.log.5").unlink()
    assert "has changed since the step was prepared" in steps.changed(step, logs.target(), WORLD)


def test_undone_after_another_rotation_the_same_lines_are_there_unpacked(logs):
    prepared = prepare(logs)
    apply(logs, prepared)
    rotate(logs)
    back = prepare(logs, **prepared.undo)
    rotate(logs)
    held = logs.contents()
    assert PACK.look(logs.target(), back.aim, WORLD) is Seen.NOT_DONE
    assert apply(logs, back) == "3 of 3 logs of orders were unpacked"
    assert PACK.look(logs.target(), back.aim, WORLD) is Seen.DONE
    assert logs.contents() == held
    assert not [name for name in logs.names() if name.endswith(".gz")]


def test_old_logs_that_were_renamed_are_deleted_and_no_others(logs):
    prepared = prepare(logs, DELETE, older_than_s=60)
    rotate(logs)
    young = {name: content for name, content in logs.contents().items() if name in ("orders.log.1", "orders.log.2")}
    assert apply(logs, prepared, DELETE).startswith("3 of 3 old logs of orders were deleted; ")
    assert logs.contents() == young | {"orders.log": b"now\n"}
    assert DELETE.look(logs.target(), prepared.aim, WORLD) is Seen.DONE


def test_rotation_waits_for_us_and_we_wait_for_it_but_not_for_ever(logs, monkeypatch):
    seen = []

    def rotation_tries():
        with open_folder(str(logs.folder)) as other:
            seen.append(other._lock())

    prepared = prepare(logs)
    apply(logs, prepared, confirm=rotation_tries)
    assert seen
    assert not any(seen)
    monkeypatch.setattr(rotated, "HELD_WITHIN_S", 0.05)
    with open_folder(str(logs.folder)) as other, other.held(), pytest.raises(Rejected, match="locked by somebody else"):
        apply(logs, prepared)


def test_a_packed_file_that_holds_something_else_is_not_overwritten(logs):
    prepared = prepare(logs, max_files=1)
    (logs.folder / "orders.log.4.gz").write_bytes(gzip.compress(b"x" * len(lines(4))))
    with pytest.raises(Rejected, match=r"does not hold what orders\.log\.4 holds, so both are left alone"):
        apply(logs, prepared)
    (logs.folder / "orders.log.4.gz").write_bytes(b"no gzip")
    with pytest.raises(Malformed, match="no whole gzip"):
        apply(logs, prepared)
    assert (logs.folder / "orders.log.4").read_bytes() == lines(4)


def test_where_the_packed_file_has_no_room_the_log_stays_and_no_rubbish(logs):
    prepared, before = prepare(logs), logs.names()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))  # as a disk that has no more room than that
    try:
        with pytest.raises(Rejected, match=r"log\.4\.gz cannot be written: .*File too large"):
            apply(logs, prepared)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert logs.names() == before


def test_what_an_undo_would_unpack_must_have_room_and_be_there(logs):
    prepared = prepare(logs)
    apply(logs, prepared)
    with pytest.raises(Rejected, match="no room to unpack"):
        prepare(logs, restore=[{"name": "orders.log.4", "size": 10**18}])
    with pytest.raises(Rejected, match="neither it nor its packed file"):
        prepare(logs, restore=[{"name": "orders.log.99", "size": 5}])
    with pytest.raises(Rejected, match="none of the rotated logs"):
        prepare(logs, restore=[{"name": "else", "size": 5}])
    wrong = prepare(logs, restore=[{"name": "orders.log.4", "size": 5}])
    before = logs.names()
    with pytest.raises(Rejected, match="does not hold 5 bytes"):
        apply(logs, wrong)
    assert logs.names() == before
    with pytest.raises(ValueError, match="name"):
        PACK.Params(restore=[{"name": "../x", "size": 5}])


def test_only_old_logs_are_deleted_packed_or_not_and_the_newest_stay(logs):
    apply(logs, prepare(logs))
    (logs.folder / "orders.log.5").write_text("young\n")
    prepared = prepare(logs, DELETE)
    assert chosen(prepared) == [f"orders.log.{number}" for number in ("4.gz", "3.gz", "2.gz", "1")]
    assert (prepared.undo, prepared.irreversible) == (None, "deleted log lines are gone")
    assert chosen(prepare(logs, DELETE, max_files=2)) == ["orders.log.4.gz", "orders.log.3.gz"]
    years = int(time.time() - OLD) + 200
    assert chosen(prepare(logs, DELETE, older_than_s=years)) == ["orders.log.4.gz"]
    said = apply(logs, prepared, DELETE)
    assert said.startswith("4 of 4 old logs of orders were deleted")
    assert logs.names() == ["orders.log", "orders.log.5"]
    with pytest.raises(Rejected, match="is older than"):
        prepare(logs, DELETE)


def test_too_many_names_are_refused(logs, monkeypatch):
    monkeypatch.setattr(rotated, "MAX_ENTRIES", 3)
    with pytest.raises(Rejected, match="holds more than 3 files"):
        prepare(logs)


def written(logs, action="compress_logs", **params):
    prepared = steps.prepare(action, params, logs.target(), WORLD)
    about = incident(service="orders").pk
    step = steps.from_prepared(prepared, incident_id=about, cause="disk", action=action, target="orders", params=params)
    assert steps.write(step)
    return step


def carry(logs, step, lease=None):
    step.refresh_from_db()
    return steps.carry_out(step, logs.target(), WORLD, lease or take(step.incident_id))


CONFIRMED = 1 + 3 * 3 + 1  # before begin; of each of three logs before the part, the name and the unlink; before finish


@pytest.mark.parametrize("last", range(1, CONFIRMED + 1))
@pytest.mark.django_db
def test_an_owner_dies_and_the_next_one_finishes_without_a_line_lost(logs, last):
    before, step = logs.contents(), written(logs)
    with pytest.raises(Died):
        carry(logs, step, with_fate(Mortal, take(step.incident_id, "the one who dies"), last))
    assert logs.contents() == before
    assert carry(logs, step).outcome is Outcome.DONE
    assert logs.contents() == before
    assert logs.names() == ["orders.log", "orders.log.1", *(f"orders.log.{number}.gz" for number in (2, 3, 4))]


@pytest.mark.parametrize("last", range(1, CONFIRMED + 1))
@pytest.mark.django_db
def test_who_is_overtaken_stops_and_the_next_one_finishes(logs, last):
    before, step = logs.contents(), written(logs)
    old = with_fate(Overtaken, take(step.incident_id), last)
    with pytest.raises(Lost, match="taken over"):
        carry(logs, step, old)
    assert logs.contents() == before
    assert carry(logs, step).outcome is Outcome.DONE
    assert logs.contents() == before
    assert not [name for name in logs.names() if name.endswith(".part")]


@pytest.mark.parametrize("last", range(1, CONFIRMED + 1))
@pytest.mark.django_db
def test_an_undo_whose_owner_died_is_finished(logs, last):
    before, there = logs.contents(), logs.names()
    step = written(logs)
    carry(logs, step)
    undo = steps.begin_undo(step, logs.target(), WORLD)
    with pytest.raises(Died):
        carry(logs, undo, with_fate(Mortal, take(step.incident_id), last))
    assert logs.contents() == before
    assert carry(logs, undo).outcome is Outcome.DONE
    assert (logs.contents(), logs.names()) == (before, there)


@pytest.mark.django_db
def test_what_was_only_half_done_is_undone(logs):
    before, there = logs.contents(), logs.names()
    step = written(logs)
    with pytest.raises(Died):
        carry(logs, step, with_fate(Mortal, take(step.incident_id), 4))
    undo = steps.begin_undo(step, logs.target(), WORLD)
    assert carry(logs, undo).outcome is Outcome.DONE
    assert (logs.contents(), logs.names()) == (before, there)


def test_a_part_that_somebody_left_is_replaced(logs):
    (logs.folder / "orders.log.4.gz.part").write_bytes(b"half")
    apply(logs, prepare(logs))
    assert PACK.look(logs.target(), prepare(logs, restore=[]).aim, WORLD) is Seen.DONE
    assert not [name for name in logs.names() if name.endswith(".part")]
    assert Path(logs.folder / "orders.log.4.gz").exists()
