"""Which functions a profile's values belong to: the table of ``go tool pprof -top``, to the last character.

Follows the ``graph`` and ``report`` packages of google/pprof at its default granularity, functions: a function counts
once per stack however often it is on it, nodes under 0.5% and edges under 0.1% of the sum are left out.
O(frames of distinct stacks), twice when nodes are left out.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo

from sre_platform.diagnosis.parsers.profile_model import Location, Profile, Sample, ValueType
from sre_platform.diagnosis.parsers.profile_names import base_name, binary_path, interesting, shown_name
from sre_platform.diagnosis.parsers.profile_units import amount, int64, percent, percentage, scale, wrapped

NODE_FRACTION = 0.005  # of the sum, pprof's default
EDGE_FRACTION = 0.001  # of the sum, pprof's default
BASE_LABEL = ("pprof::base", "true")  # marks what came from before, in a difference whose shares are those of before


@dataclass(frozen=True, slots=True)
class Row:
    """A function: ``flat`` is what it took itself, ``cum`` with what it called, both in the profile's unit.

    The percentages are of the total, without sign. ``inline`` is "(inline)", "(partial-inline)" or "".
    """

    flat: int
    flat_percent: float
    sum_percent: float
    cum: int
    cum_percent: float
    name: str
    inline: str = ""


@dataclass(frozen=True)
class Top:
    """The rows, and what they are rows of. ``total`` is the sum of all values without their signs (see ``top``).

    ``dropped`` functions had less than ``cutoff`` in all; ``nodes`` were left, of which ``rows`` may show fewer.
    ``unit`` is the one to print amounts in.
    """

    sample_type: ValueType
    total: int
    rows: tuple[Row, ...]
    nodes: int
    dropped: int
    cutoff: int
    unit: str

    def amount(self, value: int) -> str:
        """``value`` in the table's unit, as it is printed."""
        return amount(value, self.sample_type.unit, self.unit)


def top(
    profile: Profile,
    sample_index: str | int | None = None,
    cum: bool = False,
    count: int = 0,
    node_fraction: float = NODE_FRACTION,
    edge_fraction: float = EDGE_FRACTION,
) -> Top:
    """The functions of ``profile`` with the largest values first, by flat or by ``cum``; at most ``count`` unless 0.

    ``sample_index`` is a name or number as ``-sample_index`` takes it. In a difference against a base whose samples
    carry BASE_LABEL the total is the base's. Raises Unknown and Malformed as ``Profile.sample_index``.
    """
    index = profile.sample_index(sample_index)
    stacks = _Stacks(interesting(profile), index)
    graph, dropped, edge_cut = _significant(stacks, node_fraction, edge_fraction)
    nodes = len(graph.nodes)
    order = _by_cum if cum else _by_flat
    if 0 < count < nodes:
        graph = stacks.graph(set(sorted(graph.nodes, key=order(stacks, graph))[:count]))
    shown = sorted(graph.nodes, key=order(stacks, graph))
    total, kind = _total(profile.samples, index), profile.sample_types[index]
    rows = _rows(stacks, graph, shown, total, edge_cut)
    return Top(
        kind, total, rows, nodes, dropped, abs(int64(float(total) * node_fraction)), _unit(rows, total, kind.unit)
    )


def _total(samples: Iterable[Sample], index: int) -> int:
    total = base = 0
    for sample in samples:
        value = abs(sample.values[index])
        total += value
        if sample.labels and any((label.key, label.text) == BASE_LABEL for label in sample.labels):
            base += value
    return wrapped(base) if wrapped(base) > 0 else wrapped(total)


@dataclass
class _Graph:
    flat: dict[int, int] = field(default_factory=dict)
    cum: dict[int, int] = field(default_factory=dict)
    edges: dict[tuple[int, int], tuple[int, bool]] = field(default_factory=dict)  # weight, and whether all inlined
    nodes: list[int] = field(default_factory=list)


Key = tuple[str, str, int]  # name, and for a nameless one the file of its binary and its first line


