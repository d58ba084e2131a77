from collections.abc import Iterator, Mapping
from math import sqrt

from sre_platform.diagnosis.domain import Evidence, Finding, Site
from sre_platform.diagnosis.parsers import exposition
from sre_platform.diagnosis.rca.cpu_budget import cpu_budget
from sre_platform.diagnosis.rca.cpu_shares import TYPES, Usage
from sre_platform.diagnosis.rca.documents import Documents
from sre_platform.diagnosis.rca.stacks import Profiles
from sre_platform.diagnosis.rca.tuning import LONG_DELAY_S
from sre_platform.diagnosis.rca.weighing import weighed

WAITS = "go_sched_latencies_seconds"
HALF = 0.5  # of the CPU samples: one function that takes more than all others together
Z_ONE_PERCENT = 2.326  # one-sided 99% of the normal distribution: by chance once in a hundred profiles
# CPU seconds a second. Ours: a quarter of a CPU may be short on a busy machine or within a small quota; what takes
# less is not why others wait for it.
LEAST_RATE = 0.25
# A P hands many goroutines on without a wait, also when all are busy: measured with 8 that compute on 2 Ps, 55% waited
# below 1 ms and 45% tens of ms, behind others with their 10 ms slices. When all is well P99 is 0.5 ms.
UPPER = 0.75
ENOUGH_WAITS = 40  # ours: ten in the upper quarter. Go times every eighth goroutine (runtime: gTrackingPeriod)


class CpuSaturated:
    """One function takes more than half of the CPU time while goroutines wait for a processor.

    Needs no baseline, so it cannot tell work that went astray from more work than usual: a restart ends the former.
    Reads ``go_profiles`` (``cpu``), ``go_runtime`` (scheduling latencies), ``host`` and ``sli_window``. A function
    alone is no finding, nor is a wait alone: a busy service has the one, a busy machine the other.
    """

    name = "cpu_saturated"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        profile = Profiles(evidence.get("go_profiles")).get("cpu", *TYPES)
        usage = Usage(profile) if profile else None
        documents = Documents(evidence)
        waits = [*_waits(documents), *cpu_budget(documents).throttled()]
        if usage is None or not waits or (function := _dominant(usage)) is None:
            return None
        site, _ = usage.hottest(function)
        return weighed(
            "go.cpu.saturated",
            service,
            "profile",
            signs=[_takes(usage, function, site)],
            effects=[*waits, *_unmet(evidence.get("sli_window"))],
            site=site,
            count=usage.functions[function],
            against=["With more requests than usual it may be the usual work: then a restart does not help."],
            would_decide=["A CPU profile of a good day: this function has to take a much smaller share in it."],
            advice=[f"Find out what keeps {function} busy, and bound it: a limit, a deadline, or work that ends."],
        )


def _dominant(usage: Usage) -> str | None:
    """The function that takes more than half of the samples, and by more than chance; None when none does."""
    function, count = max(usage.functions.items(), key=lambda item: item[1], default=("", 0))
    enough = usage.rate(usage.total) >= LEAST_RATE
    return function if enough and _at_least(count, usage.total) > HALF else None


def _at_least(count: int, of: int) -> float:
    """The lower end of Wilson's interval for the share that ``count`` of ``of`` samples stand for (1927)."""
    share, z2 = count / of, Z_ONE_PERCENT**2
    spread = Z_ONE_PERCENT * sqrt(share * (1 - share) / of + z2 / (4 * of**2))
    return (share + z2 / (2 * of) - spread) / (1 + z2 / of)


def _waits(documents: Documents) -> Iterator[str]:
    """A sentence when many wait for a P: the few that do on a busy machine are no saturation."""
    pages = documents.looks("go_runtime", "metrics", "earlier", exposition.parse_go)
    now = pages.now.histogram(WAITS) if pages else None
    if pages is None or now is None:
        return
    window = now.since(pages.earlier.histogram(WAITS) if pages.earlier else None)
    many = window.quantile(UPPER) if window.count >= ENOUGH_WAITS else None
    if many is not None and many > LONG_DELAY_S:
        long = f"{LONG_DELAY_S * 1000:.0f} ms is long"
        yield f"A quarter of the goroutines that could run waited longer than {many * 1000:.1f} ms for a P, {long}."


def _takes(usage: Usage, function: str, site: Site) -> str:
    count = usage.functions[function]
    return (
        f"{function} takes {usage.share(function):.0%} of the CPU samples ({count} of {usage.total}), which is"
        f" {usage.rate(count):.2g} CPU seconds a second. Its hottest line is {site}."
    )


def _unmet(seen: Evidence | None) -> Iterator[str]:
    rows = seen.data.get("objectives", ()) if seen and not seen.missing else ()
    for row in rows:
        if row["met"] is False:
            yield f"{row['name']} is {row['value']:.4g}, and has to be {row['op']} {row['threshold']:g}."
