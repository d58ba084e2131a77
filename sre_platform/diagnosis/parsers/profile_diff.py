"""What a profile has more, or less, than an earlier one: ``go tool pprof -base`` and ``-diff_base``.

Follows ``profile.Merge``, ``CompatibilizeSampleTypes`` and ``measurement.ScaleProfiles`` of google/pprof: stacks are
alike when their addresses (relative to the binary), lines and labels are. O(samples x depth).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from sre_platform.diagnosis.parsers.profile_merge import Merge
from sre_platform.diagnosis.parsers.profile_model import Label, Profile, Sample, ValueType
from sre_platform.diagnosis.parsers.profile_top import BASE_LABEL
from sre_platform.diagnosis.parsers.profile_units import int64, same_family, scale, wrapped
from sre_platform.kernel.errors import Malformed


def difference(before: Profile, after: Profile, of_before: bool = False) -> Profile:
    """``after`` less ``before``: what is gone has negative values, what is as it was is left out.

    With ``of_before`` the two are not subtracted but told apart by a label, and shares are those of ``before``
    (``-diff_base``). Raises Malformed when the profiles do not measure the same.
    """
    base = _scaled(
        replace(before, samples=_labelled(before)) if of_before else before, [-1.0] * len(before.sample_types)
    )
    return merged(_alike([after, base]))


def merged(profiles: Sequence[Profile]) -> Profile:
    """One profile of several with the same types of values: alike samples added up, those that are zero left out."""
    first = profiles[0]
    for other in profiles[1:]:
        if (other.period_type, other.sample_types) != (first.period_type, first.sample_types):
            raise Malformed("The profiles cannot be compared: they do not measure the same, or not in the same units.")
    merge = Merge()
    for profile in profiles:
        merge.add(profile)
    found = merge.result(_header(profiles))
    return merged([found]) if any(not any(sample.values) for sample in found.samples) else found


def _labelled(profile: Profile) -> tuple[Sample, ...]:
    mark = Label(*BASE_LABEL)
    return tuple(replace(sample, labels=(*_others(sample.labels, mark.key), mark)) for sample in profile.samples)


def _others(labels: Sequence[Label], key: str) -> Iterable[Label]:
    return (label for label in labels if label.key != key or label.number is not None)


def _header(profiles: Sequence[Profile]) -> Profile:
    time = 0
    for profile in profiles:
        time = profile.time_nanos if not time or profile.time_nanos < time else time
    period = 0
    for profile in profiles:
        period = profile.period if not period or period < profile.period else period
    return replace(
        profiles[0],
        time_nanos=time,
        duration_nanos=wrapped(sum(profile.duration_nanos for profile in profiles)),
        period=period,
        comments=tuple(dict.fromkeys(comment for profile in profiles for comment in profile.comments)),
        default_sample_type=next((p.default_sample_type for p in profiles if p.default_sample_type), ""),
        doc_url=next((profile.doc_url for profile in profiles if profile.doc_url), ""),
    )


# --- the same values in the same units --------------------------------------------------------------------------------


def _alike(profiles: Sequence[Profile]) -> list[Profile]:
    """The profiles with the values that all have, in the order of the first, in the finest of their units."""
    kinds = [[value.type for value in profile.sample_types] for profile in profiles]
    common = [kind for kind in kinds[0] if sum(types.count(kind) for types in kinds) == len(profiles)]
    common = [kind for kind in common if all(kind in types for types in kinds)]
    if not common:
        raise Malformed(f"The profiles cannot be compared: one has {kinds[0]}, the other {kinds[-1]}.")
    chosen = [_chosen(profile, common) for profile in profiles]
    period_unit = _finest([profile.period_type for profile in chosen])
    units = [_finest([profile.sample_types[index] for profile in chosen]) for index in range(len(common))]
    return [_in_units(profile, period_unit, units) for profile in chosen]


def _chosen(profile: Profile, kinds: Sequence[str]) -> Profile:
    order = [[value.type for value in profile.sample_types].index(kind) for kind in kinds]
    if order == list(range(len(profile.sample_types))):
        return profile
    return replace(
        profile,
        sample_types=tuple(profile.sample_types[index] for index in order),
        samples=tuple(replace(s, values=tuple(s.values[index] for index in order)) for s in profile.samples),
        default_sample_type=profile.default_sample_type if profile.default_sample_type in kinds else kinds[0],
    )


def _finest(values: Sequence[ValueType]) -> str:
    found = values[0]
    for value in values[1:]:
        if found.type.removesuffix("s") != value.type.removesuffix("s") or not same_family(found.unit, value.unit):
            raise Malformed(f"The profiles cannot be compared: one measures {found}, the other {value}.")
        if scale(1, value.unit, found.unit)[0] < 1:
            found = value
    return found.unit


def _in_units(profile: Profile, period_unit: str, units: Sequence[str]) -> Profile:
    ratios = [scale(1, value.unit, unit)[0] for value, unit in zip(profile.sample_types, units, strict=True)]
    types = (ValueType(value.type, unit) for value, unit in zip(profile.sample_types, units, strict=True))
    return replace(
        _scaled(profile, ratios),
        sample_types=tuple(types),
        period_type=ValueType(profile.period_type.type, period_unit),
        period=int64(scale(profile.period, profile.period_type.unit, period_unit)[0]),
    )


def _scaled(profile: Profile, ratios: Sequence[float]) -> Profile:
    """Each value times its ratio. A sample of whose scaled values none is left goes, as in ``ScaleN``."""
    if all(ratio == 1 for ratio in ratios):
        return profile
    samples = []
    for sample in profile.samples:
        pairs = list(zip(sample.values, ratios, strict=True))
        values = tuple(value if ratio == 1 else _times(value, ratio) for value, ratio in pairs)
        if any(value for value, ratio in zip(values, ratios, strict=True) if ratio != 1):
            samples.append(replace(sample, values=values))
    return replace(profile, samples=tuple(samples))


def _times(value: int, ratio: float) -> int:
    exact = float(value) * ratio
    return int64(math.copysign(math.floor(abs(exact) + 0.5), exact)) if abs(exact) < 2.0**52 else int64(exact)
