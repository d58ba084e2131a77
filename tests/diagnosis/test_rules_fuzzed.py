"""Whatever stands in the evidence, a rule answers with a finding that can be stored, or with nothing."""

import gzip
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.investigate import RULES
from tests.diagnosis.mutation import mutated
from tests.diagnosis.pprof import CONTENTION, CPU, HEAP, profile
from tests.diagnosis.recorded import FOLDER, recorded
from tests.diagnosis.scene import OPENED

NAMES = [
    "cpu_hot_spot", "cross_check", "db_pool_exhausted", "disk_filling", "dns_slow", "lock_contention",
    "memory_retention", "off_heap_memory", "redis_pool_exhausted", "retry_storm", "tls_handshake", "unbounded_cache",
]  # fmt: skip
SCENARIOS = sorted(str(path.parent.relative_to(FOLDER)) for path in FOLDER.glob("*/*/*") if path.is_dir())
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def judged(rule, evidence):
    finding = RULES.get(rule).judge("orders", evidence)
    if finding:
        json.dumps(finding.as_json(), allow_nan=False)
        assert 0 <= finding.confidence <= 1
        assert all(said.endswith(".") for said in [*finding.because, *finding.against, *finding.would_decide])
    return finding


def is_sound(rule, evidence):
    """Whether it answers at all, with a finding or none. Anything that it should not say, and any raise, fails."""
    return judged(rule, evidence) is None or True


@pytest.mark.parametrize("rule", NAMES)
def test_recorded_evidence_of_every_scenario(rule):
    found = {scenario for scenario in SCENARIOS if judged(rule, recorded(scenario))}
    assert any(scenario.endswith(("/sick", "/buffers", "/starved")) for scenario in found)
    assert not any(scenario.endswith("/healthy") for scenario in found)


@pytest.mark.parametrize("rule", NAMES)
@settings(max_examples=60, deadline=None)
@given(drawn=st.data())
def test_damaged_documents(rule, drawn):
    evidence = recorded(drawn.draw(st.sampled_from(SCENARIOS)))
    name = drawn.draw(st.sampled_from(sorted(evidence)))
    seen = evidence[name]
    document = drawn.draw(st.sampled_from([*sorted(seen.texts), *sorted(seen.profiles)] or [""]))
    if document in seen.texts:
        seen = replace(seen, texts={**seen.texts, document: drawn.draw(mutated(seen.texts[document]))})
    elif document:  # unpacked, because a damaged gzip is refused as a whole
        raw = gzip.decompress(seen.profiles[document])
        at, lost = drawn.draw(st.integers(0, len(raw))), drawn.draw(st.integers(0, 9))
        damaged = raw[:at] + drawn.draw(st.binary(max_size=9)) + raw[at + lost :]
        seen = replace(seen, profiles={**seen.profiles, document: damaged})
    assert is_sound(rule, evidence | {name: seen})


@pytest.mark.parametrize("rule", NAMES)
@settings(max_examples=60, deadline=None)
@given(drawn=st.data())
def test_other_data_than_agreed(rule, drawn):
    evidence = recorded(drawn.draw(st.sampled_from(SCENARIOS)))
    name = drawn.draw(st.sampled_from(sorted(evidence)))
    data = dict(evidence[name].data)
    place = drawn.draw(st.sampled_from([*sorted(data), "baseline", "refused", "queries"]))
    data[place] = drawn.draw(JSON)
    if "queries" in evidence[name].data and drawn.draw(st.booleans()):
        data["queries"] = dict(evidence[name].data["queries"])
        query = drawn.draw(st.sampled_from(sorted(data["queries"])))
        data["queries"][query] = drawn.draw(JSON | st.fixed_dictionaries({"series": JSON, "missing": JSON}))
        if drawn.draw(st.booleans()):
            points = drawn.draw(
                st.lists(st.tuples(st.just(1.0), st.floats() | st.integers() | st.text(max_size=3)), max_size=9)
            )
            data["queries"][query] = {"query": "q", "series": [{"labels": {}, "points": points}], "missing": ""}
    assert is_sound(rule, evidence | {name: replace(evidence[name], data=data)})


@pytest.mark.parametrize("rule", NAMES)
def test_evidence_without_anything_in_it(rule):
    names = ("go_profiles", "go_goroutines", "go_runtime", "go_trace", "host", "prometheus_window")
    assert judged(rule, {name: Evidence(name, "orders", OPENED) for name in names}) is None


@pytest.mark.parametrize(
    "rule", ["cpu_hot_spot", "cross_check", "lock_contention", "memory_retention", "unbounded_cache"]
)
@settings(max_examples=60, deadline=None)
@given(drawn=st.data())
def test_profiles_with_any_numbers(rule, drawn):
    kinds = {"heap": HEAP, "mutex": CONTENTION, "block": CONTENTION, "cpu": CPU}
    stacks = [
        ["io.ReadAll", "main.a"],
        ["sync.(*RWMutex).Unlock", "main.(*t).b"],
        ["sync.(*RWMutex).Lock", "main.(*t).c"],
    ]
    number = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 10**7)

    def drawing(types):
        rows = [(stack, [drawn.draw(number) for _ in types], drawn.draw(number)) for stack in stacks]
        return profile(types, rows, drawn.draw(number), drawn.draw(st.integers(0, 100)))

    names = {f"{kind}{when}": types for kind, types in kinds.items() for when in ("", ".earlier", ".baseline")}
    given_ = {name: drawing(types) for name, types in names.items()}
    data = {"seconds_apart": drawn.draw(st.floats(0, 1e9))}
    assert is_sound(rule, {"go_profiles": Evidence("go_profiles", "orders", OPENED, data, profiles=given_)})
