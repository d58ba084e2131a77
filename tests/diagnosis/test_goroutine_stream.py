"""Dumps as streams: the quick way through them says the same as reading every call, whatever was done to the text."""

import gzip
import io
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sre_platform.diagnosis.parsers import goroutines
from sre_platform.diagnosis.parsers.goroutine_dump import SAMPLES, grouped
from sre_platform.diagnosis.parsers.goroutine_stacks import stacks
from sre_platform.diagnosis.parsers.goroutines import Dump, parse, read
from sre_platform.diagnosis.parsers.profile import parse as parse_profile
from sre_platform.diagnosis.parsers.profile_goroutines import goroutines as goroutines_of
from sre_platform.kernel.errors import Malformed

RECORDINGS = Path(__file__).parents[1] / "recordings" / "go"
LEAK = (RECORDINGS / "leak" / "goroutine.txt").read_text()
COUNTS = (RECORDINGS / "leak" / "goroutineleak.txt").read_text()
ONE = """goroutine {id} [chan send{note}]:
main.(*Store).put({object}, {{0x1a2b3c0, {object}}})
\t/src/shop/store.go:31 +0x1d
main.work(...)
\t/src/shop/work.go:12
created by main.start in goroutine {parent}
\t/src/shop/main.go:7 +0x45

"""


def goroutine(id_, note="", parent=1):
    return ONE.format(id=id_, note=note, object=hex(0xC000000000 + 64 * id_), parent=parent)


def call_by_call(text):
    """What parse has to say of a debug=2 text, found without its shortcuts."""
    buckets = grouped(bucket for block in text.split("\n\n") for bucket in stacks(block.split("\n")))
    return {bucket.key: (bucket.count, bucket.minutes, bucket.leaked, bucket.sample_id) for bucket in buckets}


def as_told(dump):
    return {bucket.key: (bucket.count, bucket.minutes, bucket.leaked, bucket.sample_id) for bucket in dump.buckets}


class Dripping(io.BytesIO):
    """A stream that gives less than it is asked for, as pipes and sockets do."""

    def read(self, size=-1):
        return super().read(min(size, 7) if size and size > 0 else size)


def test_twins_are_one_bucket_with_their_extremes():
    text = goroutine(9, ", 5 minutes") + goroutine(7, ", 2 minutes", parent=3) + goroutine(8)
    (bucket,) = parse(text).buckets
    assert (bucket.count, bucket.minutes, bucket.sample_id) == (3, (2, 5), 7)
    assert [(sample.id, sample.parent) for sample in bucket.samples] == [(9, 1), (7, 3), (8, 1)]
    assert "main.(*Store).put(0xc000000240" in bucket.samples[0].text


def test_samples_are_few_and_counts_are_not():
    (bucket,) = parse("".join(goroutine(n) for n in range(1, 4 * SAMPLES))).buckets
    assert (bucket.count, len(bucket.samples)) == (4 * SAMPLES - 1, SAMPLES)


def test_recording_is_told_as_call_by_call():
    assert as_told(parse(LEAK)) == call_by_call(LEAK)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_mutilated_recording_is_told_as_call_by_call(data):
    """Bits flipped, lines dropped, doubled and swapped: the shortcut never tells what reading each call would not."""
    lines = LEAK[:30_000].split("\n")
    for _ in range(data.draw(st.integers(1, 12))):
        at = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["drop", "double", "swap", "letter", "blank"])):
            case "drop":
                del lines[at]
            case "double":
                lines.insert(at, lines[at])
            case "swap":
                other = data.draw(st.integers(0, len(lines) - 1))
                lines[at], lines[other] = lines[other], lines[at]
            case "letter":
                place = data.draw(st.integers(0, len(lines[at])))
                lines[at] = lines[at][:place] + data.draw(st.sampled_from("[]:(){}0a \t,")) + lines[at][place:]
            case "blank":
                lines.insert(at, "")
    text = "\n".join(lines) + "\n"
    try:
        told = parse(text)
    except Malformed:
        assert call_by_call(text) == {}
    else:
        assert as_told(told) == call_by_call(text)


@pytest.mark.parametrize("wrap", [io.BytesIO, Dripping])
@pytest.mark.parametrize("text", [LEAK, COUNTS, LEAK.replace("\n", "\r\n")], ids=["debug=2", "debug=1", "CRLF"])
def test_how_a_stream_is_cut_into_reads_does_not_matter(wrap, text):
    plain = LEAK if "\r" in text else text
    assert as_told(read(wrap(text.encode()))) == as_told(parse(plain))


def test_packed_dumps_are_unpacked():
    assert parse(gzip.compress(LEAK.encode())) == parse(LEAK)


def test_packed_dump_that_was_cut_gives_what_came_before():
    packed = gzip.compress("".join(goroutine(n) for n in range(1, 2000)).encode())
    dump = parse(packed[: len(packed) // 2])
    assert dump.truncated
    assert 0 < dump.total < 1999


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", ["goroutine", "goroutineleak"])
def test_protobuf_is_told_from_a_text(name, pack):
    data = gzip.decompress((RECORDINGS.parent / "profiles" / f"{name}.pb.gz").read_bytes())
    dump = read(io.BytesIO(pack(data)))
    assert dump == goroutines_of(parse_profile(data))
    assert dump.total > 1


def test_what_unfolds_for_ever_is_refused(monkeypatch):
    monkeypatch.setattr(goroutines, "MOST_BYTES", 1 << 20)
    with pytest.raises(Malformed, match="longer than"):
        parse(gzip.compress(goroutine(1).encode() + b"x" * (4 << 20)))


@pytest.mark.parametrize(
    "junk", [b"\n" * 3_000_000, b"x" * 3_000_000, b"goroutine 1 [select]:\n" + b"f(0x1)\n" * 400_000]
)
def test_text_without_end_is_no_reason_to_hang(junk):
    try:
        assert isinstance(parse(junk), Dump)
    except Malformed as error:
        assert "not a goroutine profile" in str(error)


def test_wrappers_that_share_a_place_are_told_apart():
    """``<autogenerated>:1`` is the place of every wrapper that the compiler writes."""
    text = (
        goroutine(1)
        .replace("/src/shop/work.go:12", "<autogenerated>:1 +0x4e")
        .replace("main.work(...)", "main.(*a).Do(0x1)")
    )
    assert len(parse(text + text.replace("main.(*a)", "main.(*b)")).buckets) == 2


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=2000))
@example(b"\x1f\x8b")
@example(b"goroutine profile: total 3\n3 @ 0x1\n#\t0x0\tmain.a+0x1\ta.go:1\n")
@example(b"goroutine 1 [" + b"a, " * 500)
def test_any_bytes_give_a_dump_or_say_what_is_wrong(data):
    try:
        assert isinstance(parse(data), Dump)
    except Malformed as error:
        assert str(error)
