"""A flame graph as boxes: where each frame stands, what it says and how it is coloured. Pure.

Callers stand above what they call. Widths are shares of the frame that is looked at, and that frame and its callers are
as wide as the picture.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode
from zlib import crc32

from sre_platform.diagnosis.parsers.flamegraph import OTHER, ROOT, Flame, FlameGraph
from sre_platform.diagnosis.parsers.profile_units import amount

ROW_PX = 20
HUES = 6  # in flame.css, h0 to h5
LABEL_SHARE = 0.025  # of the width: below it not four letters fit. As in flame.js
NARROWEST = 0.0004  # of the width: half a pixel on a wide screen. As in flame.js
# Shares of the whole by which a frame has changed. Less than the first is the noise of sampling 100 times a second for
# ten seconds (1 of 1,000); the others divide what can be told apart by eye.
CHANGES = (0.005, 0.05, 0.2)


@dataclass(frozen=True)
class Box:
    """One frame. ``x`` and ``width`` are percentages as SVG takes them, ``left`` and ``share`` the same as numbers of
    the whole, for the script; ``says`` is what is read aloud."""

    index: int
    parent: int
    depth: int
    left: str
    share: str
    x: str
    width: str
    y: int
    short: str
    label: str
    says: str
    kind: str
    query: str


@dataclass(frozen=True)
class Drawing:
    """The boxes, callers before callees; ``found`` frames match and have ``found_share`` of the whole."""

    boxes: Sequence[Box]
    height: int
    found: int
    found_share: str


def draw(graph: FlameGraph, at: int = 0, words: str = "", **query: str) -> Drawing:
    """The picture of ``graph`` looking at the frame ``at``; ``words`` are looked for in names, ``query`` is kept in
    the links."""
    at = at if 0 <= at < len(graph.nodes) else 0
    lefts = _lefts(graph)
    matching = _matching(graph, words)
    path = graph.path(at)
    shown = [*path[:-1], *(index for index in range(at, graph.nodes[at].end))]
    pencil = _Pencil(graph, at, lefts, matching, {key: value for key, value in query.items() if value})
    boxes = [box for index in shown if (box := pencil.box(index)) is not None]
    deepest = max(box.depth for box in boxes)
    whole = graph.root.weight or 1
    share = sum(graph.nodes[index].weight for index in _outermost(graph, matching)) / whole
    return Drawing(boxes, (deepest + 1) * ROW_PX, len(matching), percent(share))


def percent(share: float) -> str:
    """``12.3 %``."""
    return f"{share * 100:.1f} %"


def _lefts(graph: FlameGraph) -> list[int]:
    """How much weight stands left of each node."""
    lefts = [0] * len(graph.nodes)
    for index in range(len(graph.nodes)):
        left = lefts[index]
        for child in graph.children(index):
            lefts[child] = left
            left += graph.nodes[child].weight
    return lefts


def _matching(graph: FlameGraph, words: str) -> set[int]:
    wanted = words.strip().casefold()
    if not wanted:
        return set()
    return {n for n, node in enumerate(graph.nodes) if n and wanted in f"{node.name} {node.file}".casefold()}


def _outermost(graph: FlameGraph, matching: set[int]) -> Iterator[int]:
    """Those that no other one has called, so that nothing counts twice."""
    end = 0
    for index in sorted(matching):
        if index >= end:
            yield index
            end = graph.nodes[index].end


@dataclass(frozen=True)
class _Pencil:
    graph: FlameGraph
    at: int
    lefts: Sequence[int]
    matching: set[int]
    query: dict[str, str]

    def box(self, index: int) -> Box | None:
        """The box of one node, None when nobody could see it."""
        node, focus = self.graph.nodes[index], self.graph.nodes[self.at]
        whole, width = self.graph.root.weight or 1, focus.weight or 1
        caller = index < self.at
        x, share = (0.0, 1.0) if caller else ((self.lefts[index] - self.lefts[self.at]) / width, node.weight / width)
        if share < NARROWEST and index:
            return None
        return Box(
            index, node.parent, node.depth,
            left=f"{self.lefts[index] / whole:.6f}",
            share=f"{node.weight / whole:.6f}",
            x=f"{x * 100:.4f}%",
            width=f"{share * 100:.4f}%" if index or node.weight else "100%",
            y=node.depth * ROW_PX,
            short=(name := f"{self._mark(node)}{short(node.name)}"),
            label=name if share >= LABEL_SHARE else "",
            says=self._says(node),
            kind=self._kind(index, node, caller),
            query=urlencode(self.query | {"frame": str(index)}),
        )  # fmt: skip

    def _says(self, node: Flame) -> str:
        unit, root = self.graph.sample_type.unit, self.graph.root
        name = f"{node.folded} small frames" if node.name == OTHER else node.name
        place = f", {node.file}:{node.line}" if node.file and node.line else ""
        total = root.now.total
        values = [
            f"itself {amount(node.now.self, unit)} ({percent(_share(node.now.self, total))})",
            f"with calls {amount(node.now.total, unit)} ({percent(_share(node.now.total, total))})",
        ]
        if self.graph.compares:
            change = node.now.total - node.before.total
            values.append(f"before {amount(node.before.total, unit)}, {signed(change, unit)}")
        return f"{name}{place}: {', '.join(values)}"

    def _kind(self, index: int, node: Flame, caller: bool) -> str:
        names = [self._colour(node)]
        names += ["caller"] if caller else []
        names += ["hit"] if index in self.matching else []
        return " ".join(names)

    def _colour(self, node: Flame) -> str:
        if self.graph.compares:
            return self.change(node)
        if node.name in (ROOT, OTHER):
            return "plain-frame"
        return "runtime" if is_runtime(node.name) else f"h{crc32(package(node.name).encode()) % HUES}"

    def change(self, node: Flame) -> str:
        """``more1`` to ``more3``, ``less1`` to ``less3`` or ``same``."""
        root = self.graph.root
        share = _share(node.now.total - node.before.total, max(abs(root.now.total), abs(root.before.total)))
        step = sum(abs(share) >= limit for limit in CHANGES)
        return f"{'more' if share > 0 else 'less'}{step}" if step else "same"

    def _mark(self, node: Flame) -> str:
        """A sign for what the colour says, because not everybody sees colours."""
        colour = self._colour(node)
        return "▲ " if colour.startswith("more") else "▼ " if colour.startswith("less") else ""


def _share(value: int, total: int) -> float:
    return value / total if total else 0.0


def signed(value: int, unit: str) -> str:
    """``+12kB``, ``-3ms`` or ``unchanged``."""
    return f"{'+' if value > 0 else ''}{amount(value, unit)}" if value else "unchanged"


def package(name: str) -> str:
    """``net/http`` of ``net/http.(*conn).serve``."""
    folder, slash, last = name.rpartition("/") if "[" not in name else name.partition("[")[0].rpartition("/")
    return folder + slash + last.partition(".")[0]


def short(name: str) -> str:
    """``http.(*conn).serve`` of ``net/http.(*conn).serve``: what comes first has to tell frames apart."""
    bare, bracket, rest = name.partition("[")
    return bare.rpartition("/")[2] + bracket + rest


def is_runtime(name: str) -> bool:
    """Whether it is Go's runtime, or a piece of assembly that has no package."""
    return package(name) in ("runtime", "internal/runtime") or name.startswith("internal/runtime/") or "." not in name
