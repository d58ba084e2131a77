import pytest

from sre_platform.diagnosis.rules.hung_service import HungService
from tests.diagnosis.scene import seen

LOCKED = """goroutine {id} [{state}]:
sync.runtime_SemacquireMutex(0x1, 0x0, 0x1)
\t/usr/local/go/src/runtime/sema.go:95 +0x25
sync.(*Mutex).Lock(...)
\t/usr/local/go/src/sync/mutex.go:90
main.(*till).take(0x1, 0x2)
\tlab/payments/till.go:17 +0x45
created by main.serve in goroutine 1
\tlab/payments/main.go:20 +0x1

"""


def dump(count, state="sync.Mutex.Lock"):
    return "".join(LOCKED.format(id=100 + n, state=state) for n in range(count))


def probe(ok, status=None, said="timed out"):
    return {"ok": ok, "status": status, "said": said, "ms": 750}


SILENT = (probe(False), probe(False))


def judge(state="RUNNING", probes=SILENT, texts=None):
    evidence = seen("process", process="payments", state=state, pid=41, up_s=9, down_s=0, exit_status=0)
    evidence |= seen("health", probes=list(probes))
    return HungService().judge("payments", evidence | (seen("go_goroutines", texts) if texts else {}))


def test_a_process_that_runs_and_answers_nobody():
    finding = judge()
    assert (finding.cause, finding.family, finding.confidence, finding.site) == ("hung_service", "process", 0.8, None)
    assert list(finding.because) == ["payments: process 41 runs, but all of 2 health checks failed: timed out"]


def test_who_holds_the_lock_is_said():
    holder = (
        LOCKED.format(id=7, state="chan send").replace("main.(*till).take", "main.(*till).send").replace(":17", ":31")
    )
    stack = "main.(*till).send(0xc000100000)" + holder.partition("main.(*till).send(0x1, 0x2)")[2]
    holder = f"goroutine 7 [chan send]:\n{stack}"
    slow = "sync.(*Mutex).lockSlow(0xc000100008)\n\t/usr/local/go/src/sync/mutex.go:171 +0x15d\nsync.(*Mutex).Lock(...)"
    waiting = {n: dump(n).replace("sync.(*Mutex).Lock(...)", slow) for n in (5, 60)}
    finding = judge(texts={"earlier": waiting[5] + holder, "goroutine": waiting[60] + holder})
    assert (str(finding.site), finding.growth) == ("lab/payments/till.go:17", 55)
    assert "Goroutine 7, in chan send, has the lock's object in hand" in finding.because[2]


def test_a_dump_that_shows_where_requests_pile_up_makes_it_surer():
    finding = judge(texts={"earlier": dump(5), "goroutine": dump(60)})
    assert (finding.family, finding.confidence, finding.evidence) == ("lock-wait", 0.9, "growth")
    assert (str(finding.site), finding.count, finding.growth) == ("lab/payments/till.go:17", 60, 55)
    assert "60 goroutines wait in sync.Mutex.Lock at lab/payments/till.go:17, 55 more" in finding.because[1]


@pytest.mark.parametrize(
    "texts",
    [
        {"earlier": dump(60), "goroutine": dump(60)},
        {"earlier": dump(5, "chan send"), "goroutine": dump(60, "chan send")},
        {"goroutine": "nonsense"},
        {"goroutine": ""},
        {"earlier": "nonsense", "goroutine": dump(60)},
    ],
)
def test_a_dump_that_shows_no_lock_names_no_place(texts):
    finding = judge(texts=texts)
    assert (finding.confidence, finding.site, finding.advice) == (0.8, None, [])


def test_an_error_answer_is_told():
    assert judge(probes=[probe(False, 503, "")]).because[0].endswith("status 503")


@pytest.mark.parametrize(
    "near_miss",
    [
        {"state": "EXITED"},
        {"state": "STARTING"},
        {"probes": [probe(False), probe(True, 200)]},
        {"probes": [probe(True, 200), probe(False)]},
        {"probes": []},
    ],
)
def test_near_misses(near_miss):
    assert judge(**near_miss) is None


def test_missing_evidence_is_no_finding():
    process = seen("process", process="p", state="RUNNING", pid=41, up_s=9, down_s=0, exit_status=0)
    probes = seen("health", probes=[probe(False)])
    rule = HungService()
    assert rule.judge("payments", process | probes)
    for lacking in ({}, process, probes, process | seen("health", missing="m"), probes | seen("process", missing="m")):
        assert rule.judge("payments", lacking) is None
