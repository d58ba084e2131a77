import pytest

from sre_platform.diagnosis import store
from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.models import EvidenceBlob, EvidenceRow, FindingRow
from sre_platform.incidents.models import Incident
from sre_platform.kernel.errors import Unknown
from tests.diagnosis.scene import OPENED
from tests.fakes.leases import incident

pytestmark = pytest.mark.django_db


def kept(*seen: Evidence) -> list[EvidenceRow]:
    """These looks, bounded and stored as a diagnosis does it, and read again."""
    row = incident(key=f"incident {Incident.objects.count()}")
    store.keep(row.pk, 1, store.pack(store.bounded(seen)))
    return list(EvidenceRow.objects.filter(incident=row))


def test_evidence_is_kept_packed_and_without_secrets():
    texts = {"log": "GET http://ann:hunter2@db/ with Authorization: Bearer abcdefgh12345", "dump": "goroutine 1 " * 999}
    asked = ["GET http://ann:hunter2@db/debug/pprof"]
    [row] = kept(
        Evidence("process", "payments", OPENED, {"password": "hunter2", "state": "RUNNING"}, texts, asked=asked)
    )
    assert row.data == {"password": "[redacted]", "state": "RUNNING"}
    assert "hunter2" not in row.texts["log"]
    assert "abcdefgh12345" not in row.texts["log"]
    assert row.texts["dump"] == texts["dump"]
    assert row.asked == ["GET http://[redacted]@db/debug/pprof"]
    assert len(row.documents.get(name="dump").blob.packed) < 1000


def test_evidence_without_texts_holds_none():
    [row] = kept(Evidence("health", "payments", OPENED, missing="nobody said Bearer abcdefgh12345"))
    assert (row.texts, row.profiles, row.missing) == ({}, {}, "nobody said [redacted]")


def test_what_comes_back_is_what_was_bounded_whatever_it_holds():
    data = {"b": 1.0, "a": {"z": (1, 2), "y": float("nan")}, "c": "\x00\ud800"}
    texts = {"goroutine": "goroutine 1 [running]:\n\x00é", "earlier": ""}
    profiles = {"heap": bytes(range(256)) * 99, "cpu": b""}
    seen = Evidence("go_profiles", "payments", OPENED, data, texts, "", profiles, ("GET http://a/",), "payments-2")
    [bounded] = store.bounded([seen])
    [row] = kept(seen)
    assert row.as_evidence() == bounded
    assert list(bounded.data) == ["a", "b", "c"], "PostgreSQL would order them otherwise"
    assert store.bounded([bounded]) == [bounded]
    assert (row.document("heap"), row.document("goroutine")) == (
        profiles["heap"],
        "goroutine 1 [running]:\n\ufffdé".encode(),
    )
    with pytest.raises(Unknown, match="no document 'stack'; known are: cpu, earlier, goroutine, heap"):
        row.document("stack")


def test_equal_documents_are_stored_once_however_many_look():
    looks = [
        Evidence("go_goroutines", "payments", OPENED, texts={"goroutine": "same", "earlier": "same"}, replica=name)
        for name in "abc"
    ]
    kept(*looks)
    kept(*looks)
    assert EvidenceBlob.objects.count() == 1
    assert [row.texts["earlier"] for row in EvidenceRow.objects.all()] == ["same"] * 6


def test_it_takes_as_many_statements_however_much_there_is(django_assert_num_queries):
    row = incident()
    few = [Evidence("a", "payments", OPENED, texts={"x": "few"})]
    many = [
        Evidence("a", "payments", OPENED, texts={"x": f"{n}", "y": f"{n}"}, profiles={"z": b"%d" % n}, replica=f"{n}")
        for n in range(40)
    ]
    for round_, seen in enumerate((few, many)):
        with django_assert_num_queries(8):  # of them two savepoints' four
            store.keep(row.pk, round_, store.pack(seen))
    with django_assert_num_queries(3):
        rows = EvidenceRow.objects.filter(round=1).prefetch_related("documents__blob")
        assert sum(len(row.texts) + len(row.profiles) for row in rows) == 120


def test_what_is_too_large_is_cut_and_that_is_said(monkeypatch):
    monkeypatch.setattr(store, "MAX_DOCUMENT_BYTES", 10)
    texts, profiles = {"dump": "123456789é", "short": "x"}, {"heap": b"x" * 11, "cpu": b"y" * 10}
    [row] = kept(Evidence("a", "payments", OPENED, {"full": True}, texts, profiles=profiles))
    assert (row.texts, row.profiles) == ({"dump": "123456789", "short": "x"}, {"cpu": b"y" * 10})
    assert row.data["full"] is True
    assert row.data["cut"] == {
        "dump": "dump has 11 bytes; only the first 10 were kept.",
        "heap": "heap has 11 bytes, which is more than may be kept: it was left out.",
    }


def test_a_name_of_a_document_that_is_too_long_or_odd_is_kept_shorter():
    [row] = kept(Evidence("a", "payments", OPENED, texts={"\0" + "x" * 200: "1"}, profiles={"y" * 101: b"2"}))
    assert (list(row.texts), list(row.profiles)) == (["\ufffd" + "x" * 99], ["y" * 100])


def test_an_incident_holds_no_more_than_its_share(monkeypatch):
    monkeypatch.setattr(store, "MAX_INCIDENT_BYTES", 30)
    row = incident()
    for round_ in range(3):
        seen = [Evidence("a", "payments", OPENED, texts={"dump": "x" * 8}, profiles={"heap": b"y" * 8})]
        store.keep(row.pk, round_, store.pack(store.bounded(seen, store.used_bytes(row.pk))))
    assert store.used_bytes(row.pk) == 30
    last = EvidenceRow.objects.get(round=2)
    assert (last.texts, last.profiles) == ({"dump": "x" * 6}, {})
    assert set(last.data["cut"]) == {"dump", "heap"}


@pytest.mark.parametrize(
    ("site", "where"), [(None, ""), ({"file": "till.go", "line": 17, "function": "f"}, "till.go:17")]
)
def test_where_a_finding_is(site, where):
    assert FindingRow(content={"site": site}).where == where
