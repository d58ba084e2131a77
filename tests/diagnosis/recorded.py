"""Evidence as tests/recordings/causes holds it: what collectors would have seen of sick and healthy Go programs."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sre_platform.diagnosis.domain import Evidence
from tests.diagnosis.scene import OPENED

FOLDER = Path(__file__).parents[1] / "recordings" / "causes"


def recorded(scenario: str, *collectors: str) -> dict[str, Evidence]:
    """All that was recorded of ``CAUSE/TWIN``, or only what these collectors saw."""
    found = {folder.name: _evidence(folder) for folder in sorted((FOLDER / scenario).iterdir())}
    assert found, f"nothing is recorded of {scenario}"
    return {name: seen for name, seen in found.items() if not collectors or name in collectors}


def _evidence(folder: Path) -> Evidence:
    texts = {_name(file, folder, ".txt"): file.read_text() for file in folder.rglob("*.txt")}
    profiles = {_name(file, folder, ".pb.gz"): file.read_bytes() for file in folder.rglob("*.pb.gz")}
    data = json.loads((folder / "data.json").read_text())
    return Evidence(folder.name, "orders", OPENED, data, texts, profiles=profiles)


def _name(file: Path, folder: Path, suffix: str) -> str:
    return str(file.relative_to(folder)).removesuffix(suffix)


def window(values: dict[str, float | Iterable[float]], **missing: str) -> dict[str, Evidence]:
    """Prometheus' answer: one value for the whole window, or one a second; ``missing`` says why a query has none."""
    queries: dict[str, Any] = {name: {"query": name, "series": [], "missing": why} for name, why in missing.items()}
    for name, given in values.items():
        row = [float(given)] * 20 if isinstance(given, int | float) else list(given)
        points = [[1000.0 + at, value] for at, value in enumerate(row)]
        queries[name] = {"query": name, "series": [{"labels": {}, "points": points}], "missing": ""}
    data = {"queries": queries, "start": 1000.0, "end": 1020.0, "step_s": 1.0}
    return {"prometheus_window": Evidence("prometheus_window", "orders", OPENED, data)}


def dump(count: int, *functions: str, name: str = "goroutine", state: str = "select") -> dict[str, Evidence]:
    """A debug=2 dump of ``count`` goroutines with these calls on their stacks, innermost first, called by main.work."""
    calls = [*functions, "main.work"]
    body = "".join(f"{call}(0x1)\n\t{_file(call)}:12 +0x1\n" for call in calls)
    text = "".join(f"goroutine {n + 1} [{state}]:\n{body}\n" for n in range(count)) or "goroutine 1 [running]:\n"
    return {"go_goroutines": Evidence("go_goroutines", "orders", OPENED, {}, {name: text})}


def _file(call: str) -> str:
    return "shop/main.go" if call.startswith("main.") else call.partition(".(")[0] + "/file.go"


def without(evidence: dict[str, Evidence], collector: str, *documents: str) -> dict[str, Evidence]:
    """The same evidence without some texts or profiles of one collector."""
    seen = evidence[collector]
    texts = {name: text for name, text in seen.texts.items() if name not in documents}
    profiles = {name: data for name, data in seen.profiles.items() if name not in documents}
    return evidence | {collector: replace(seen, texts=texts, profiles=profiles)}