class _Stacks:
    """The distinct stacks that have values, as numbers of nodes, the outermost call first."""

    def __init__(self, profile: Profile, index: int) -> None:
        self.keys: dict[Key, int] = {}
        names = {function.id: shown_name(function) for function in profile.functions}
        self.places = {place.id: self._numbers(place, names) for place in profile.locations}
        self.weights: dict[int, list[int]] = {}
        self.stacks: dict[int, tuple[Location, ...]] = {}
        for sample in profile.samples:
            if value := sample.values[index]:
                self.stacks[id(sample.locations)] = sample.locations
                self.weights.setdefault(id(sample.locations), [0])[0] += value
        self.names = [name or (f"[{base_name(file)}]" if file else "<unknown>") for name, file, _ in self.keys]

    def _numbers(self, place: Location, names: dict[int, str]) -> list[int]:
        file = binary_path(place.mapping)
        found = [_key(names[line.function.id], file, line.function.start_line) for line in place.lines]
        return [self.keys.setdefault(key, len(self.keys)) for key in reversed(found or [("", file, 0)])]

    def graph(self, kept: Collection[int] | None = None) -> _Graph:
        """The values per node and per call. With ``kept`` other nodes are passed over, and their flat values lost."""
        found = _Graph()
        for key, stack in self.stacks.items():
            self._add(found, stack, self.weights[key][0], kept)
        for values in (found.flat, found.cum):
            values.update((node, wrapped(value)) for node, value in values.items())
        found.nodes = [node for node, value in found.cum.items() if value or found.flat.get(node)]
        return found

    def _add(self, graph: _Graph, stack: tuple[Location, ...], weight: int, kept: Collection[int] | None) -> None:
        seen: set[int] = set()
        calls: dict[tuple[int, int], bool] = {}
        parent = node = -1
        for place in reversed(stack):
            for depth, node in enumerate(self.places[place.id]):
                if kept is None or node in kept:
                    seen.add(node)
                    if parent >= 0 and node != parent:
                        calls.setdefault((parent, node), depth > 0)
                    parent = node
        for node_seen in seen:
            graph.cum[node_seen] = graph.cum.get(node_seen, 0) + weight
        for call, inlined in calls.items():
            sum_so_far, all_inlined = graph.edges.get(call, (0, True))
            graph.edges[call] = (sum_so_far + weight, all_inlined and inlined)
        if parent >= 0 and parent == node:
            graph.flat[parent] = graph.flat.get(parent, 0) + weight


def _key(name: str, file: str, start: int) -> Key:
    return (name, "", 0) if name else ("", file, start)


def _significant(stacks: _Stacks, node_fraction: float, edge_fraction: float) -> tuple[_Graph, int, int]:
    """The graph of the nodes that count, how many do not, and from which weight on an edge does."""
    graph = stacks.graph()
    total = float(wrapped(sum(graph.flat.values())))
    cutoff = abs(int64(total * node_fraction))
    kept = {node for node in graph.nodes if abs(graph.cum[node]) >= cutoff}
    dropped = len(graph.nodes) - len(kept)
    return stacks.graph(kept) if dropped else graph, dropped, abs(int64(total * edge_fraction))


Order = Callable[[int], tuple[int, str, int]]


def _by_flat(stacks: _Stacks, graph: _Graph) -> Order:
    return lambda node: (-abs(graph.flat.get(node, 0)), stacks.names[node], -abs(graph.cum[node]))


def _by_cum(stacks: _Stacks, graph: _Graph) -> Order:
    return lambda node: (-abs(graph.cum[node]), stacks.names[node], -abs(graph.flat.get(node, 0)))


def _rows(stacks: _Stacks, graph: _Graph, shown: list[int], total: int, edge_cut: int) -> tuple[Row, ...]:
    inlined: dict[int, set[bool]] = {}
    for (_, callee), (weight, inline) in graph.edges.items():
        if abs(wrapped(weight)) >= edge_cut:
            inlined.setdefault(callee, set()).add(inline)
    rows: list[Row] = []
    flat_sum = 0
    for node in shown:
        flat, cum = graph.flat.get(node, 0), graph.cum[node]
        flat_sum = wrapped(flat_sum + flat)
        shares = percent(flat, total), percent(flat_sum, total)
        rows.append(Row(flat, *shares, cum, percent(cum, total), stacks.names[node], _inline(inlined.get(node))))
    return tuple(rows)


