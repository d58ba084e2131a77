"""Reading profile.proto: what it holds, what is refused, and that nothing hurts."""

import gzip
import zlib
from dataclasses import replace
from time import process_time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sre_platform.diagnosis.parsers import profile_wire
from sre_platform.diagnosis.parsers.profile import (
    Function,
    Label,
    Line,
    Location,
    Mapping,
    Profile,
    Sample,
    ValueType,
    parse,
)
from sre_platform.diagnosis.parsers.profile_encode import encode
from sre_platform.diagnosis.parsers.profile_goroutines import goroutines
from sre_platform.diagnosis.parsers.profile_top import top
from sre_platform.kernel.errors import Malformed, Unknown
from tests.diagnosis.profiles import profiles, raw, recorded
from tests.diagnosis.wire import labelled_goroutines, number, part, varint
from tests.recordings.profiles import record

SMALL = ("threadcreate", "goroutineleak", "block.earlier", "cpu.baseline", "heap.earlier")


STRINGS = b"".join(part(6, text) for text in (b"", b"cpu", b"nanoseconds", b"main.f", b"f.go", b"route", b"/orders"))
TYPES = part(1, number(1, 1), number(2, 2))
FUNCTION = part(5, number(1, 9), number(2, 3), number(3, 3), number(4, 4), number(5, 11))
MAPPING = part(3, number(1, 8), number(2, 0x1000), number(3, 0x2000), number(7, 1))
LOCATION = part(4, number(1, 7), number(2, 8), number(3, 0x1234), part(4, number(1, 9), number(2, 12), number(3, 5)))
SAMPLE = part(2, number(1, 7), number(2, -5), part(3, number(1, 5), number(2, 6)), part(3, number(1, 1), number(3, -3)))
WHOLE = TYPES + SAMPLE + MAPPING + LOCATION + FUNCTION + STRINGS

SHOP = Function(9, "main.f", "main.f", "f.go", 11)
BINARY = Mapping(8, 0x1000, 0x2000, has_functions=True)
PLACE = Location(7, BINARY, 0x1234, (Line(SHOP, 12, 5),))
LABELS = (Label("route", "/orders"), Label("cpu", "", -3))
READ = Profile(
    (ValueType("cpu", "nanoseconds"),), (Sample((PLACE,), (-5,), LABELS),), (BINARY,), (PLACE,), (SHOP,)
)  # fmt: skip


def test_every_field():
    extra = number(7, 3), number(8, 4), number(9, 77), number(10, 88), part(11, number(1, 1)), number(12, 99)
    found = parse(
        WHOLE + b"".join(extra) + part(13, varint(3), varint(4)) + number(13, 5) + number(14, 1) + number(15, 6)
    )
    assert found == replace(
        READ,
        drop_frames="main.f",
        keep_frames="f.go",
        time_nanos=77,
        duration_nanos=88,
        period_type=ValueType("cpu", ""),
        period=99,
        comments=("main.f", "f.go", "route"),
        default_sample_type="cpu",
        doc_url="/orders",
    )


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_gzip_or_not_and_parts_in_any_order(pack):
    assert parse(pack(WHOLE)) == parse(pack(STRINGS + FUNCTION + LOCATION + MAPPING + SAMPLE + TYPES)) == READ


@pytest.mark.parametrize(
    "field",
    [
        number(16, 5),
        number(999_999, 1 << 63),
        part(200, b"whatever"),
        varint(77 << 3 | 1) + bytes(8),
        varint(77 << 3 | 5) + bytes(4),
        number(0, 3),
    ],
)
def test_fields_that_are_not_known_are_passed_over(field):
    sample = part(2, field, number(1, 7), field, number(2, -5), *(part(3, field, label) for label in
                  (number(1, 5) + number(2, 6), number(1, 1) + number(3, -3))))  # fmt: skip
    assert parse(field + TYPES + sample + MAPPING + LOCATION + FUNCTION + STRINGS + field) == READ


