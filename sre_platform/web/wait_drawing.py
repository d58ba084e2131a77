"""Where the boxes and lines of a wait-for graph stand: in two columns for wide windows, in one for phones. Pure.

Lengths are in units of the drawing's own coordinates, which are pixels as long as the window is wide enough.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sre_platform.web.wait_graph import Crowd, Root

ROOTS_DRAWN, WAITERS_DRAWN = 6, 6
# The width of one sign: of 12 px monospaced (7.22 in DejaVu, the widest of those in use), of 13 px bold, of 12 px.
SIGNS = {"name": 7.3, "cause": 8.2, "says": 6.9}
BEFORE_PLACE = " · "
PADDING, GAP, GROUP_GAP = 12, 10, 26
ROOT_HEIGHT, WAITER_HEIGHT, MORE_HEIGHT = 74, 54, 26
HEAD = 7  # the length of an arrow's head
FIRST_LINE, LINE = 21, 19  # baselines of the texts in a box


class Shape(NamedTuple):
    """The columns of a drawing. ``stacked``: those who wait stand above their root, and lines run down a gutter."""

    width: int
    waiter_x: int
    root_x: int
    box_width: int
    bulge: int
    stacked: bool


WIDE = Shape(width=840, waiter_x=1, root_x=452, box_width=340, bulge=48, stacked=False)
NARROW = Shape(width=328, waiter_x=20, root_x=20, box_width=280, bulge=28, stacked=True)


class Text(NamedTuple):
    """One line of a box."""

    kind: str
    x: int
    y: int
    text: str


@dataclass(frozen=True)
class Box:
    """A node: ``root``, ``waiter``, or ``more`` for those that are not drawn. ``full`` is all of what it says."""

    kind: str
    x: int
    y: int
    width: int
    height: int
    texts: Sequence[Text]
    full: str

    @property
    def middle(self) -> int:
        return self.y + self.height // 2


class Edge(NamedTuple):
    """A line and its arrow's head, both as paths."""

    line: str
    head: str


@dataclass(frozen=True)
class Drawing:
    """All boxes and edges; ``name`` makes its ids its own. ``more`` roots with edges are not drawn."""

    name: str
    width: int
    height: int
    boxes: Sequence[Box]
    edges: Sequence[Edge]
    more: int


def draw(roots: Sequence[Root], shape: Shape) -> Drawing | None:
    """The roots that wait or are waited for; None when there are none."""
    entangled = [root for root in roots if root.entangled]
    drawn = entangled[:ROOTS_DRAWN]
    if not any(root.waiters for root in drawn):
        shape = shape._replace(root_x=shape.waiter_x, width=shape.waiter_x + shape.box_width + shape.bulge)
    boxes: list[Box] = []
    edges: list[Edge] = []
    places: dict[int, Box] = {}
    bottom = 1
    for root in drawn:
        waiters, box = _group(root, shape, bottom)
        edges += [_to_root(waiter, box, shape) for waiter in waiters]
        boxes += [*waiters, box]
        places[root.number] = box
        bottom = max(other.y + other.height for other in (*waiters, box)) + GROUP_GAP
    edges += _between(drawn, places, shape)
    name = "narrow" if shape.stacked else "wide"
    height = bottom - GROUP_GAP + 1
    return Drawing(name, shape.width, height, boxes, edges, len(entangled) - len(drawn)) if drawn else None


