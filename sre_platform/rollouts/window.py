"""The requests of both versions in one stretch of time, cut into short blocks and scored. Pure."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from math import ceil, exp, log

from sre_platform.rollouts.domain import Request
from sre_platform.rollouts.strata import Block

# Seconds of a block: short against the wandering of load and latency, long enough to hold requests of both versions.
BLOCK_S, SPARSE_BLOCK_S = 1.0, 5.0
SPARSE_RPS = 1.0  # of the rarer version; at less, blocks of a second hold too often none
# A block's level counts no latency beyond this factor of the median, so that one timeout does not set it.
LEVEL_SPAN = 100.0

Scored = tuple[float, int, bool]  # latency over the level of its block, number of the block, is of the canary


class Window:
    """Both versions' requests of one stretch that begins at ``since``, each in the order of time and not empty."""

    def __init__(self, baseline: Sequence[Request], canary: Sequence[Request], since: float) -> None:
        self.baseline, self.canary = baseline, canary
        elapsed = max(canary[-1].time - since, BLOCK_S)
        self._since = since
        self._block_s = BLOCK_S if min(len(canary), len(baseline)) / elapsed >= SPARSE_RPS else SPARSE_BLOCK_S
        self._sorted = tuple(sorted(request[2] for request in requests) for requests in (baseline, canary))
        placed = [*self._placed(baseline, False), *self._placed(canary, True)]
        self._counts = _counts(placed)
        self._rows = _aligned(placed, self._sorted[0][len(baseline) // 2])

    def _placed(self, requests: Sequence[Request], of_canary: bool) -> Iterator[Scored]:
        since, block_s = self._since, self._block_s
        return ((request[2], int((request[0] - since) // block_s), of_canary) for request in requests)

    def errors(self) -> list[Block]:
        """The blocks with a score of one for each 5xx."""
        blocks = self._blocks()
        for requests, of_canary in ((self.baseline, False), (self.canary, True)):
            for request in requests:
                if request.status >= 500:
                    _add(blocks[int((request.time - self._since) // self._block_s)], 1.0, of_canary)
        return _in_order(blocks)

    def tail(self, top: float, slowed: float = 1.0) -> list[Block]:
        """The blocks with Savage scores of the slowest ``top`` of all, the canary's latencies divided by ``slowed``.

        The score of a latency is the logarithm of how rarely it is exceeded: the best there is for tails that are
        stretched (Savage 1956), and no outlier has more than the logarithm of the number of requests. Latencies are
        ranked as multiples of their block's level (aligned ranks, Hodges and Lehmann 1962), else the slowest would be
        those of the few worst seconds, whatever their version.
        """
        rows = self._rows
        if slowed != 1.0:
            rows = sorted((ms / slowed if of_canary else ms, block, of_canary) for ms, block, of_canary in rows)
        blocks = self._blocks()
        for score, tied in _savage(rows, top):
            for _, block, of_canary in tied:
                _add(blocks[block], score, of_canary)
        return _in_order(blocks)

    def p99(self) -> tuple[float, float]:
        """The nearest-rank P99 of baseline and canary, in ms."""
        older, newer = (ordered[ceil(0.99 * len(ordered)) - 1] for ordered in self._sorted)
        return older, newer

    def _blocks(self) -> dict[int, Block]:
        return {number: Block(canary, baseline) for number, (baseline, canary) in self._counts.items()}


def _counts(placed: Sequence[Scored]) -> dict[int, list[int]]:
    """Requests of baseline and canary by block."""
    counts: dict[int, list[int]] = {}
    for _, number, of_canary in placed:
        counts.setdefault(number, [0, 0])[of_canary] += 1
    return counts


def _aligned(placed: Sequence[Scored], median: float) -> list[Scored]:
    """In order, over the geometric mean of their block: that is of both versions, so a healthy canary gains nothing."""
    least, most = median / LEVEL_SPAN, median * LEVEL_SPAN
    if not least:
        return sorted(placed)
    sums: dict[int, float] = {}
    counts: dict[int, int] = {}
    for ms, number, _ in placed:
        sums[number] = sums.get(number, 0.0) + log(min(max(ms, least), most))
        counts[number] = counts.get(number, 0) + 1
    levels = {number: exp(total / counts[number]) for number, total in sums.items()}
    return sorted((ms / levels[number], number, of_canary) for ms, number, of_canary in placed)


def _add(block: Block, score: float, of_canary: bool) -> None:
    block.total_sum += score
    block.squares += score * score
    block.cubes += score * score * score
    if of_canary:
        block.canary_sum += score


def _in_order(blocks: dict[int, Block]) -> list[Block]:
    return [blocks[number] for number in sorted(blocks)]


def _savage(rows: Sequence[Scored], top: float) -> Iterator[tuple[float, Sequence[Scored]]]:
    """Scores from the ``top`` share of the sorted rows upward; equal latencies share the score of their middle."""
    total = len(rows)
    start = total - int(total * top)
    if 0 < start < total and rows[start - 1][0] == rows[start][0]:  # all that time out do so after the same time
        start = bisect_left(rows, rows[start][0], key=lambda row: row[0])
    first = total - start + 1
    while start < total:
        end = start + 1
        while end < total and rows[end][0] == rows[start][0]:
            end += 1
        yield log(first / (total - (start + end - 1) / 2)), rows[start:end]
        start = end
