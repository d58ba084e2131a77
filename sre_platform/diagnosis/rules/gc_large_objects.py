from collections.abc import Iterator, Mapping

from sre_platform.diagnosis.domain import Evidence, Finding, Site
from sre_platform.diagnosis.parsers.profile import parse
from sre_platform.diagnosis.parsers.profile_diff import difference
from sre_platform.diagnosis.rca.documents import Documents
from sre_platform.diagnosis.rca.gc_health import GcHealth, gc_health
from sre_platform.diagnosis.rca.profile_share import Share, cpu_share, share_of_large
from sre_platform.diagnosis.rca.weighing import weighed

LARGE_BYTES = 32 << 10  # runtime.maxSmallSize: what is larger has a span of its own, zeroed and swept by itself
# What only large objects go through, Go 1.11 to 1.27 (runtime/malloc.go, mcache.go).
LARGE_CALLS = frozenset({"runtime.largeAlloc", "runtime.(*mcache).allocLarge", "runtime.mallocgcLarge"})
CPU_SHARE = 0.05  # recorded: 24% where a program does nothing else, 0 in a steady one
ALLOCATED_SHARE = 0.5  # of all bytes: most of what the collector has to keep up with
LARGE_A_SECOND = 1000.0  # at 32 KiB each that is 32 MiB/s at least, eight collections a second of the smallest heap
# The last buckets of Go's client end at 27265 bytes and at infinity: no bound of its page lies at 32 KiB.
SHOWN_LARGE_BYTES = 27264
BY_SIZE = "go_gc_heap_allocs_by_size_bytes"


class GcLargeObjects:
    """Objects above 32 KiB are allocated so often that the collector runs for them.

    Reads ``go_profiles`` (cpu, allocs, allocs.earlier), ``go_runtime`` (allocations by size) and ``go_trace``.
    """

    name = "gc_large_objects"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        documents = Documents(evidence)
        health = gc_health(documents)
        cpu = documents.profile("cpu", lambda data: cpu_share(parse(data), LARGE_CALLS))
        allocated = _allocated(documents)
        signs = [*_signs(cpu, allocated, _rate(documents, health))]
        site = next((share.site for share in (allocated, cpu) if share and share.share > 0 and share.site), None)
        return weighed(
            "go.gc.large-objects",
            service,
            "profile",
            signs,
            effects=health.effects(),
            site=site,
            against=[*health.calm(), *documents.unread],
            would_decide=["go tool pprof -sample_index=alloc_space of two allocs profiles shows the lines."],
            advice=_advice(site, health),
        )


def _signs(cpu: Share | None, allocated: Share | None, rate: float | None) -> Iterator[str]:
    if cpu and cpu.share >= CPU_SHARE:
        yield f"{cpu.share:.0%} of the CPU time goes into allocating objects above 32 KiB{_at(cpu.site)}."
    if allocated and allocated.share >= ALLOCATED_SHARE:
        yield f"{allocated.share:.0%} of the bytes are allocated in objects above 32 KiB{_at(allocated.site)}."
    if rate is not None and rate >= LARGE_A_SECOND:
        yield f"{rate:.0f} objects above 26 KiB are allocated a second."


def _at(site: Site | None) -> str:
    return f", most at {site}" if site else ""


def _allocated(documents: Documents) -> Share | None:
    """Of what was allocated between two looks, or since the process started when there was one."""
    now, before = documents.profile("allocs", parse), documents.profile("allocs.earlier", parse)
    if now is None:
        return None
    return share_of_large(difference(before, now) if before else now, LARGE_BYTES)


def _rate(documents: Documents, health: GcHealth) -> float | None:
    """Large objects a second between two pages; needs the buckets by size that Go's client can be told to show."""
    seconds, pages = documents.number("go_runtime", "seconds_apart"), health.pages
    now = pages.now.histogram(BY_SIZE) if pages else None
    before = pages.earlier.histogram(BY_SIZE) if pages and pages.earlier else None
    return now.since(before).above(SHOWN_LARGE_BYTES) / seconds if now and before and seconds else None


def _advice(site: Site | None, health: GcHealth) -> list[str]:
    where = f"at {site}" if site else "where the profile shows it"
    return [
        f"Keep the buffers {where} in a sync.Pool, or give them their final size at once (make with a capacity).",
        "Read and write streams in pieces of at most 32 KiB instead of whole bodies.",
        *health.advice(),
    ]
