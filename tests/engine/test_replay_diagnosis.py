"""A diagnosis made again: from the database, from a folder, in another process; and what cannot be made again."""

import json
import subprocess
import sys
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sre_platform.catalog.models import Service
from sre_platform.diagnosis.models import EvidenceDocument, EvidenceRow, FindingRow
from sre_platform.engine import case_folder, rediagnosis
from sre_platform.incidents.domain import State
from sre_platform.incidents.models import Incident
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import SreError
from tests.diagnosis.test_collect_profiles import Go
from tests.engine.story import drive, fire, install
from tests.fakes.wire import serving
from tests.recordings import FOLDER

pytestmark = pytest.mark.django_db
HEALTHY = FOLDER / "go" / "healthy"
BOOK = """
name: with-profiles
summary: A playbook that collects profiles too.
match: {alerts: [HighErrorRatio]}
collect:
  - go_goroutines: {seconds_apart: 0.05}
  - go_profiles: {kinds: [heap], cpu_seconds: 1}
  - recent_changes
  - sli_window
diagnose: {rules: [bad_release, goroutine_leak], min_confidence: 0.5}
remediate: [rollback_release]
"""


def diagnosis(shop, go):
    from sre_platform.playbook import library

    install(shop)
    library.store(BOOK, "tests")
    with serving(go) as wire:
        Service.objects.filter(name="payments").update(pprof_url=f"{wire.url}/debug/pprof")
        return drive(fire(), State.DIAGNOSED)


@pytest.fixture
def diagnosed(shop):
    """An incident about a release that leaks, diagnosed; the dumps are recorded ones."""
    return diagnosis(shop, Go(128))


@pytest.fixture
def looked_at_closer(shop):
    """The same without the leak profile: nothing is proven, so profiles were taken too."""
    return diagnosis(shop, Go(128, refuse=("goroutineleak",)))


def replayed(*words, capsys):
    with pytest.raises(SystemExit) as ended:
        call_command("replay_diagnosis", *map(str, words))
    return ended.value.code, capsys.readouterr()


def test_the_stored_evidence_gives_the_stored_answer(diagnosed, capsys):
    code, said = replayed(diagnosed.pk, "--json", capsys=capsys)
    report = json.loads(said.out)
    assert (code, report["same"], report["differences"]) == (0, True, [])
    assert report["findings"][0]["finding"]["cause"] == "chan_send_no_receiver"
    assert len(report["findings"]) >= 2
    assert report["findings"] == report["stored"]
    assert all(item["finding"]["would_decide"] for item in report["findings"])


def test_both_looks_are_one_round_and_profiles_are_taken_only_when_nothing_is_proven(diagnosed):
    assert {row.collector for row in diagnosed.evidence.all()} >= {"go_goroutines", "recent_changes"}
    assert not diagnosed.evidence.filter(collector="go_profiles").exists()


def test_it_asks_nobody_and_changes_nothing(diagnosed, capsys, django_assert_max_num_queries):
    Service.objects.filter(name="payments").update(pprof_url="http://127.0.0.1:1/", metrics_url="http://127.0.0.1:1/")
    before = [list(model.objects.values()) for model in (Incident, EvidenceRow, FindingRow)]
    with django_assert_max_num_queries(10):
        assert replayed(diagnosed.pk, capsys=capsys)[0] == 0
    assert [list(model.objects.values()) for model in (Incident, EvidenceRow, FindingRow)] == before


def test_people_read_what_speaks_for_it_and_against_it(diagnosed, capsys):
    _, said = replayed(diagnosed.pk, capsys=capsys)
    assert "1. chan_send_no_receiver of payments at " in said.out
    for shown in ("because", "against", "would decide", "Two findings disagree", "The same as was stored."):
        assert shown in said.out


def test_a_leak_at_one_of_three_replicas_is_found_kept_and_found_again(shop, capsys):
    from sre_platform.playbook import library

    install(shop)
    library.store(BOOK, "tests")
    healthy = Go(12)
    healthy.dumps.folder = HEALTHY
    with serving(Go(128)) as leaking, serving(healthy) as well:
        urls = {"pay-1": well.url, "pay-2": leaking.url, "pay-3": well.url}
        replicas = [
            {"name": n, "metrics_url": f"{u}/metrics", "pprof_url": f"{u}/debug/pprof"} for n, u in urls.items()
        ]
        Service.objects.filter(name="payments").update(replicas=replicas)
        incident = drive(fire(), State.DIAGNOSED)
    rows = incident.evidence.filter(collector="go_goroutines")
    assert [row.replica for row in rows] == ["pay-2", "pay-1", "pay-3"], "the worst first"
    best = incident.findings.first()
    assert (best.cause, best.service) == ("chan_send_no_receiver", "payments")
    seen_at = "Seen at 1 of the 3 replicas that were looked at: pay-2; not at pay-1, pay-3."
    assert seen_at in best.content["because"]
    assert EvidenceDocument.objects.filter(evidence__in=rows).count() == 9
    assert len({item.blob_id for item in EvidenceDocument.objects.filter(evidence__in=rows)}) == 6, "equal ones once"
    code, said = replayed(incident.pk, capsys=capsys)
    assert (code, seen_at in said.out) == (0, True)


def test_another_answer_is_told_and_how_it_differs(diagnosed, capsys):
    first, second = FindingRow.objects.order_by("rank")[:2]
    FindingRow.objects.filter(pk=first.pk).update(content=first.content | {"confidence": 0.5})
    FindingRow.objects.filter(pk=second.pk).update(rule="somebody_else")
    code, said = replayed(diagnosed.pk, capsys=capsys)
    assert code == 1
    assert "At rank 1, chan_send_no_receiver at payments by goroutine_leak: different confidence." in said.out
    assert "At rank 2 stood chan_send_no_receiver at payments by somebody_else; now it is chan_send" in said.out