def test_repeated_numbers_packed_or_not():
    types = TYPES + TYPES + TYPES
    places = LOCATION + part(4, number(1, 300))
    one = part(2, part(1, varint(7), varint(300), varint(7)), part(2, varint(1), varint(-2), varint(300)))
    other = part(2, number(1, 7), number(2, 1), part(1, varint(300)), number(1, 7), number(2, -2), part(2, varint(300)))
    (sample,) = parse(types + one + MAPPING + places + FUNCTION + STRINGS).samples
    assert [location.id for location in sample.locations] == [7, 300, 7]
    assert sample.values == (1, -2, 300)
    assert parse(types + other + MAPPING + places + FUNCTION + STRINGS).samples == (sample,)


@pytest.mark.parametrize(
    ("label", "read"),
    [
        (number(1, 5), ()),
        (number(1, 5) + number(3, 7) + number(4, 2), (Label("route", "", 7, "nanoseconds"),)),
        (number(1, 5) + number(4, 2), (Label("route", "", 0, "nanoseconds"),)),
        (number(1, 5) + number(2, 6) + number(3, 7), (Label("route", "/orders"),)),
    ],
)
def test_labels(label, read):
    found = parse(TYPES + part(2, number(2, 1), part(3, label)) + STRINGS)
    assert found.samples == (Sample((), (1,), read),)


