import math

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sre_platform.kernel.errors import Malformed
from sre_platform.playbook.schema import Playbook, parse_playbook

TEXT = """\
name: service-down
summary: A process ended.
match:
  alerts: [ServiceDown, "Users*"]
  services: [pay*]
collect:
  - process
  - health: {tries: 2}
diagnose:
  rules: [process_down]
remediate:
  - restart_service:
verify:
  interval_s: 0.5
  criteria:
    - name: nothing fails
      sli: {kind: gauge, metric: failures}
      op: "<="
      threshold: 0
"""


def test_reads_every_block():
    book = parse_playbook(TEXT)
    assert (book.name, book.diagnose.min_confidence) == ("service-down", 0.7)
    assert (book.verify.interval_s, book.verify.count) == (0.5, 3)
    assert [(call.name, dict(call.params)) for call in book.collect] == [("process", {}), ("health", {"tries": 2})]
    assert book.remediate[0].params == {}
    assert book.verify.criteria[0].sli.metric == "failures"


@pytest.mark.parametrize(
    ("alert", "service", "wanted"),
    [
        ("ServiceDown", "payments", True),
        ("UsersWait", "pay", True),
        ("UsersWait", "orders", False),
        ("servicedown", "payments", False),
    ],
)
def test_wants_the_alerts_and_services_that_its_patterns_match(alert, service, wanted):
    assert parse_playbook(TEXT).wants(alert, service) is wanted


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("summary:", "sumary:", "f.yaml:2: the document: unknown key 'sumary': did you mean 'summary'?"),
        ("  interval_s:", "  intervall_s:", "f.yaml:14: verify: unknown key 'intervall_s': did you mean 'interval_s'?"),
        ("      op:", "      opp:", "f.yaml:18: verify.criteria.0: unknown key 'opp': did you mean 'op'?"),
        ("rules:", "zzz: 1\n  rules:", "f.yaml:10: diagnose: unknown key 'zzz': known are: rules, min_confidence."),
        (
            "  - process",
            "  - {x: 1, process: }",
            "f.yaml:7: collect.0: unknown key 'x': known are: name, params, first.",
        ),
    ],
)
def test_an_unknown_key_is_named_with_file_line_and_the_nearest_key(old, new, said):
    with pytest.raises(Malformed) as caught:
        parse_playbook(TEXT.replace(old, new), "f.yaml")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: service-down", "name: Service Down", "f.yaml:1: name: String should match"),
        ("name: service-down", f"name: {'x' * 101}", "f.yaml:1: name: String should have at most 100"),
        ("A process ended.", '" "', "f.yaml:2: summary: say in one line which failure this heals"),
        ('[ServiceDown, "Users*"]', "[]", "f.yaml:4: match.alerts: "),
        ('[ServiceDown, "Users*"]', "ServiceDown", "f.yaml:4: match.alerts: "),
        ("{tries: 2}", "5", "f.yaml:8: collect.1.params: "),
        ("restart_service:", "restart_service: 0", "f.yaml:12: remediate.0.params: "),
        ("threshold: 0", "threshold: .nan", "f.yaml:19: verify.criteria.0.threshold: "),
        ("interval_s: 0.5", "interval_s: .inf", "f.yaml:14: verify.interval_s: "),
        ("interval_s: 0.5", "interval_s: 1e300", "f.yaml:14: verify.interval_s: "),
        ("interval_s: 0.5", "interval_s: 0", "f.yaml:14: verify.interval_s: "),
        ("metric: failures", "metrik: failures", "f.yaml:17: verify.criteria.0.sli."),
        ("summary: A process ended.\n", "", "f.yaml:1: summary: Field required"),
    ],
)
def test_a_wrong_value_is_named_with_its_line_and_place(old, new, said):
    assert old in TEXT
    with pytest.raises(Malformed) as caught:
        parse_playbook(TEXT.replace(old, new), "f.yaml")
    assert said in str(caught.value)


