"""Recorded samples, and how tests read them."""

from collections.abc import Iterator
from pathlib import Path

from sre_platform.clients.exposition import parse
from sre_platform.detection.window import Scrape
from sre_platform.kernel.sample import Sample

FOLDER = Path(__file__).parent


def rows(name: str) -> dict[str, list[str]]:
    """Series to cells, see generate.py."""
    lines = (FOLDER / name).read_text().splitlines()
    return {series: row.split(" ") for series, row in (line.split("\t") for line in lines)}


def rounds(name: str) -> Iterator[tuple[int, list[Scrape]]]:
    """The recording as (second, scrapes of that second); seconds without a round are left out."""
    table = rows(name)
    for at, column in enumerate(zip(*table.values(), strict=True)):
        if any(cell != "_" for cell in column):
            shown = {series: cell for series, cell in zip(table, column, strict=True) if cell not in ("_", "stale")}
            yield at, _scrapes(shown)


def _scrapes(shown: dict[str, str]) -> list[Scrape]:
    samples = [sample for series, cell in shown.items() for sample in parse(f"{series} {cell}\n")]
    targets = {dict(sample.labels)["instance"]: sample.value for sample in samples if sample.name == "up"}
    return [Scrape("shop", instance, _of(instance, samples) if up else None) for instance, up in targets.items()]


def _of(instance: str, samples: list[Sample]) -> tuple[Sample, ...]:
    return tuple(
        Sample(sample.name, tuple(pair for pair in sample.labels if pair[0] not in ("job", "instance")), sample.value)
        for sample in samples
        if dict(sample.labels)["instance"] == instance and sample.name != "up"
    )
