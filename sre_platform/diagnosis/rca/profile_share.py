"""How large a part of a profile certain functions have."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from sre_platform.diagnosis.domain import Site
from sre_platform.diagnosis.parsers.goroutines import Frame
from sre_platform.diagnosis.parsers.profile import Profile, Sample
from sre_platform.diagnosis.rca.code import user_site

ENOUGH_SAMPLES = 100  # a second of CPU time at Go's 100 Hz; a share of fewer is off by 10% of itself and more


@dataclass(frozen=True)
class Share:
    """The part (0..1) of a profile, and the line of the owner's code that has most of it (None: only library code)."""

    share: float
    site: Site | None


def cpu_share(profile: Profile, function_names: Collection[str]) -> Share | None:
    """The share of CPU time on stacks with one of the functions, None when ENOUGH_SAMPLES were not taken.

    Type arguments do not matter: ``runtime.AddCleanup[...]`` is ``runtime.AddCleanup``.
    """
    if profile.kind != "cpu" or sum(sample.values[0] for sample in profile.samples) < ENOUGH_SAMPLES:
        return None
    wanted = frozenset(function_names)
    return _part(profile, 1, [s for s in profile.samples if any(name in wanted for name in _names(s))])


def share_of_large(profile: Profile, larger_than_bytes: int) -> Share | None:
    """The share of allocated bytes at sites whose objects are on average larger than this; None for other profiles."""
    if profile.kind not in ("heap", "allocs"):
        return None
    objects, space = profile.sample_index("alloc_objects"), profile.sample_index("alloc_space")
    large = [s for s in profile.samples if s.values[space] > larger_than_bytes * s.values[objects] > 0]
    return _part(profile, space, large)


def _part(profile: Profile, index: int, samples: list[Sample]) -> Share:
    total = sum(sample.values[index] for sample in profile.samples)
    sites: dict[Site | None, int] = {}
    for sample in samples:
        site = user_site(_frames(sample))
        sites[site] = sites.get(site, 0) + sample.values[index]
    share = sum(sites.values()) / total if total > 0 else 0.0
    known = [site for site in sites if site is not None]
    return Share(share, max(known, key=lambda site: sites[site], default=None))


def _names(sample: Sample) -> Iterator[str]:
    """The functions on the stack, without type arguments, which stand in brackets."""
    return (frame.function.partition("[")[0] for frame in _frames(sample))


def _frames(sample: Sample) -> Iterator[Frame]:
    """The calls, innermost first, inlined ones too."""
    lines = (line for location in sample.locations for line in location.lines)
    return (Frame(line.function.name, line.function.filename, line.line) for line in lines)