REFUSED = {
    "string_table": TYPES,
    "first string": part(6, b"x") + STRINGS,
    "string out of range": WHOLE + number(14, 7),
    "negative string": WHOLE + number(14, -1),
    "no sample types": SAMPLE + MAPPING + LOCATION + FUNCTION + STRINGS,
    "too many values": WHOLE + part(2, number(1, 7), number(2, 1), number(2, 2)),
    "too few values": WHOLE + part(2, number(1, 7)),
    "unknown location": WHOLE + part(2, number(1, 6), number(2, 1)),
    "location 0": WHOLE + part(2, number(1, 0), number(2, 1)),
    "unknown function": WHOLE + part(4, number(1, 1), part(4, number(1, 10))),
    "function 0": WHOLE + part(4, number(1, 1), part(4, number(2, 10))),
    "location without an id": WHOLE + part(4),
    "mapping without an id": WHOLE + part(3),
    "function without an id": WHOLE + part(5),
    "location twice": WHOLE + LOCATION,
    "mapping twice": WHOLE + MAPPING,
    "function twice": WHOLE + FUNCTION,
    "two profiles": (WHOLE + number(9, 5)) * 2,
    "time twice": WHOLE + number(9, 5) + number(9, 6),
    "wrong type of a known field": WHOLE + number(6, 1),
    "wrong type of a number": WHOLE + part(9, b"1"),
    "fixed numbers for a stack": WHOLE
    + part(2, part(1, varint(7) * 8), number(2, 1))
    + part(2, varint(1 << 3 | 1) + varint(7) * 8, number(2, 1)),
    "group": WHOLE + varint(77 << 3 | 3),
    "varint of eleven bytes": WHOLE + number(77, 0)[:-1] + b"\xff" * 10 + b"\x01",
    "cut varint": WHOLE + b"\x80",
    "cut string": WHOLE + b"\x32\x05abc",
    "cut fixed": WHOLE + varint(77 << 3 | 1) + b"123",
    "cut packed": WHOLE + part(2, part(1, b"\x87"), number(2, 1)),
    "packed of eleven bytes": WHOLE + part(2, part(2, b"\xff" * 10 + b"\x01")),
    "empty": b"",
    "gzip of nothing": gzip.compress(b""),
    "gzip that is cut": gzip.compress(WHOLE)[:-9],
    "gzip that is damaged": gzip.compress(WHOLE)[:20] + b"\x00\x00" + gzip.compress(WHOLE)[22:],
    "gzip with a wrong sum": gzip.compress(WHOLE)[:-8] + bytes(4) + gzip.compress(WHOLE)[-4:],
    "two profiles in gzip": gzip.compress(WHOLE + number(9, 5)) * 2,
    "rubbish behind gzip": gzip.compress(WHOLE) + b"rubbish",
    "html": b"<html><body>404 page not found</body></html>",
}
ACCEPTED = {
    "whole": WHOLE,
    "mapping that is not there": WHOLE + part(4, number(1, 1), number(2, 99)),
    "location without lines": WHOLE + part(4, number(1, 1)),
    "time 0 twice": WHOLE + number(9, 0) + number(9, 6),
    "ids beyond 2**63": WHOLE + part(4, number(1, -1)) + part(2, part(1, varint(-1)), number(2, 3)),
    "varint with bits to spare": WHOLE + number(12, 0)[:-1] + b"\xff" * 9 + b"\x7f",
    "gzip": gzip.compress(WHOLE),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    with pytest.raises(Malformed) as refused:
        parse(REFUSED[case])
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize("case", ACCEPTED)
def test_accepted(case):
    assert parse(ACCEPTED[case]).sample_types == READ.sample_types


@pytest.mark.parametrize("case", {**REFUSED, **ACCEPTED})
def test_the_real_tool_refuses_and_accepts_the_same(case, real):
    output, errors = real("-top", "p.pb.gz", p={**REFUSED, **ACCEPTED}[case])
    assert bool(output) == (case in ACCEPTED), errors


def test_words_that_say_what_is_wrong():
    for case, word in {
        "unknown location": "location 6",
        "unknown function": "function 10",
        "too many values": "2 values where 1 are named",
        "location twice": "Two of the profile's locations have the id 7",
        "two profiles": "Several profiles",
        "rubbish behind gzip": "more",
        "gzip that is cut": "gzip",
    }.items():
        with pytest.raises(Malformed, match=word):
            parse(REFUSED[case])


# --- bounds -----------------------------------------------------------------------------------------------------------


def gzip_of(size, claimed):
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    data = b"".join([squeeze.compress(bytes(1 << 20)) for _ in range(size >> 20)]) + squeeze.flush()
    return data[:-4] + claimed.to_bytes(4, "little")


def test_a_bomb_is_not_expanded(monkeypatch):
    seen = []
    real_one = zlib.decompressobj

    def spy(*args, **options):
        inner = real_one(*args, **options)

        class Spy:
            eof = property(lambda self: inner.eof)
            unused_data = property(lambda self: inner.unused_data)

            def decompress(self, data, most):
                seen.append(len(found := inner.decompress(data, most)))
                return found

        return Spy()

    monkeypatch.setattr(profile_wire.zlib, "decompressobj", spy)
    size = 300 << 20
    with pytest.raises(Malformed, match="larger than 256 MiB"):
        parse(gzip_of(size, size))
    assert seen == []
    with pytest.raises(Malformed, match="more than it says"):
        parse(gzip_of(size, 1000))
    assert seen == [1001]


def test_no_more_fields_than_allowed(monkeypatch):
    monkeypatch.setattr(profile_wire, "FIELD_LIMIT", 1000)
    with pytest.raises(Malformed, match="8,000,000 fields"):
        parse(WHOLE + number(77, 1) * 1000)
    with pytest.raises(Malformed, match="8,000,000 fields"):
        parse(TYPES + part(2, part(2, bytes(1000))) + STRINGS)
    stack = part(1, varint(7) * 90)
    with pytest.raises(Malformed, match="8,000,000 fields"):
        parse(WHOLE + part(2, number(2, 1), stack * 20))


def test_a_stack_in_many_pieces_is_joined_once():
    data = WHOLE + part(2, number(2, 1), number(1, 7) * 300_000)
    begin = process_time()
    assert len(parse(data).samples[1].locations) == 300_000
    assert process_time() - begin < 5  # measured: 0.4 s; joined one by one it would be minutes


def test_no_larger_than_allowed(monkeypatch):
    monkeypatch.setattr(profile_wire, "SIZE_LIMIT", len(WHOLE) - 1)
    for data in (WHOLE, gzip.compress(WHOLE)):
        with pytest.raises(Malformed, match="larger than"):
            parse(data)


def test_a_hundred_thousand_labelled_goroutines_take_seconds():
    data = labelled_goroutines(100_000)
    begin = process_time()
    found = parse(data)
    assert goroutines(found).total == top(found).total == 100_000
    assert process_time() - begin < 5  # measured: 0.9 s
    assert len({id(sample.locations) for sample in found.samples}) == 50


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", record.NAMES)
def test_recorded_kinds(name):
    assert recorded(name).kind == name.partition(".")[0]


def test_other_kinds():
    assert replace(READ, sample_types=(ValueType("wall", "nanoseconds"),)).kind == "other"
    assert recorded("heap").period_type == ValueType("space", "bytes")
    assert recorded("heap").period == 512
    assert recorded("cpu").duration_nanos > 6e8


@pytest.mark.parametrize(
    ("name", "index"),
    [(None, 3), ("", 3), ("alloc_space", 1), ("inuse_objects", 2), (0, 0), ("2", 2)],
)
def test_sample_index(name, index):
    assert recorded("heap").sample_index(name) == index


def test_sample_index_by_default_and_by_old_names():
    assert recorded("allocs").sample_index() == 1
    old = replace(READ, sample_types=(ValueType("objects"), ValueType("space")))
    assert (old.sample_index("inuse_space"), old.sample_index("space")) == (1, 1)


@pytest.mark.parametrize("name", ["cpu", 4, -1, "-1", "4", "9" * 5000, "inuse_"])
def test_a_sample_index_that_is_not_there(name):
    with pytest.raises(Unknown, match="alloc_objects, alloc_space"):
        recorded("heap").sample_index(name)


def test_no_values_at_all():
    with pytest.raises(Malformed, match="no sample type"):
        top(parse(STRINGS))


# --- writing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", record.NAMES)
def test_recorded_profiles_survive_writing(name, real):
    found = recorded(name)
    assert parse(encode(found)) == found
    assert real("-raw", "p.pb.gz", p=encode(found))[0] == real("-raw", "p.pb.gz", p=raw(name))[0] != ""


@given(profiles())
def test_any_profile_survives_writing(profile):
    assert parse(encode(profile)) == profile


# --- fuzz -------------------------------------------------------------------------------------------------------------


def is_told_or_refused(data):
    """Whether it is a value that can be shown, or Malformed, within a second, which is plenty."""
    begin = process_time()
    try:
        found = parse(data)
        if found.sample_types:
            top(found)
    except Malformed as error:
        return bool(str(error)) and process_time() - begin < 1
    return process_time() - begin < 1


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(lambda data: WHOLE + data)))
def test_bytes(data):
    assert is_told_or_refused(data)
    assert is_told_or_refused(gzip.compress(data))


@settings(max_examples=300, suppress_health_check=[HealthCheck.large_base_example, HealthCheck.too_slow])
@given(st.sampled_from(SMALL), st.sampled_from(SMALL), st.randoms(use_true_random=False), st.booleans())
def test_damaged_recordings(name, other, random, packed):
    data = bytearray(raw(name) if packed else gzip.decompress(raw(name)))
    for _ in range(random.choice([1, 1, 3])):
        at = random.randrange(len(data) + 1)
        match random.randrange(4):
            case 0 if at < len(data):
                data[at] ^= 1 << random.randrange(8)
            case 1:
                del data[at:]
            case 2:
                piece = gzip.decompress(raw(other))
                data[at:at] = piece[random.randrange(len(piece)) :][:200]
            case _:
                del data[at : at + random.randrange(40)]
    assert is_told_or_refused(bytes(data))
