"""A profile as a tree of calls, from the root to the leaves, to draw as a flame graph; or two, to compare.

Calls of one function by the same caller are one node, inlined calls are nodes too. Small and deep nodes are folded into
one node "(other)" per caller that keeps their values, so values always add up. There is no recursion.
O(frames of distinct stacks + nodes x log nodes).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import nlargest
from typing import NamedTuple

from sre_platform.diagnosis.parsers.profile_model import Location, Profile, ValueType
from sre_platform.diagnosis.parsers.profile_names import base_name, binary_path, shown_name
from sre_platform.kernel.errors import Malformed

ROOT = "root"
OTHER = "(other)"
UNKNOWN = "<unknown>"
NODE_LIMIT = 2_000  # shown; as SVG about 600 KB, and more than a screen has room for
NODE_FRACTION = 0.0005  # of the whole: narrower than a pixel on a wide screen
DEPTH_LIMIT = 200  # frames; Go records 128, and a location can hold inlined ones besides
BUILD_LIMIT = 200_000  # nodes in memory, the heaviest stacks first; about 100 MB


class Weights(NamedTuple):
    """What a node took itself, and with all that it called, in the profile's unit."""

    self: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Flame:
    """A function called by the node ``parent`` (an index; the root's is -1), ``depth`` calls below the root.

    ``file`` and ``line`` are where most of its value was (0: unknown). ``before`` is of the earlier profile. ``weight``
    is how wide it is: both totals without signs; those of its callees add up to no more. ``end`` is the index after
    its last descendant. ``folded`` is how many nodes an OTHER node stands for.
    """

    parent: int
    depth: int
    name: str
    file: str
    line: int
    now: Weights
    before: Weights
    weight: int
    end: int
    folded: int = 0


@dataclass(frozen=True)
class FlameGraph:
    """All nodes, each caller before its callees and those by name, so that the order is that of other profiles too."""

    sample_type: ValueType
    nodes: tuple[Flame, ...]
    compares: bool = False

    @property
    def root(self) -> Flame:
        return self.nodes[0]

    def children(self, index: int) -> Iterator[int]:
        """The indexes of the nodes that ``index`` called."""
        at = index + 1
        while at < self.nodes[index].end:
            yield at
            at = self.nodes[at].end

    def path(self, index: int) -> list[int]:
        """The indexes from the root to ``index``."""
        found = []
        while index >= 0:
            found.append(index)
            index = self.nodes[index].parent
        return found[::-1]


def flamegraph(
    profile: Profile,
    before: Profile | None = None,
    sample_index: str | int | None = None,
    limit: int = NODE_LIMIT,
    fraction: float = NODE_FRACTION,
) -> FlameGraph:
    """The tree of ``profile``, with the values of ``before`` beside its own when there is one.

    At most ``limit`` nodes of at least ``fraction`` of the whole are told apart, and an OTHER node at each may come on
    top. Raises Unknown as ``Profile.sample_index``, Malformed when the two do not measure the same.
    """
    index = profile.sample_index(sample_index)
    kind = profile.sample_types[index]
    tree = _Tree()
    tree.add(profile, index, _NOW)
    if before is not None:
        if kind not in before.sample_types:
            raise Malformed(f"The profiles cannot be compared: the earlier one has no values {kind.type}/{kind.unit}.")
        tree.add(before, before.sample_types.index(kind), _BEFORE)
    least = tree.root.weight * fraction
    candidates = (node for node in tree.all() if node.weight >= least and node.key[0] != OTHER)
    for node in nlargest(limit, candidates, key=lambda node: (node.weight, -node.depth)):
        node.kept = True
    return FlameGraph(kind, tuple(_flat(tree.root)), before is not None)


_NOW, _BEFORE = 0, 2  # where in ``values`` the own value is; the total stands behind it
Key = tuple[str, str]


@dataclass(slots=True, eq=False)
class _Node:
    key: Key
    depth: int
    values: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    weight: int = 0
    lines: dict[int, int] = field(default_factory=dict)
    children: dict[Key, "_Node"] = field(default_factory=dict)
    kept: bool = False
    folded: int = 0


