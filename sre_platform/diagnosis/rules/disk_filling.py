from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.parsers.exposition import Page, parse
from sre_platform.diagnosis.rca.documents import Documents
from sre_platform.diagnosis.rca.tuning import MIB
from sre_platform.diagnosis.rca.values import finite

FULL_SHARE = (
    0.8  # of the volume; where the alerts of node_exporter's mixin for filling file systems begin, in all but size
)
GROWING, STANDING = 0.9, 0.8  # how sure: two looks that agree, or one that only says how full it is
STANDS_BELOW = 1024.0  # bytes a second: 84 MiB a day, which is what an idle service writes anyway
LONGEST_TOLD_S = 7 * 86400.0  # a volume that is full in more than a week is not called filling


class DiskFilling:
    """The volume of a service's logs is nearly full: how full, how fast it fills, when nothing more fits, and where.

    Reads ``log_folder`` (the folder, its growth, the disk it lies on) and, where the service tells of a volume of its
    own, ``go_runtime``: ``log_volume_used_bytes`` and ``log_volume_size_bytes`` on its page. Those count more.
    """

    name = "disk_filling"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        documents = Documents(evidence)
        folder = _folder(evidence.get("log_folder"))
        volume = _volume_of_page(documents) or _volume_of_folder(evidence.get("log_folder"))
        if volume is None or volume.share < FULL_SHARE:
            return None
        return Finding(
            cause="host.disk-filling",
            family="host",
            service=service,
            confidence=GROWING if volume.grows else STANDING,
            evidence="metrics",
            because=[*_because(service, volume, folder), *_what_is_there(evidence.get("log_folder"))],
            against=[*([] if volume.grows else ["It did not grow between the two looks."]), *documents.unread],
            would_decide=["The patterns of its log (log_templates) tell which line is written so often."],
            advice=[
                "Pack the rotated files, and keep fewer of them.",
                "Find the line that is written so often, and write it less often or at a level that is off.",
            ],
        )


@dataclass(frozen=True)
class Volume:
    """Bytes in use and altogether, and by how many a second the use grows; None when it was seen once only."""

    used: float
    size: float
    rate: float | None

    @property
    def share(self) -> float:
        return self.used / self.size

    @property
    def grows(self) -> bool:
        return self.rate is not None and self.rate > STANDS_BELOW

    @property
    def full_in_s(self) -> float | None:
        """Seconds until nothing fits any more, None while it does not grow."""
        return max(0.0, self.size - self.used) / self.rate if self.rate and self.grows else None


def _volume_of_page(documents: Documents) -> Volume | None:
    looks = documents.looks("go_runtime", "metrics", "earlier", _log_volume)
    if looks is None:
        return None
    used, size = (looks.now.value(f"log_volume_{what}_bytes") for what in ("used", "size"))
    if used is None or not size or not 0 <= used <= size:
        return None
    before = looks.earlier.value("log_volume_used_bytes") if looks.earlier else None
    return Volume(used, size, _rate(before, used, documents.number("go_runtime", "seconds_apart")))


def _log_volume(text: str) -> Page:
    return parse(text, prefix="log_volume_")


def _volume_of_folder(seen: Evidence | None) -> Volume | None:
    """The disk that the folder lies on; what grows on it is the folder."""
    data = seen.data if seen and not seen.missing else {}
    free, total, apart = (finite(data.get(name)) for name in ("free_bytes", "total_bytes", "seconds_apart"))
    if free is None or not total or not 0 <= free <= total:
        return None
    return Volume(total - free, total, _rate(finite(data.get("bytes_earlier")), finite(data.get("bytes")), apart))


def _rate(before: float | None, after: float | None, seconds: float | None) -> float | None:
    known = before is not None and after is not None and seconds is not None and seconds > 0
    return (after - before) / seconds if known else None  # type: ignore[operator]


def _folder(seen: Evidence | None) -> str:
    folder = seen.data.get("folder") if seen and not seen.missing else None
    return folder if isinstance(folder, str) else ""


def _because(service: str, volume: Volume, folder: str) -> Iterator[str]:
    where = f" in {folder}" if folder else ""
    yield (
        f"{service}: {volume.used / MIB:.1f} of {volume.size / MIB:.1f} MiB for its logs{where} are used"
        f" ({volume.share:.0%})."
    )
    left_s = volume.full_in_s
    if volume.rate and left_s is not None and left_s <= LONGEST_TOLD_S:
        yield f"They grow by {volume.rate / MIB:.2g} MiB a second: nothing fits any more in {_duration(left_s)}."


def _what_is_there(seen: Evidence | None) -> Iterator[str]:
    data = seen.data if seen and not seen.missing else {}
    files, packed = finite(data.get("files")), finite(data.get("packed_files"))
    if files and packed is not None:
        yield f"{files - packed:.0f} of the {files:.0f} files there are not packed."


def _duration(seconds: float) -> str:
    for length, unit in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