def _inline(calls: set[bool] | None) -> str:
    if not calls or True not in calls:
        return ""
    return "(partial-inline)" if False in calls else "(inline)"


def _unit(rows: Collection[Row], total: int, unit: str) -> str:
    """The unit in which the smallest amount still shows two digits, if the largest is of another."""
    if not rows:
        return "minimum"
    smallest = min(filter(None, (abs(row.flat) or abs(row.cum) for row in rows)), default=0) or total
    best, largest = scale(smallest, unit, "minimum")[1], scale(total, unit, "minimum")[1]
    if best != largest and wrapped(100 * smallest) < total:
        best = scale(wrapped(100 * smallest), unit, "minimum")[1]
    return best or unit


# --- as text ----------------------------------------------------------------------------------------------------------


def render_top(
    profile: Profile,
    sample_index: str | int | None = None,
    cum: bool = False,
    count: int = 0,
    node_fraction: float = NODE_FRACTION,
    edge_fraction: float = EDGE_FRACTION,
    zone: tzinfo = UTC,
) -> str:
    """What ``go tool pprof -top`` prints (``count`` is its ``-nodecount``). ``zone`` is the one to tell the time in."""
    table = top(profile, sample_index, cum, count, node_fraction, edge_fraction)
    lines = [*_header(profile, table, zone), *_shown(table)]
    lines.append(f"{'flat':>10} {'flat':>5}% {'sum':>5}% {'cum':>10} {'cum':>5}%")
    flat_sum = 0
    for row in table.rows:
        flat_sum = wrapped(flat_sum + row.flat)
        flat = f"{table.amount(row.flat):>10} {percentage(row.flat, table.total)} {percentage(flat_sum, table.total)}"
        name = f"{row.name} {row.inline}" if row.inline else row.name
        lines.append(f"{flat} {table.amount(row.cum):>10} {percentage(row.cum, table.total)}  {name}")
    return "\n".join(lines) + "\n"


def _header(profile: Profile, table: Top, zone: tzinfo) -> Iterable[str]:
    main = profile.mappings[0] if profile.mappings else None
    if path := binary_path(main):
        yield f"File: {base_name(path)}"
    if main and main.build_id:
        yield f"Build ID: {main.build_id}"
    yield from (comment for comment in profile.comments if not comment.startswith("#"))
    if table.sample_type.type:
        yield f"Type: {table.sample_type.type}"
    if profile.doc_url:
        yield f"Doc: {profile.doc_url}"
    if profile.time_nanos:
        yield f"Time: {_time(profile.time_nanos, zone)}"
    if profile.duration_nanos:
        yield _duration(profile.duration_nanos, table)


def _time(nanos: int, zone: tzinfo) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=nanos // 1_000_000_000)
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"


def _duration(nanos: int, table: Top) -> str:
    spent, unit = scale(table.total, table.sample_type.unit, "nanoseconds")
    share = f"({percentage(int64(spent), nanos)})" if unit == "ns" and spent else ""
    return f"Duration: {amount(nanos, 'nanoseconds')}, Total samples = {table.amount(table.total)} {share}"


def _shown(table: Top) -> Iterable[str]:
    flat = wrapped(sum(row.flat for row in table.rows))
    share = percentage(flat, table.total).strip()
    yield f"Showing nodes accounting for {table.amount(flat)}, {share} of {table.amount(table.total)} total"
    if not table.total:
        return
    if table.dropped:
        nodes = "node" if table.dropped == 1 else "nodes"
        yield f"Dropped {table.dropped} {nodes} (cum <= {table.amount(table.cutoff)})"
    if 0 < len(table.rows) < table.nodes:
        yield f"Showing top {len(table.rows)} nodes out of {table.nodes}"