class _Tree:
    """All nodes, as far as BUILD_LIMIT and DEPTH_LIMIT let them be told apart."""

    def __init__(self) -> None:
        self.root = _Node((ROOT, ""), 0)
        self.size = 1

    def add(self, profile: Profile, index: int, at: int) -> None:
        names = {function.id: shown_name(function) or UNKNOWN for function in profile.functions}
        frames = {place.id: _frames(place, names) for place in profile.locations}
        weights: dict[int, tuple[int, int]] = {}
        stacks: dict[int, tuple[Location, ...]] = {}
        for sample in profile.samples:
            value, key = sample.values[index], id(sample.locations)
            total, weight = weights.get(key, (0, 0))
            weights[key] = total + value, weight + abs(value)
            stacks[key] = sample.locations
        for key in sorted(stacks, key=lambda key: -weights[key][1]):
            total, weight = weights[key]
            if weight:
                calls = [frame for place in reversed(stacks[key]) for frame in frames[place.id]]
                self._stack(calls, total, weight, at)

    def _stack(self, calls: list[tuple[Key, int]], total: int, weight: int, at: int) -> None:
        node = self.root
        for key, line in calls:
            _count(node, total, weight, at)
            node = self._child(node, key)
            node.lines[line] = node.lines.get(line, 0) + weight
            if node.key[0] == OTHER:
                break
        _count(node, total, weight, at)
        node.values[at] += total

    def _child(self, node: _Node, key: Key) -> _Node:
        if (found := node.children.get(key)) is not None:
            return found
        if self.size >= BUILD_LIMIT or node.depth + 1 >= DEPTH_LIMIT:
            key = (OTHER, "")
        found = node.children.setdefault(key, _Node(key, node.depth + 1))
        found.folded += key[0] == OTHER
        self.size += 1
        return found

    def all(self) -> Iterator[_Node]:
        waiting = [self.root]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += node.children.values()


def _count(node: _Node, total: int, weight: int, at: int) -> None:
    node.values[at + 1] += total
    node.weight += weight


def _frames(place: Location, names: dict[int, str]) -> list[tuple[Key, int]]:
    """The calls at one address, the outermost first."""
    if not place.lines:
        path = binary_path(place.mapping)
        return [((f"[{base_name(path)}]" if path else UNKNOWN, ""), 0)]
    lines = reversed(place.lines)
    return [((names[line.function.id], line.function.filename), line.line) for line in lines]


def _flat(root: _Node) -> list[Flame]:
    """The kept nodes, callers first. A node's ``end`` is known when all behind it are."""
    found: list[tuple[int, _Node]] = []
    waiting = [(-1, root)]
    while waiting:
        parent, node = waiting.pop()
        found.append((parent, node))
        here = len(found) - 1
        waiting += [(here, child) for child in _shown_children(node)]
    ends = list(range(1, len(found) + 1))
    for at in range(len(found) - 1, 0, -1):
        ends[found[at][0]] = max(ends[found[at][0]], ends[at])
    return [_flame(parent, node, end) for (parent, node), end in zip(found, ends, strict=True)]


def _shown_children(node: _Node) -> list[_Node]:
    """The kept ones by name, last first, and the rest as one (which comes last when the list is taken from its end)."""
    kept = sorted((child for child in node.children.values() if child.kept), key=lambda child: child.key, reverse=True)
    rest = [child for child in node.children.values() if not child.kept]
    return [*([_folded(rest)] if rest else []), *kept]


def _folded(nodes: Iterable[_Node]) -> _Node:
    """One node without callees: what those below had themselves is its own."""
    found = _Node((OTHER, ""), 0)
    for node in nodes:
        found.depth, found.weight = node.depth, found.weight + node.weight
        found.folded += node.folded or 1
        for at in (_NOW, _BEFORE):
            found.values[at] += node.values[at + 1]
            found.values[at + 1] += node.values[at + 1]
    return found


def _flame(parent: int, node: _Node, end: int) -> Flame:
    now, before = Weights(*node.values[:2]), Weights(*node.values[2:])
    line = max(node.lines, key=lambda line: (node.lines[line], -line), default=0)
    return Flame(parent, node.depth, *node.key, line, now, before, node.weight, end, node.folded)
