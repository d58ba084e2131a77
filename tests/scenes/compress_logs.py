from contextlib import contextmanager

from sre_platform.clients.supervisor import Supervisor
from sre_platform.remediation.domain import World
from tests.fakes.logs import logging
from tests.scenes import Scene


class Watched:
    """What became of the files, in the order in which it is noticed: a log that is packed, a packed one that is a log.

    A run does them one after the other; what is noticed at one time is put oldest file first, as it was done.
    """

    def __init__(self, logs):
        self.logs, self.seen, self.written = logs, set(logs.names()), []
        self.sizes = {path.name: path.stat().st_size for path in logs.folder.iterdir()}

    def look(self):
        names = set(self.logs.names())
        for name in sorted(names - self.seen, reverse=True):
            log = name.removesuffix(".gz")
            verb = "gzip" if name != log else "gunzip"
            gone = log if verb == "gzip" else f"{log}.gz"
            assert gone not in names, f"{gone} is still there"
            self.written.append((verb, str(self.logs.folder / log), {"bytes": self.sizes[log]}))
        self.seen = names
        return list(self.written)


@contextmanager
def scene(folder, monkeypatch):
    with logging(folder) as logs:
        yield Scene(logs.target(), World(Supervisor(""), {}), {}, Watched(logs).look, logs.names)