def _group(root: Root, shape: Shape, top: int) -> tuple[list[Box], Box]:
    waiters = list(_waiters(root, shape, top))
    end = waiters[-1].y + waiters[-1].height if waiters else top
    if shape.stacked:
        return waiters, _root_box(root, shape, end + GAP if waiters else top)
    lower = max(0, (ROOT_HEIGHT - (end - top)) // 2) if waiters else 0
    if lower:
        waiters = list(_waiters(root, shape, top + lower))
    return waiters, _root_box(root, shape, top + max(0, (end - top - ROOT_HEIGHT) // 2))


def _waiters(root: Root, shape: Shape, top: int) -> Iterator[Box]:
    y = top
    for waiter in root.waiters[:WAITERS_DRAWN]:
        yield _box(
            "waiter", shape.waiter_x, y, shape, [("name", waiter.function), ("says", _says(waiter))], _full(waiter)
        )
        y += WAITER_HEIGHT + GAP
    rest = root.waiters[WAITERS_DRAWN:]
    if rest:
        says = f"and {len(rest)} more, {sum(waiter.bucket.count for waiter in rest)} goroutines"
        yield _box("more", shape.waiter_x, y, shape, [("says", says)], says)


def _root_box(root: Root, shape: Shape, y: int) -> Box:
    words = f"{root.number}  {root.cause.cause.replace('_', ' ')}"
    lines = [("cause", words), ("name", root.crowd.function), ("says", _says(root.crowd))]
    full = f"Cause {words}: {_full(root.crowd)}{' ' + root.cause.why if root.cause.why else ''}"
    return _box("root", shape.root_x, y, shape, lines, full)


HEIGHTS = {"root": ROOT_HEIGHT, "waiter": WAITER_HEIGHT, "more": MORE_HEIGHT}


def _box(kind: str, x: int, y: int, shape: Shape, lines: Sequence[tuple[str, str]], full: str) -> Box:
    first = y + (FIRST_LINE if kind != "more" else 17)
    texts = [
        Text(name, x + PADDING, first + LINE * number, _fitting(name, text, shape.box_width))
        for number, (name, text) in enumerate(lines)
    ]
    return Box(kind, x, y, shape.box_width, HEIGHTS[kind], texts, full)


def _fitting(kind: str, text: str, width: int) -> str:
    """What there is room for. The ends of names are what tells them from others."""
    most = int((width - 2 * PADDING) / SIGNS[kind])
    if len(text) <= most:
        return text
    if kind == "name":
        return f"…{text[1 - most :]}"
    says, dot, place = text.partition(BEFORE_PLACE)
    room = most - len(says + dot)
    return f"{says}{dot}…{place[1 - room :]}" if 1 < room < len(place) else f"{text[: most - 1]}…"


def _says(crowd: Crowd) -> str:
    place = (
        f"{BEFORE_PLACE}{crowd.site.file.replace(chr(92), '/').rpartition('/')[2]}:{crowd.site.line}"
        if crowd.site
        else ""
    )
    return f"{crowd.says}{place}"


def _full(crowd: Crowd) -> str:
    return f"{crowd.says}, {crowd.site.function} at {crowd.site}." if crowd.site else f"{crowd.says}."


def _to_root(waiter: Box, root: Box, shape: Shape) -> Edge:
    if shape.stacked:
        gutter = waiter.x - 16
        line = f"M{waiter.x} {waiter.middle}H{gutter + 6}q-6 0-6 6V{root.middle - 6}q0 6 6 6H{root.x - HEAD}"
        return Edge(line, _right(root.x, root.middle))
    start, end = waiter.x + waiter.width, root.x - HEAD
    middle = (start + end) // 2
    line = f"M{start} {waiter.middle}C{middle} {waiter.middle} {middle} {root.middle} {end} {root.middle}"
    return Edge(line, _right(root.x, root.middle))


def _between(roots: Sequence[Root], places: dict[int, Box], shape: Shape) -> Iterator[Edge]:
    """Arcs at the right of the roots: out of a box's lower half, into the other's upper half."""
    for root in roots:
        for number in root.waits_for:
            if number in places:
                yield _arc(places[root.number], places[number], shape)


def _arc(one: Box, other: Box, shape: Shape) -> Edge:
    start, end = one.y + 3 * one.height // 4, other.y + other.height // 4
    x = one.x + one.width
    out = x + (shape.bulge if end < start else shape.bulge // 2)
    return Edge(f"M{x} {start}C{out} {start} {out} {end} {x + HEAD} {end}", _left(x, end))


def _right(x: int, y: int) -> str:
    return f"M{x} {y}l-{HEAD + 1}-4v8z"


def _left(x: int, y: int) -> str:
    return f"M{x} {y}l{HEAD + 1}-4v8z"
