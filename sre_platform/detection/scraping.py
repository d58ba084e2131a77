"""Fetch the ``/metrics`` pages of several targets at once, in bounded time."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from urllib.parse import urlsplit

from sre_platform.clients import exposition, http
from sre_platform.detection.window import Scrape
from sre_platform.kernel.errors import Malformed, SreError

_GRACE_S = 0.05
_MAX_THREADS = 32


@dataclass(frozen=True)
class Target:
    """An exporter: the job it belongs to and the URL of its metrics page. Raises Malformed when it is no URL."""

    job: str
    url: str

    def __post_init__(self) -> None:
        http.check_url(self.url)

    @property
    def instance(self) -> str:
        """``host:port``, as Prometheus labels it."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


class Scraper:
    """Scrapes ``targets`` in parallel. Raises Malformed when two of them would carry the same job and instance."""

    def __init__(self, targets: Sequence[Target], timeout_s: float = 0.9) -> None:
        identities = {(target.job, target.instance) for target in targets}
        if len(identities) < len(targets):
            raise Malformed("Two targets have the same job, host and port: their series could not be told apart.")
        self.targets = tuple(targets)
        self.timeout_s = timeout_s
        self._pool = ThreadPoolExecutor(max(1, min(_MAX_THREADS, len(targets))), thread_name_prefix="scrape")
        self._running: dict[Target, Future[Scrape]] = {}

    def scrape(self) -> list[Scrape]:
        """One scrape of every target, in their order; what takes longer than ``timeout_s`` has failed. Never raises."""
        for target in self.targets:
            # A target whose last scrape hangs (in its name server, say) gets no second thread to hang in.
            if target not in self._running:
                self._running[target] = self._pool.submit(_scrape, target, self.timeout_s)
        wait(self._running.values(), timeout=self.timeout_s + _GRACE_S)
        done = {target: future.result() for target, future in self._running.items() if future.done()}
        for target in done:
            del self._running[target]
        return [done.get(target) or _late(target, self.timeout_s) for target in self.targets]

    def close(self) -> None:
        """Take no more work; a scrape that hangs is left behind."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _scrape(target: Target, timeout_s: float) -> Scrape:
    try:
        samples = tuple(exposition.fetch(target.url, timeout_s))
    except SreError as error:
        return Scrape(target.job, target.instance, None, str(error))
    return Scrape(target.job, target.instance, samples)


def _late(target: Target, timeout_s: float) -> Scrape:
    return Scrape(target.job, target.instance, None, f"{target.url} did not answer within {timeout_s:g} s.")
