"""How pprof writes amounts: units, scales and percentages to the last digit, as google/pprof's ``measurement`` does."""

from dataclasses import dataclass

INT64_MIN = -(1 << 63)


@dataclass(frozen=True)
class _Unit:
    name: str
    factor: float
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Family:
    """Units that can be turned into each other, the smallest first."""

    units: tuple[_Unit, ...]
    default: _Unit

    def find(self, name: str) -> _Unit | None:
        lower = name.lower()
        if len(lower.encode(errors="replace")) > 2:  # bytes, as there: "μs" loses its "s" and is not found
            lower = lower.removesuffix("s")
        return next((unit for unit in self.units if lower in unit.aliases), None)

    def fitting(self, value: float) -> _Unit:
        """The largest unit of which ``value`` is at least one."""
        return next((unit for unit in reversed(self.units) if value / unit.factor >= 1.0), self.default)


def _ladder(unit: str, alias: str, steps: tuple[tuple[str, str, float], ...]) -> tuple[_Unit, ...]:
    return tuple(_Unit(f"{short}{unit}", factor, (f"{long}{alias}",)) for short, long, factor in steps)


_BYTE = _Unit("B", 1.0, ("b", "byte"))
_SIZES = tuple(
    _Unit(f"{letter}B", 1024.0**power, (f"{letter.lower()}b", f"{letter.lower()}byte", f"{long}byte"))
    for power, (letter, long) in enumerate(
        (("k", "kilo"), ("M", "mega"), ("G", "giga"), ("T", "tera"), ("P", "peta")), 1
    )
)
_TIMES = (
    _Unit("ns", 1.0, ("ns", "nanosecond")),
    _Unit("us", 1e3, ("μs", "us", "microsecond")),
    _Unit("ms", 1e6, ("ms", "millisecond")),
    _Unit("s", 1e9, ("s", "sec", "second")),
    _Unit("hrs", 3600e9, ("hour", "hr")),
)
_STEPS = (
    ("n*", "nano", 1e-9), ("u*", "micro", 1e-6), ("m*", "milli", 1e-3), ("", "", 1.0), ("k*", "kilo", 1e3),
    ("M*", "mega", 1e6), ("G*", "giga", 1e9), ("T*", "tera", 1e12), ("P*", "peta", 1e15),
)  # fmt: skip
_FAMILIES = (
    _Family((_BYTE, *_SIZES), _BYTE),
    _Family(_TIMES, _Unit("s", 1e9)),
    _Family(_ladder("GCU", "gcu", _STEPS), _Unit("GCU", 1.0)),
)
_BARE = ("count", "sample", "unit", "minimum", "auto")  # units that are not printed


def scale(value: int, unit: str, wanted: str) -> tuple[float, str]:
    """``value`` in the unit ``wanted`` and that unit's short name. "minimum" and "auto" choose what reads best.

    A unit of another family gives the default of the value's own, an unknown one leaves the value as it is.
    """
    if INT64_MIN < value < 0:
        scaled, name = scale(-value, unit, wanted)
        return -scaled, name
    for family in _FAMILIES:
        if (known := family.find(unit)) is not None:
            exact = value * known.factor
            chosen = family.fitting(exact) if wanted in ("minimum", "auto") else family.find(wanted) or family.default
            return exact / chosen.factor, chosen.name
    return float(value), "" if wanted in _BARE else wanted


def same_family(one: str, other: str) -> bool:
    """Whether values of the two units can be turned into each other."""
    return one == other or any(family.find(one) and family.find(other) for family in _FAMILIES)


def amount(value: int, unit: str, wanted: str = "auto") -> str:
    """``value`` as it is printed: two digits behind the point, none when they are 0."""
    scaled, name = scale(value, unit, wanted)
    text = f"{scaled:.2f}".removesuffix(".00")
    return "0" if text in ("0", "-0") else text + name


def percent(value: int, total: int) -> float:
    """The share without its sign, 0 of nothing."""
    return abs(float(value) / float(total)) * 100 if total else 0.0


def percentage(value: int, total: int) -> str:
    """The share as it is printed, six characters wide."""
    ratio = percent(value, total)
    if 99.95 <= ratio <= 100.05:
        return "  100%"
    return f"{ratio:5.2f}%" if ratio >= 1 else f"{ratio:5.2g}%"


def int64(value: float) -> int:
    """What amd64 makes of a float: towards zero, and the smallest number when it does not fit."""
    whole = int(value) if abs(value) < 2.0**64 else 1 << 64
    return whole if INT64_MIN <= whole < -INT64_MIN else INT64_MIN


def wrapped(value: int) -> int:
    """A sum of int64 that overflows as Go's does."""
    return value if INT64_MIN <= value < -INT64_MIN else (value - INT64_MIN) % (1 << 64) + INT64_MIN
