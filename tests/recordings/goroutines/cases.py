"""What the sources say of each case, and what a dump shows of it.

A case is a line above the function that mounts it, ``// case NAME: CAUSE, SUITE[, KEY=VALUE...]``, or ``// case NAME:
healthy[, ...]``. ``// ROOT NAME``, ``// VICTIM NAME`` and ``// CREATED NAME`` stand at the end of the lines they mean.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CASE = re.compile(r"^// case (\w+): (\w+)(.*)$")
MARKER = re.compile(r"// ((?:(?:ROOT|VICTIM|CREATED) \w+ ?)+)$")
HEADER = re.compile(r"^goroutine \d+ .*?\[([^\],]+)[^\]]*\]")
PLACE = re.compile(r"^\t(.+?):(\d+)(?: \+0x[0-9a-f]+)?$")
ROLES = ("ROOT", "VICTIM", "CREATED")
SUITES = {"kernel": "own kernel", "kernel2": "own kernel 2", "service": "own service", "healthy": "own healthy"}
KERNELS = ("kernel", "kernel2")


@dataclass(frozen=True)
class Frame:
    func: str
    file: str
    line: int


@dataclass(frozen=True)
class Goroutine:
    state: str
    frames: tuple[Frame, ...]
    created_by: Frame | None


@dataclass
class Case:
    name: str
    service: str
    cause: str
    suite: str
    options: dict[str, str]
    marks: dict[str, set[tuple[str, int]]] = field(default_factory=lambda: {role: set() for role in ROLES})

    @property
    def in_dump(self) -> bool:
        return "absent" not in self.options


def read_cases(services: Path) -> list[Case]:
    """Every case of the Go sources below the folder, with its marked lines as (file name, line)."""
    cases: dict[str, Case] = {}
    marks: list[tuple[str, str, str, int]] = []
    for source in sorted(services.rglob("*.go")):
        service = source.relative_to(services).parts[0]
        for number, line in enumerate(source.read_text().splitlines(), start=1):
            if found := CASE.match(line):
                case = _case(service, *found.groups())
                if case.name in cases:
                    raise ValueError(f"{case.name} is there twice")
                cases[case.name] = case
            elif found := MARKER.search(line):
                words = found[1].split()
                marks += [(role, name, source.name, number) for role, name in zip(words[::2], words[1::2], strict=True)]
    for role, name, file, number in marks:
        cases[name].marks[role].add((file, number))
    return list(cases.values())


def _case(service: str, name: str, cause: str, rest: str) -> Case:
    words = [word.strip() for word in re.split(r", (?=[a-z0-9]+(?:=|,|$))", rest) if word.strip(" ,")]
    suite = "healthy" if cause == "healthy" else next(w for w in words if w in SUITES)
    options = {key: value for key, _, value in (w.partition("=") for w in words if w != suite)}
    return Case(name, service, cause, suite, options)


def read_goroutines(dump: str) -> list[Goroutine]:
    """The goroutines of a ``goroutine?debug=2`` dump, innermost frame first."""
    return [_goroutine(block.splitlines()) for block in dump.split("\n\n") if block.startswith("goroutine ")]


def _goroutine(lines: list[str]) -> Goroutine:
    header = HEADER.match(lines[0])
    if header is None:
        raise ValueError(f"not the head of a goroutine: {lines[0]}")
    frames, created = [], None
    for call, place in zip(lines[1::2], lines[2::2], strict=True):
        where = PLACE.match(place)
        if where is None:
            raise ValueError(f"not a place: {place}")
        file, line = where[1].rsplit("/", 1)[-1], int(where[2])
        if call.startswith("created by "):
            created = Frame(call.removeprefix("created by ").split(" in goroutine ")[0], file, line)
        else:
            frames.append(Frame(call[: call.rindex("(")], file, line))
    return Goroutine(header[1], tuple(frames), created)


def buckets(dump: str) -> Counter[Goroutine]:
    """How many goroutines wait in the same state with the same frames and the same creator."""
    return Counter(read_goroutines(dump))


def most_grown(earlier: str, later: str) -> tuple[int, Goroutine | None]:
    """How much the bucket that grew most grew, and which it is."""
    before = buckets(earlier)
    growth: tuple[int, Goroutine | None] = (0, None)
    for bucket, count in buckets(later).items():
        if count - before[bucket] > growth[0]:
            growth = (count - before[bucket], bucket)
    return growth


def label(case: Case, dump: str) -> dict[str, Any]:
    """The label of the case, its lines found again in the dump. ``ValueError`` for a mark that it does not show."""
    roots = _marked(case, "ROOT", dump) if case.in_dump else _absent(case, dump)
    if case.in_dump and (created := case.marks["CREATED"]):
        seen = {(c["file"], c["line"]) for r in roots if (c := r["created_by"])}
        if seen != created:
            raise ValueError(f"{case.name}: created at {sorted(created)} by its marks, at {sorted(seen)} by its dump")
    victims = [{k: v for k, v in found.items() if k != "created_by"} for found in _marked(case, "VICTIM", dump)]
    healthy = case.suite == "healthy"
    return {
        "id": f"own/{case.name}",
        "suite": SUITES[case.suite],
        "leak": not healthy,
        "root_cause": None if healthy else case.cause,
        "culprit_in_dump": case.in_dump,
        "roots": roots,
        "victims": victims,
    }


def _marked(case: Case, role: str, dump: str) -> list[dict[str, Any]]:
    """The distinct (place, state, creator) of goroutines whose innermost marked frame is a line with this role."""
    places = {place for marks in case.marks.values() for place in marks}
    found: dict[tuple[object, ...], dict[str, Any]] = {}
    missing = set(case.marks[role])
    for goroutine in read_goroutines(dump):
        hit = next((f for f in goroutine.frames if (f.file, f.line) in places), None)
        if hit is None or (hit.file, hit.line) not in case.marks[role]:
            continue
        missing.discard((hit.file, hit.line))
        made = goroutine.created_by
        entry = {**vars(hit), "state": goroutine.state, "created_by": vars(made) if made else None}
        found.setdefault((hit, goroutine.state, made), entry)
    if missing and role == "ROOT":
        raise ValueError(f"{case.name}: no goroutine of the dump is at {role} {sorted(missing)}")
    return list(found.values())


def _absent(case: Case, dump: str) -> list[dict[str, Any]]:
    """The marked lines of a case whose culprit has returned, in the state of the library's goroutines that it left."""
    left = Counter(g.state for g in read_goroutines(dump) if any(f.func == case.options["absent"] for f in g.frames))
    if not left:
        raise ValueError(f"{case.name}: no goroutine of the dump is in {case.options['absent']}")
    state = left.most_common(1)[0][0]
    return [
        {"file": file, "line": line, "state": state, "created_by": None} for file, line in sorted(case.marks["ROOT"])
    ]
