from collections.abc import Mapping
from dataclasses import dataclass

from sre_platform.diagnosis.domain import Evidence, Finding, Kind
from sre_platform.diagnosis.parsers import exposition, proc
from sre_platform.diagnosis.rca.values import positive
from sre_platform.diagnosis.rca.window import Window
from sre_platform.kernel.errors import Malformed

# Bytes: less is what one large request or the kernel's accounting (batches of pages per CPU) moves.
MIN_GROWTH = 8 << 20
# Of what the resident memory grew, this share has to be outside what Go's runtime took from the system. Measured: 1.0
# for mmap, below 0.1 when stacks or the heap grow.
OUTSIDE_SHARE = 0.8

TWO_LOOKS, BY_WINDOW = 0.85, 0.8


@dataclass(frozen=True)
class _Growth:
    """Bytes more of each between two looks: resident, held by Go's runtime, in use on its heap, and pages of files."""

    seconds: float
    resident: float
    runtime: float
    heap: float
    files: float | None
    now: float
    kind: Kind


class OffHeapMemory:
    """The process grows, but not what Go holds of it: memory of C libraries, mmap, or threads.

    Reads ``host`` (``smaps_rollup`` or ``status``, each with ``earlier/``) and ``go_runtime`` (``earlier``,
    ``metrics``, where ``process_resident_memory_bytes`` stands in for the host's), two looks that are
    ``seconds_apart``. Without them ``prometheus_window``: queries ``resident_bytes``, ``go_runtime_bytes`` (sys less
    released: all that the runtime holds, heap, stacks and its own) and ``heap_inuse_bytes``.
    """

    name = "off_heap_memory"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        looks = (_between_looks(evidence), _over_window(evidence.get("prometheus_window")))
        found = [growth for growth in looks if growth and _is_outside(growth)]
        return _finding(service, found[0]) if found else None


def _is_outside(growth: _Growth) -> bool:
    outside = growth.resident - max(0.0, growth.runtime)
    return growth.resident >= MIN_GROWTH and outside >= OUTSIDE_SHARE * growth.resident


def _between_looks(evidence: Mapping[str, Evidence]) -> _Growth | None:
    runtime, host = evidence.get("go_runtime"), evidence.get("host")
    pages = _page(runtime, "earlier"), _page(runtime, "metrics")
    held, heap = [_go(page) for page in pages], [_value(page, "go_memstats_heap_inuse_bytes") for page in pages]
    kernel = [_resident(host, prefix) for prefix in ("earlier/", "")]
    own = [_value(page, "process_resident_memory_bytes") for page in pages]
    resident = kernel if None not in kernel else own  # one source for both looks
    seconds = positive(runtime.data.get("seconds_apart")) if runtime else 0.0
    if not seconds or (rss := _more(resident)) is None or (go := _more(held)) is None:
        return None
    kind: Kind = "host" if resident is kernel else "metrics"
    files = _more([_files(host, prefix) for prefix in ("earlier/", "")])
    return _Growth(seconds, rss, go, _more(heap) or 0.0, files, resident[1] or 0.0, kind)


def _over_window(seen: Evidence | None) -> _Growth | None:
    window = Window(seen)
    looks = [
        (window.first(name), window.recent(name)) for name in ("resident_bytes", "go_runtime_bytes", "heap_inuse_bytes")
    ]
    resident, held, heap = map(_more, looks)
    if seen is None or resident is None or held is None:
        return None
    seconds = positive(seen.data.get("end")) - positive(seen.data.get("start"))
    return _Growth(seconds, resident, held, heap or 0.0, None, looks[0][1] or 0.0, "metrics")


def _more(values: list[float | None] | tuple[float | None, float | None]) -> float | None:
    earlier, later = values
    return None if earlier is None or later is None else later - earlier


def _page(seen: Evidence | None, name: str) -> exposition.Page | None:
    text = seen.texts.get(name) if seen and not seen.missing else None
    try:
        return exposition.parse(text) if text else None
    except Malformed:
        return None


def _value(page: exposition.Page | None, name: str) -> float | None:
    return page.value(name) if page else None


def _go(page: exposition.Page | None) -> float | None:
    """Bytes that the runtime holds: what it asked the system for, less what it gave back (runtime.MemStats)."""
    taken, released = _value(page, "go_memstats_sys_bytes"), _value(page, "go_memstats_heap_released_bytes")
    return None if taken is None or released is None else taken - released


def _resident(host: Evidence | None, prefix: str) -> float | None:
    texts = host.texts if host and not host.missing else {}
    try:
        if text := texts.get(f"{prefix}smaps_rollup"):
            return proc.smaps_rollup(text).rss_bytes
        text = texts.get(f"{prefix}status")
        return proc.status(text).rss_bytes if text else None
    except Malformed:
        return None


def _files(host: Evidence | None, prefix: str) -> float | None:
    """Resident pages that are no anonymous memory: binaries, libraries and mapped files."""
    text = host.texts.get(f"{prefix}status") if host and not host.missing else None
    try:
        status = proc.status(text) if text else None
    except Malformed:
        return None
    known = status and status.rss_bytes is not None and status.rss_anon_bytes is not None
    return (status.rss_bytes or 0) - (status.rss_anon_bytes or 0) if status and known else None


def _finding(service: str, growth: _Growth) -> Finding:
    by_files = growth.files is not None and growth.files > growth.resident / 2
    files = "Most of it are pages of mapped files: the kernel takes those back when memory is short."
    return Finding(
        cause="go.mem.off-heap",
        family="mem",
        service=service,
        confidence=TWO_LOOKS if growth.kind == "host" else BY_WINDOW,
        evidence=growth.kind,
        because=[
            f"{service}: its resident memory grew by {_mib(growth.resident)} within {growth.seconds:.1f} s, to"
            f" {_mib(growth.now)}.",
            f"What Go's runtime holds of it, stacks included, grew by {_mib(growth.runtime)}, the heap in use by"
            f" {_mib(growth.heap)}.",
        ],
        against=[files] if by_files else [],
        would_decide=[
            "The regions of /proc/PID/maps that are new or larger and are not named [anon: Go: ...] tell who took them."
        ],
        advice=[
            "Look at what calls C (cgo) or syscall.Mmap: every C.malloc needs its C.free, every Mmap its Munmap.",
            "Look at the number of threads: each has a stack that Go does not count.",
        ],
    )


def _mib(size: float) -> str:
    return f"{size / 2**20:.1f} MiB"
