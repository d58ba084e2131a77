"""A volume of logs that fills up: what the lab's payments showed, each limit from both sides, and looks at a folder."""

import math
import re

import pytest

from sre_platform.catalog.domain import Target
from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.rules.disk_filling import FULL_SHARE, GROWING, STANDING, DiskFilling
from sre_platform.kernel.errors import Rejected, Unavailable
from tests.diagnosis.recorded import recorded
from tests.diagnosis.scene import collect, seen

MIB = 1 << 20
NUMBERS = [None, "", "x", True, -1, 0, math.nan, math.inf, 1e300, [], {}]


def judge(evidence):
    return DiskFilling().judge("payments", evidence)


def page(used, size=100 * MIB):
    return f"log_volume_used_bytes {used}\nlog_volume_size_bytes {size}\n"


def pages(earlier, later, size=100 * MIB, apart=2.0):
    texts = {"earlier": page(earlier, size), "metrics": page(later, size)}
    return seen("go_runtime", texts, seconds_apart=apart)


def folder(**changes):
    data = {
        "folder": "/var/log/pay", "seconds_apart": 2.0, "bytes_earlier": 10 * MIB, "bytes": 12 * MIB, "files": 9,
        "packed_files": 2, "largest": [], "free_bytes": 10 * MIB, "total_bytes": 100 * MIB,
    }  # fmt: skip
    return seen("log_folder", **(data | changes))


def test_recorded_logs_that_fill_their_volume():
    finding = judge(recorded("disk/sick"))
    assert (finding.cause, finding.family, finding.evidence) == ("host.disk-filling", "host", "metrics")
    assert finding.confidence == GROWING
    assert re.fullmatch(
        r"payments: 31\.2 of 32\.0 MiB for its logs in .*/lab-log are used \(98%\)\.", finding.because[0]
    )
    assert finding.because[1].startswith("They grow by 1.5 MiB a second: nothing fits any more in ")
    assert finding.because[2].endswith(" files there are not packed.")
    assert finding.against == []


def test_recorded_logs_that_have_filled_it_and_grow_no_more():
    finding = judge(recorded("disk/standing"))
    assert (finding.cause, finding.confidence) == ("host.disk-filling", STANDING)
    assert finding.against == ["It did not grow between the two looks."]
    assert not any("grow by" in said for said in finding.because)


def test_recorded_logs_that_fit():
    assert judge(recorded("disk/healthy")) is None


def test_the_volume_of_the_service_counts_more_than_the_disk():
    assert judge(folder(free_bytes=10 * MIB) | pages(10 * MIB, 12 * MIB)) is None
    finding = judge(folder(free_bytes=90 * MIB) | pages(86 * MIB, 90 * MIB))
    assert finding.because[0] == "payments: 90.0 of 100.0 MiB for its logs in /var/log/pay are used (90%)."
    assert finding.because[1] == "They grow by 2 MiB a second: nothing fits any more in 5 seconds."


def test_without_such_a_volume_the_disk_counts_and_without_a_folder_none_is_named():
    finding = judge(folder())
    assert finding.because == [
        "payments: 90.0 of 100.0 MiB for its logs in /var/log/pay are used (90%).",
        "They grow by 1 MiB a second: nothing fits any more in 10 seconds.",
        "7 of the 9 files there are not packed.",
    ]
    assert judge(pages(88 * MIB, 90 * MIB)).because[0] == "payments: 90.0 of 100.0 MiB for its logs are used (90%)."


@pytest.mark.parametrize(("share", "found"), [(FULL_SHARE, True), (FULL_SHARE - 0.001, False), (1.0, True)])
def test_how_full_is_too_full(share, found):
    used = int(share * 1000) * MIB
    assert (judge(pages(used, used, 1000 * MIB)) is not None) is found


@pytest.mark.parametrize(
    ("grown", "size_gib", "said"),
    [
        (8 * MIB, 1, "24 seconds"),
        (MIB, 1, "3 minutes"),
        (MIB, 100, "6 hours"),
        (MIB // 16, 100, "4 days"),
        (MIB // 64, 100, ""),
    ],
)
def test_when_nothing_fits_any_more(grown, size_gib, said):
    size = size_gib * 1024 * MIB
    finding = judge(pages(int(0.8 * size) + 1, int(0.8 * size) + 1 + grown * 2, size))
    assert [words.rpartition(" in ")[2] for words in finding.because[1:]] == ([f"{said}."] if said else [])
    assert finding.confidence == GROWING


def test_a_service_that_writes_what_an_idle_one_does_only_stands():
    assert judge(pages(90 * MIB, 90 * MIB + 2000)).confidence == STANDING
    assert judge(pages(90 * MIB, 85 * MIB)).confidence == STANDING


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("name", ["seconds_apart", "bytes_earlier", "bytes", "files", "free_bytes", "total_bytes"])
def test_numbers_that_are_none_are_not_judged(name, number):
    finding = judge(folder(**{name: number}))
    assert finding is None or all(said.endswith(".") for said in finding.because)
    assert (finding is None) is (name == "total_bytes" or (name == "free_bytes" and number != 0))


@pytest.mark.parametrize("text", ["", "log_volume_used_bytes", page("NaN"), page(-1), page(5, 0), page(5, 4), "{{{"])
def test_a_page_that_says_nothing_sound_leaves_the_disk_to_tell(text):
    finding = judge(folder() | seen("go_runtime", {"earlier": text, "metrics": text}, seconds_apart=1.0))
    assert finding.because[0] == "payments: 90.0 of 100.0 MiB for its logs in /var/log/pay are used (90%)."


def test_nothing_seen_is_nothing_found():
    assert judge({}) is None
    assert judge(seen("log_folder", missing="It cannot be opened.") | seen("go_runtime", missing="m")) is None
    assert judge({"log_folder": Evidence("log_folder", "payments", collect_at())}) is None


def collect_at():
    return recorded("disk/sick")["log_folder"].collected_at


def test_a_folder_is_looked_at_twice(tmp_path):
    for name, size in (("a.log", 10), ("a.log.1", 300), ("a.log.2.gz", 20)):
        (tmp_path / name).write_bytes(b"x" * size)
    (tmp_path / "below").mkdir()
    (tmp_path / "link").symlink_to("/dev/zero")
    found = collect("log_folder", Target("payments", handles={"logs": {"folder": str(tmp_path)}}), seconds_apart=0.05)
    data = found.data
    assert (data["folder"], data["bytes_earlier"], data["bytes"]) == (str(tmp_path), 330, 330)
    assert (data["files"], data["packed_files"]) == (3, 1)
    assert data["largest"][0] == {"name": "a.log.1", "bytes": 300}
    assert 0 < data["free_bytes"] < data["total_bytes"]
    assert 0.05 <= data["seconds_apart"] < 5


@pytest.mark.parametrize("handles", [{}, {"logs": {}}, {"logs": {"folder": 5}}])
def test_a_folder_that_the_catalog_does_not_name(handles):
    with pytest.raises(Unavailable, match="The catalog names no folder of logs for payments"):
        collect("log_folder", Target("payments", handles=handles))


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(Rejected, match="cannot be opened"):
        collect("log_folder", Target("payments", handles={"logs": {"folder": str(tmp_path / "no")}}))
