"""What rules read: the raw documents of evidence, parsed, and a sentence for each that could not be."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sre_platform.diagnosis.domain import Evidence
from sre_platform.kernel.errors import Malformed, Unknown

Raw = TypeVar("Raw", str, bytes)
Value = TypeVar("Value")
MOST = 1e9  # thirty years in seconds; no count of CPUs comes near


@dataclass(frozen=True)
class Looks(Generic[Value]):
    """One document at two moments; ``earlier`` is None when there was one look only."""

    now: Value
    earlier: Value | None


class Documents:
    """The evidence about one service, each document parsed once by each parser.

    What was not collected is None; what is malformed too, and told in ``unread``.
    """

    def __init__(self, evidence: Mapping[str, Evidence]) -> None:
        self._evidence = {name: seen for name, seen in evidence.items() if not seen.missing}
        self.unread: list[str] = []
        self._parsed_before: dict[tuple[str, str, object], Any] = {}

    def text(self, collector: str, name: str, parse: Callable[[str], Value]) -> Value | None:
        """The text ``name`` of ``collector``, parsed."""
        seen = self._evidence.get(collector)
        return self._parsed(collector, name, parse, seen.texts.get(name) if seen else None)

    def looks(self, collector: str, now: str, earlier: str, parse: Callable[[str], Value]) -> Looks[Value] | None:
        """The texts ``now`` and ``earlier`` of ``collector``, parsed; None when the later one is missing."""
        later = self.text(collector, now, parse)
        return None if later is None else Looks(later, self.text(collector, earlier, parse))

    def profile(self, name: str, parse: Callable[[bytes], Value]) -> Value | None:
        """The profile ``name`` of ``go_profiles``, parsed."""
        seen = self._evidence.get("go_profiles")
        return self._parsed("go_profiles", name, parse, seen.profiles.get(name) if seen else None)

    def number(self, collector: str, name: str) -> float | None:
        """The positive number ``name`` in the data of ``collector``: seconds, or a count; anything else is None."""
        seen = self._evidence.get(collector)
        value = seen.data.get(name) if seen else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return float(value) if 0 < value < MOST else None

    def _parsed(self, collector: str, name: str, parse: Callable[[Raw], Value], document: Raw | None) -> Value | None:
        key = (collector, name, parse)
        if key not in self._parsed_before:
            self._parsed_before[key] = self._parse(collector, name, parse, document)
        found: Value | None = self._parsed_before[key]
        return found

    def _parse(self, collector: str, name: str, parse: Callable[[Raw], Value], document: Raw | None) -> Value | None:
        try:
            return None if document is None else parse(document)
        except (Malformed, Unknown) as error:
            said = f"{collector}: {name} could not be used: {error}"
            if said not in self.unread:
                self.unread.append(said)
            return None
