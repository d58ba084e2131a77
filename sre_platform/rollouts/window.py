"""The requests of both versions in one stretch of time, cut into short blocks and scored. Pure."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from math import ceil, log

from sre_platform.rollouts.domain import Request
from sre_platform.rollouts.strata import Block

# Seconds of a block: short against the wandering of load and latency, long enough to hold requests of both versions.
BLOCK_S, SPARSE_BLOCK_S = 1.0, 5.0
SPARSE_RPS = 1.0  # of the rarer version; at less, blocks of a second hold too often none

Scored = tuple[float, int, bool]  # latency in ms, number of the block, is of the canary


class Window:
    """Both versions' requests of one stretch that begins at ``since``, each in the order of time and not empty."""

    def __init__(self, baseline: Sequence[Request], canary: Sequence[Request], since: float) -> None:
        self.baseline, self.canary = baseline, canary
        elapsed = max(canary[-1].time - since, BLOCK_S)
        self._since = since
        self._block_s = BLOCK_S if min(len(canary), len(baseline)) / elapsed >= SPARSE_RPS else SPARSE_BLOCK_S
        self._rows = sorted([*self._scored(baseline, False), *self._scored(canary, True)])

    def _scored(self, requests: Sequence[Request], of_canary: bool) -> Iterator[Scored]:
        since, block_s = self._since, self._block_s
        return ((request[2], int((request[0] - since) // block_s), of_canary) for request in requests)

    def errors(self) -> list[Block]:
        """The blocks with a score of one for each 5xx."""
        blocks = self._counted()
        for requests, of_canary in ((self.baseline, False), (self.canary, True)):
            for request in requests:
                if request.status >= 500:
                    _add(blocks[int((request.time - self._since) // self._block_s)], 1.0, of_canary)
        return _in_order(blocks)

    def tail(self, top: float, slowed: float = 1.0) -> list[Block]:
        """The blocks with Savage scores of the slowest ``top`` of all, the canary's latencies divided by ``slowed``.

        The score of a latency is the logarithm of how rarely it is exceeded: the best there is for tails that are
        stretched (Savage 1956), and no outlier has more than the logarithm of the number of requests.
        """
        rows = self._rows
        if slowed != 1.0:
            rows = sorted((ms / slowed if of_canary else ms, block, of_canary) for ms, block, of_canary in rows)
        blocks = self._counted()
        for score, tied in _savage(rows, top):
            for _, block, of_canary in tied:
                _add(blocks[block], score, of_canary)
        return _in_order(blocks)

    def p99(self) -> tuple[float, float]:
        """The nearest-rank P99 of baseline and canary, in ms."""
        return _p99([row[0] for row in self._rows if not row[2]]), _p99([row[0] for row in self._rows if row[2]])

    def _counted(self) -> dict[int, Block]:
        blocks: dict[int, Block] = {}
        for _, number, of_canary in self._rows:
            block = blocks.get(number)
            if block is None:
                block = blocks[number] = Block()
            if of_canary:
                block.canary += 1
            else:
                block.baseline += 1
        return blocks


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


def _p99(ordered: Sequence[float]) -> float:
    return ordered[ceil(0.99 * len(ordered)) - 1]
