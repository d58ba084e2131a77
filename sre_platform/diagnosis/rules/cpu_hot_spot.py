from collections.abc import Iterator, Mapping
from typing import Any

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.rca.cpu_shares import TYPES, Growth, Usage, grown
from sre_platform.diagnosis.rca.stacks import Profiles

CONFIDENCE, WITHOUT_RATES = 0.85, 0.75


class CpuHotSpot:
    """One function takes a much larger share of the CPU than in the baseline release.

    Reads ``go_profiles``: profiles ``cpu`` and ``cpu.baseline``, data ``baseline`` (``release``). Library code counts
    for the owner's line that calls it; what the garbage collector takes is left to its own causes.
    """

    name = "cpu_hot_spot"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        profiles = Profiles(evidence.get("go_profiles"))
        now, before = profiles.get("cpu", *TYPES), profiles.get("cpu.baseline", *TYPES)
        found = grown(Usage(now), Usage(before)) if now and before else []
        return _finding(service, found, _release(profiles.data)) if found else None


def _release(data: Mapping[str, Any]) -> str:
    baseline = data.get("baseline")
    release = baseline.get("release") if isinstance(baseline, Mapping) else None
    return f"release {release}" if release else "the baseline"


def _finding(service: str, found: list[Growth], release: str) -> Finding:
    first = found[0]
    return Finding(
        cause="go.cpu.hot-spot",
        family="cpu",
        service=service,
        confidence=CONFIDENCE if first.rates else WITHOUT_RATES,
        evidence="profile",
        because=[
            *_because(service, first, release),
            *(f"So does {one.site.function}: {one.share:.0%}, {one.share_before:.0%} before." for one in found[1:3]),
        ],
        against=[f"If requests are other ones than in {release}, the function may be the same and only be used more."],
        would_decide=[
            "A benchmark of this function in both releases, or the two profiles under the same load.",
            *([] if first.rates else ["How long each profile took: a share also grows when the rest is made faster."]),
        ],
        advice=[
            f"Compare what {first.site.function} does with {release}: work that was done once may be done per request."
        ],
        site=first.site,
        count=first.samples,
    )


def _because(service: str, first: Growth, release: str) -> Iterator[str]:
    yield (
        f"{service}: {first.site.function} takes {first.share:.0%} of the CPU samples ({first.samples} of {first.of}),"
        f" {first.share_before:.0%} in {release}. Its hottest line is {first.site}"
        f"{f', which calls {first.calls}' if first.calls else ''}."
    )
    yield (
        f"The chance that nothing changed is {first.chance:.1g} after correction for the number of functions; the"
        f" effect is {first.effect:.2f} (Cohen's h, 0.8 is large)."
    )
    if first.rates:
        now, before = first.rates
        yield f"It takes {now * 1e3:.0f} ms of CPU per second, {before * 1e3:.0f} ms before."