def test_evidence_that_was_changed_gives_another_answer(diagnosed, capsys):
    EvidenceDocument.objects.filter(name="goroutine").delete()
    code, said = replayed(diagnosed.pk, "--json", capsys=capsys)
    report = json.loads(said.out)
    assert (code, report["same"]) == (1, False)
    assert "chan_send_no_receiver" in report["differences"][0]


def test_a_folder_gives_the_same_answer_in_another_process_and_needs_no_database(diagnosed, capsys, tmp_path):
    folder = tmp_path / "case"
    code, said = replayed(diagnosed.pk, "--export", folder, "--json", capsys=capsys)
    assert (code, "documents and their index" in said.err) == (0, True)
    assert rediagnosis.of_incident(diagnosed.pk).evidence == case_folder.read(folder).evidence
    env = {
        "SRE_DATABASE_URL": "sqlite:////nonexistent/x.sqlite3",
        "SRE_ENV_FILE": "/nonexistent",
        "PYTHONHASHSEED": "7",
    }
    env |= {"SRE_DATA": str(tmp_path / "data"), "DJANGO_SETTINGS_MODULE": "sre_platform.settings"}
    argv = [sys.executable, "manage.py", "replay_diagnosis", str(folder), "--json"]
    other = subprocess.run(argv, check=False, cwd=django_settings.BASE_DIR, env=env, capture_output=True, timeout=60)
    assert (other.returncode, other.stdout) == (0, said.out.encode())


def test_exported_documents_are_the_raw_ones(looked_at_closer, capsys, tmp_path):
    assert replayed(looked_at_closer.pk, "--export", tmp_path / "case", capsys=capsys)[0] == 0
    files = {path.name for path in (tmp_path / "case").iterdir()}
    [heap] = [name for name in files if name.endswith("payments-go_profiles-heap.pb.gz")]
    row = EvidenceRow.objects.get(collector="go_profiles")
    assert (tmp_path / "case" / heap).read_bytes() == row.document("heap")
    assert any(name.endswith("payments-go_goroutines-goroutine.txt") for name in files)


@pytest.mark.parametrize("name", ["4711", "/nonexistent", "."])
def test_what_is_no_case(name):
    with pytest.raises(CommandError) as caught:
        call_command("replay_diagnosis", name)
    assert caught.value.returncode == 2


def test_an_incident_that_nobody_looked_at_or_whose_documents_are_gone(diagnosed, settings):
    Incident.objects.filter(pk=diagnosed.pk).update(state="resolved", due_at=None, ended_at=now() - timedelta(days=31))
    assert rediagnosis.again(rediagnosis.of_incident(diagnosed.pk)).same
    EvidenceDocument.objects.all().delete()
    with pytest.raises(SreError, match="its raw documents are gone"):
        rediagnosis.of_incident(diagnosed.pk)
    EvidenceRow.objects.all().delete()
    with pytest.raises(SreError, match="Nothing was looked at"):
        rediagnosis.of_incident(diagnosed.pk)


def test_nothing_is_overwritten(diagnosed, tmp_path):
    (tmp_path / "mine").write_text("x")
    with pytest.raises(CommandError, match="not empty"):
        call_command("replay_diagnosis", str(diagnosed.pk), export=tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["mine"]


def a_document(index):
    return next(document for look in index["evidence"] for document in look["documents"])


def changes(index):
    return next(look for look in index["evidence"] if look["collector"] == "recent_changes")


def spoil(index, change):
    document = json.loads(index.read_text())
    change(document)
    index.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.update(format=2), "format"),
        (lambda d: d.update(more=1), "more: extra inputs"),
        (lambda d: d["evidence"][0].update(collected_at="today"), "collected_at"),
        (lambda d: a_document(d).update(file="../index.json"), "file"),
        (lambda d: a_document(d).update(file="/etc/passwd"), "file"),
        (lambda d: a_document(d).update(file="nothing.txt"), "not a regular file"),
        (lambda d: a_document(d).update(file="link.txt"), "not a regular file"),
        (lambda d: d["findings"][0].update(finding={}), "names no cause"),
        (lambda d: changes(d).update(data={"changes": [5]}), "not the shape"),
        (lambda d: changes(d).update(data={"changes": [{"kind": "deploy", "before": "a"}]}), "not the shape"),
        (lambda d: d.update(playbooks={"x": "name: [", "y": ""}), "playbook"),
    ],
)
def test_a_folder_that_was_tampered_with_is_refused(diagnosed, capsys, tmp_path, change, said):
    folder = tmp_path / "case"
    replayed(diagnosed.pk, "--export", folder, capsys=capsys)
    (folder / "link.txt").symlink_to("/etc/passwd")
    spoil(folder / "index.json", change)
    with pytest.raises(CommandError, match=said) as caught:
        call_command("replay_diagnosis", str(folder))
    assert caught.value.returncode == 2


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(max_size=80)
    | st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda i: st.lists(i) | st.dictionaries(st.sampled_from(["format", "incident", "evidence"]), i),
    ).map(json.dumps)
)
def test_whatever_an_index_holds_is_refused_with_a_sentence(tmp_path, text):
    (tmp_path / "index.json").write_text(text, encoding="utf-8", errors="replace")
    with pytest.raises(SreError):
        case_folder.read(tmp_path)
