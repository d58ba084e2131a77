import pytest

from sre_platform.diagnosis.rca.weighing import ALONE, RECORDED, THREE_AGREE, TWO_AGREE, weighed


@pytest.mark.parametrize(
    ("signs", "effects", "confidence"),
    [
        (["a."], [], ALONE),
        (["a."], ["b."], TWO_AGREE),
        (["a.", "b."], [], TWO_AGREE),
        (["a."], ["b.", "c."], THREE_AGREE),
        (["a.", "b.", "c."], ["d."], THREE_AGREE),
    ],
)
def test_signs_and_effects_agree(signs, effects, confidence):
    finding = weighed("go.gc.finalizers", "shop", "runtime", signs, effects, count=3)
    assert (finding.cause, finding.family, finding.service, finding.evidence, finding.count) == (
        "go.gc.finalizers", "gc", "shop", "runtime", 3,
    )  # fmt: skip
    assert finding.confidence == confidence
    assert list(finding.because) == ["shop: a.", *signs[1:], *effects]


def test_effects_alone_name_no_cause():
    assert weighed("host.cpu-pressure", "shop", "host", [], ["b.", "c."], at_least=RECORDED) is None


def test_a_record_is_surer():
    assert weighed("host.memory-pressure", "shop", "host", ["a."], at_least=RECORDED).confidence == RECORDED
    assert weighed("host.memory-pressure", "shop", "host", ["a.", "b."], at_least=0.1).confidence == TWO_AGREE
