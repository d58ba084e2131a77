import json
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from sre_platform.intake import reading
from sre_platform.kernel.errors import Malformed


def refusal(text: bytes) -> str:
    with pytest.raises(Malformed) as caught:
        reading.read_json(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"1e999999", "The body holds a number that is too large: 1e999999."),
        (b"-1E+999", "The body holds a number that is too large: -1E+999."),
        (b"[" + b"9" * 1_000_000 + b"]", "The body holds a number of 1000000 characters; at most 300 are read."),
        (b"0." + b"3" * 1_000_000, "The body holds a number of 1000002 characters; at most 300 are read."),
        (b'{"a": NaN}', "The body is not JSON: NaN is not a JSON number."),
        (b"-Infinity", "The body is not JSON: -Infinity is not a JSON number."),
        (b"[" * 65 + b"]" * 65, "The body is nested too deeply: more than 64 levels."),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "The body is nested too deeply: more than 64 levels."),
        (b"[" * 1_000_000, "The body is nested too deeply."),
        ('{"a": 1}'.encode("utf-16"), "The body is not UTF-8: byte 0 cannot be read."),
        ('{"a": 1}'.encode("utf-16-le"), "The body is not JSON: "),
        ('{"a": 1}'.encode("utf-32-be"), "The body is not JSON: "),
        ('{"a": "é"}'.encode("latin-1"), "The body is not UTF-8: byte 7 cannot be read."),
        (b'{"a": "\xed\xa0\x80"}', "The body is not UTF-8: byte 7 cannot be read."),
        (b'{"a": "\x00"}', "The body is not JSON: "),
        (b"\x1f\x8b\x08\x00", "The body is not UTF-8: byte 1 cannot be read."),
    ],
)
def test_what_could_hurt_is_refused_quickly_in_one_sentence(text, said):
    began = time.process_time()
    assert refusal(text).startswith(said)
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize("text", [b"1e308", b"9" * 300, b"-0.0", b"[" * 64 + b"]" * 64, b'"NaN"', b"1e-999999"])
def test_what_only_looks_like_it_is_read(text):
    assert reading.read_json(text) == json.loads(text)


def test_of_a_key_that_comes_twice_the_last_one_counts():
    assert reading.read_json(b'{"a": 1, "b": {"c": 1, "c": 2}, "a": 3}') == {"a": 3, "b": {"c": 2}}


def test_texts_that_no_database_takes_are_replaced_wherever_they_are():
    document = reading.read_json(rb'{"a\u0000": ["\ud800", {"b": "\u00e9\uD83D\uDE00"}], "c": 1.0}')
    assert document == {"a\ufffd": ["?", {"b": "é😀"}], "c": 1.0}


@given(st.binary(max_size=80) | st.text(max_size=80).map(lambda text: text.encode("utf-16", "surrogatepass")))
def test_any_bytes_are_a_document_or_malformed(text):
    try:
        reading.read_json(text)
    except Malformed as error:
        assert len(str(error)) < 300


NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-21T12:00:00Z",
        "2026-11-21T13:00:00.000+01:00",
        1795262400,
        1795262400.0,
        1795262400000,
        "1795262400",
        "1795262400000",
        "1795262400.000",
    ],
)
def test_a_moment_in_every_form_that_senders_use(value):
    assert reading.any_moment(value) == NOON


def test_parts_of_a_second_are_kept():
    assert reading.any_moment(1795262400123).microsecond == 123000
    assert reading.any_moment("1795262400.25").microsecond == 250000


@pytest.mark.parametrize(
    "value",
    [None, True, False, "", "now", "12", -1, 0, 10**15 * 300, 1e300, 10**290, "9999999999999999", [], {}, "2026-11-21"],
)
def test_what_is_no_moment_is_a_value_error(value):
    with pytest.raises(ValueError, match=r"must be|isoformat|UTC offset"):
        reading.any_moment(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (False, "false"), (1, "1"), (1.0, "1"), (0.5, "0.5"), (1e300, "1e+300"), ("x", "x"), ("", "")],
)
def test_scalars_as_text(value, text):
    assert reading.text_of(value) == text


@pytest.mark.parametrize("value", [None, [], {}])
def test_what_has_parts_is_no_text(value):
    with pytest.raises(ValueError, match="must be a text"):
        reading.text_of(value)


def test_a_fingerprint_depends_on_every_label_and_on_no_order():
    known = reading.fingerprint_of({"a": "b", "c": "d"})
    assert known == reading.fingerprint_of({"c": "d", "a": "b"})
    others = [{"a": "b"}, {"a": "bc", "": "d"}, {"a": "bcd"}, {"a": "b", "c": "e"}, {"ab": "", "c": "d"}, {}]
    assert len({known, *map(reading.fingerprint_of, others)}) == 1 + len(others)
    assert len(known) == 32


def test_the_sentence_names_the_first_and_counts_the_rest():
    class Model(BaseModel):
        one: int
        two: int

    with pytest.raises(ValidationError) as caught:
        Model.model_validate({"one": "x" * 9000})
    said = reading.sentence(caught.value, "the test")
    assert said.startswith("In the test, one: input should be a valid integer")
    assert said.endswith("(and 1 more).")
    assert len(said) < 300