def test_every_wrong_thing_is_told_at_once():
    with pytest.raises(Malformed) as caught:
        parse_playbook("name: x\nsummary: y\n")
    missing = ("match", "collect", "diagnose", "remediate")
    assert all(f"{block}: Field required" in str(caught.value) for block in missing)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the document: Input should be a valid dictionary"),
        ("# nothing\n", "the document: Input should be a valid dictionary"),
        ("- name: x", "the document: Input should be a valid dictionary"),
        ("just text", "the document: Input should be a valid dictionary"),
        (TEXT + "name: again\n", "f.yaml:20: the key 'name' is there twice"),
        (
            TEXT.replace("metric:", "kind: rate, metric:"),
            "f.yaml:17: the key 'kind' is there twice",
        ),
        (TEXT + "---\n" + TEXT, "expected a single document"),
        ("a: [", "is not YAML"),
        ("a: 2020-99-99", "is not YAML"),
        ("a: 0x_", "is not YAML"),
        ("a: !!int ''", "is not YAML"),
        ("a: !!bool x", "is not YAML"),
        ("a: !!timestamp x", "is not YAML"),
        ("a: " + "9" * 5000, "is not YAML"),
        ("a: !!python/object/apply:os.system [x]", "could not determine a constructor"),
        ("a: *nobody", "undefined alias"),
        ("? [a]\n: b", "unhashable key"),
        ("a: " + "[" * 2_000, "nested too deeply"),
        ("a: " + "{b: " * 2_000, "nested too deeply"),
        ("\x00", "is not YAML"),
        ("a: \ud800", "is not YAML"),
        ("match: &m {alerts: *m}", "match.alerts"),
        ("match: {services: &s [*s]}", "match.services"),
    ],
)
def test_what_is_no_playbook_is_malformed(text, said):
    with pytest.raises(Malformed) as caught:
        parse_playbook(text, "f.yaml")
    assert str(caught.value).startswith("f.yaml")
    assert said in str(caught.value)


def test_anchors_and_merges_are_read_and_do_not_count_as_repeated_keys():
    anchored = TEXT.replace("{kind: gauge, metric: failures}", "&sli {kind: gauge, metric: failures}") + (
        "    - {name: b, sli: {<<: *sli, metric: others}, op: '<', threshold: 1}\n"
    )
    first, second = parse_playbook(anchored).verify.criteria
    assert (first.sli.kind, second.sli.kind, second.sli.metric) == ("gauge", "gauge", "others")


def test_a_playbook_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        parse_playbook(TEXT).verify.count = 1


INDICATORS = "&a *a !!int !!float !!set !!binary ? - : [ ] { } | > ' --- ... ~ .nan -.inf 0x 1:99 2020-13-41"
SPACES = ["\n", "\n  ", "\n    ", "\t", " ", ": ", "- "]
PIECES = [*TEXT.split(), *INDICATORS.split(), *SPACES, "<<: *a", "%YAML 1.1", '"']


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=30).map("".join))
def test_any_text_is_a_playbook_or_malformed(text):
    try:
        assert isinstance(parse_playbook(text), Playbook)
    except Malformed as error:
        assert str(error).startswith("playbook")


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.dates() | st.binary(max_size=3)
leaves |= st.text(max_size=5)
keys = st.sampled_from(["name", "params", "alerts", "rules", "sli", "kind", "op"]) | leaves.filter(lambda k: k == k)
values = st.recursive(leaves, lambda v: st.lists(v, max_size=3) | st.dictionaries(keys, v, max_size=3), max_leaves=8)


@settings(max_examples=150, deadline=None)
@given(block=st.sampled_from([*Playbook.model_fields, "else"]), value=values)
def test_any_value_in_any_block_is_read_or_malformed(block, value):
    text = yaml.safe_dump(yaml.safe_load(TEXT) | {block: value})
    try:
        read = parse_playbook(text)
    except Malformed as error:
        assert block in str(error) or "YAML" in str(error) or "is there twice" in str(error)
    else:
        assert all(math.isfinite(criterion.threshold) for criterion in read.verify.criteria)
