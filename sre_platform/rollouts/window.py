"""The requests of both versions in one stretch of time, cut into short blocks and scored. Pure."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain
from math import ceil, exp, fsum, log
from operator import itemgetter

from sre_platform.rollouts.domain import Request
from sre_platform.rollouts.strata import Block

# Seconds of a block: short against the wandering of load and latency, long enough to hold requests of both versions.
BLOCK_S, SPARSE_BLOCK_S = 1.0, 5.0
SPARSE_RPS = 1.0  # of the rarer version; at less, blocks of a second hold too often none
# A block's level counts no latency beyond this factor of the median, so that one timeout does not set it.
LEVEL_SPAN = 100.0
LARGEST_LEVEL = 1e300  # an exponential that is still a number

Scored = tuple[float, int, bool]  # latency over the level of its block, number of the block, is of the canary
Pair = tuple[Sequence[Request], Sequence[Request]]  # what baseline and canary served in one block

_TIME = _FIRST = itemgetter(0)


class Window:
    """Both versions' requests of one stretch that begins at ``since``, each in the order of time and not empty."""

    def __init__(self, baseline: Sequence[Request], canary: Sequence[Request], since: float) -> None:
        self.baseline, self.canary = baseline, canary
        elapsed = max(canary[-1].time - since, BLOCK_S)
        block_s = BLOCK_S if min(len(canary), len(baseline)) / elapsed >= SPARSE_RPS else SPARSE_BLOCK_S
        older, newer = (_cut(requests, since, block_s) for requests in (baseline, canary))
        self._pairs: dict[int, Pair] = {n: (older.get(n, ()), newer.get(n, ())) for n in sorted({*older, *newer})}
        self._sorted = tuple(sorted([request[2] for request in requests]) for requests in (baseline, canary))

    @cached_property
    def _rows(self) -> list[Scored]:
        median = self._sorted[0][len(self.baseline) // 2]
        return sorted(chain.from_iterable(_aligned(n, pair, median) for n, pair in self._pairs.items()), key=_FIRST)

    def errors(self) -> list[Block]:
        """The blocks with a score of one for each 5xx."""
        blocks = self._blocks()
        for number, pair in self._pairs.items():
            block = blocks[number]
            older, newer = (float(sum(request[1] >= 500 for request in requests)) for requests in pair)
            block.canary_sum = newer
            block.total_sum = block.squares = block.cubes = older + newer
        return list(blocks.values())

    def tail(self, top: float, slowed: float = 1.0) -> list[Block]:
        """The blocks with Savage scores of the slowest ``top`` of all, the canary's latencies divided by ``slowed``.

        The score of a latency is the logarithm of how rarely it is exceeded: the best there is for tails that are
        stretched (Savage 1956), and no outlier has more than the logarithm of the number of requests. Latencies are
        ranked as multiples of their block's level (aligned ranks, Hodges and Lehmann 1962), else the slowest would be
        those of the few worst seconds, whatever their version.
        """
        rows = self._rows
        if slowed != 1.0:
            rows = [(ms / slowed, block, True) if of_canary else (ms, block, False) for ms, block, of_canary in rows]
            rows.sort(key=_FIRST)
        blocks = self._blocks()
        for score, tied in _savage(rows, top):
            for _, block, of_canary in tied:
                _add(blocks[block], score, of_canary)
        return list(blocks.values())

    def p99(self) -> tuple[float, float]:
        """The nearest-rank P99 of baseline and canary, in ms."""
        older, newer = (ordered[ceil(0.99 * len(ordered)) - 1] for ordered in self._sorted)
        return older, newer

    def _blocks(self) -> dict[int, Block]:
        return {number: Block(len(newer), len(older)) for number, (older, newer) in self._pairs.items()}


def pretended(past: Sequence[Request]) -> list[Block]:
    """Each second of one version's past as a pretended canary of all of it, scored, in the order of time."""
    if not past:
        return []
    cut = _cut(past, past[0].time, BLOCK_S)
    rows = sorted([(request[2], n, True) for n, requests in cut.items() for request in requests], key=_FIRST)
    blocks = {number: Block(len(requests), len(past) - len(requests)) for number, requests in cut.items()}
    every = Block()
    for score, tied in _savage(rows, 1.0):
        for _, number, _ in tied:
            blocks[number].canary_sum += score
            _add(every, score, True)
    for block in blocks.values():
        block.total_sum, block.squares, block.cubes = every.total_sum, every.squares, every.cubes
    return list(blocks.values())


def _cut(requests: Sequence[Request], since: float, block_s: float) -> dict[int, Sequence[Request]]:
    """The requests of each block that has any."""
    found: dict[int, Sequence[Request]] = {}
    start = 0
    while start < len(requests):
        number = int((requests[start].time - since) // block_s)
        end = max(start + 1, bisect_left(requests, since + (number + 1) * block_s, start, key=_TIME))
        found[number] = [*found.get(number, ()), *requests[start:end]]
        start = end
    return found


def _aligned(number: int, pair: Pair, median: float) -> Iterator[Scored]:
    """Over the geometric mean of the block: that is of both versions, so a healthy canary gains nothing by it."""
    latencies = [request[2] for requests in pair for request in requests]
    least, most = median / LEVEL_SPAN, min(median * LEVEL_SPAN, LARGEST_LEVEL)
    level = exp(fsum(log(min(max(ms, least), most)) for ms in latencies) / len(latencies)) if least else 1.0
    older = len(pair[0])
    return ((ms / level, number, n >= older) for n, ms in enumerate(latencies))


def _add(block: Block, score: float, of_canary: bool) -> None:
    block.total_sum += score
    block.squares += score * score
    block.cubes += score * score * score
    if of_canary:
        block.canary_sum += score


def _savage(rows: Sequence[Scored], top: float) -> Iterator[tuple[float, Sequence[Scored]]]:
    """Scores from the ``top`` share of the sorted rows upward; equal latencies share the score of their middle."""
    total = len(rows)
    start = total - int(total * top)
    if 0 < start < total and rows[start - 1][0] == rows[start][0]:  # all that time out do so after the same time
        start = bisect_left(rows, rows[start][0], key=_FIRST)
    first = total - start + 1
    while start < total:
        end = start + 1
        while end < total and rows[end][0] == rows[start][0]:
            end += 1
        yield log(first / (total - (start + end - 1) / 2)), rows[start:end]
        start = end
