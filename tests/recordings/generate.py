"""Writes shop.txt: ``python -m tests.recordings.generate > tests/recordings/shop.txt``. Deterministic.

One line per series: the series, a tab, and one cell per second in promtool's notation. A number was shown; ``stale``
means that the target no longer showed the series (or could not be scraped), the ``_`` after it that it still does not;
a column of nothing but ``_`` means that there was no round of scrapes at all.
"""

import random
from collections.abc import Callable

SECONDS = 64
NO_ROUND = {18, 19, 20, 41}
BOUNDS = (0.005, 0.01, 0.05, 0.1, 0.5)
ONE, TWO = ('instance="shop-1:80",job="shop"', 'instance="shop-2:80",job="shop"')


def cells(shown: Callable[[int], bool], value: Callable[[int], float]) -> str:
    row, before = [], False
    for at in range(SECONDS):
        if at in NO_ROUND:
            row.append("_")
            continue
        now = shown(at)
        row.append(f"{value(at):.10g}" if now else "stale" if before else "_")
        before = now
    return " ".join(row)


def counter(seed: int, mean: float, reset_at: int = -1, start: float = 0.0) -> Callable[[int], float]:
    dice, total, totals = random.Random(seed), start, []
    for at in range(SECONDS):
        total = 0.0 if at == reset_at else total
        total += max(0, round(dice.gauss(mean, mean / 2)))
        totals.append(total)
    return lambda at: totals[at]


def always(_at: int) -> bool:
    return True


def up_two(at: int) -> bool:
    """The second shop is down for a while and comes back from zero."""
    return not 45 <= at < 52


def main() -> None:
    rows = {f"up{{{ONE}}}": cells(always, lambda _at: 1), f"up{{{TWO}}}": cells(always, up_two)}
    for target, shown, reset in ((ONE, always, 25), (TWO, up_two, 52)):
        seed = len(rows)
        rows[f'http_requests_total{{code="200",{target}}}'] = cells(shown, counter(seed, 40, reset, 1000))
        rows[f'http_requests_total{{code="404",{target}}}'] = cells(shown, counter(seed + 1, 2, reset, 7))
        late = lambda at, shown=shown: shown(at) and at >= 30  # noqa: E731  the first failure comes at 30 s
        rows[f'http_requests_total{{code="503",{target}}}'] = cells(late, counter(seed + 2, 6, reset))
        per_bucket = [counter(seed + 10 + i, 3 + 2 * i, reset, 50) for i in range(len(BOUNDS) + 1)]
        for i, bound in enumerate([*map(str, BOUNDS), "+Inf"]):
            upto = lambda at, i=i, parts=per_bucket: sum(part(at) for part in parts[: i + 1])  # noqa: E731
            rows[f'request_seconds_bucket{{{target},le="{bound}"}}'] = cells(shown, upto)
    dice = random.Random(5)
    depth = [abs(dice.gauss(20, 15)) + (120 if 33 <= at < 40 else 0) for at in range(SECONDS)]
    rows[f'queue_depth{{{ONE},queue="mail"}}'] = cells(always, lambda at: depth[at])
    rows[f'queue_depth{{{ONE},queue="slow \\"one\\" {{{{x}}}} \\\\"}}'] = cells(
        lambda at: 10 <= at < 30, lambda at: at * 3.5
    )
    heap = [5e7 + 2.5e5 * at + dice.gauss(0, 1e5) for at in range(SECONDS)]
    rows[f"heap_bytes{{{ONE}}}"] = cells(always, lambda at: heap[at])
    rows[f"heap_bytes{{{TWO}}}"] = cells(up_two, lambda _at: 4e7)
    print("\n".join(f"{series}\t{row}" for series, row in rows.items()))  # noqa: T201


if __name__ == "__main__":
    main()
