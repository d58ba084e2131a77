import os
from contextlib import contextmanager

from tests.fakes.shop import shop
from tests.scenes import Scene


@contextmanager
def scene(folder, monkeypatch):
    with shop(folder) as it:
        written = []

        def link():
            return os.lstat(it.link).st_ino, os.lstat(it.link).st_ctime_ns  # a number is soon given to the next file

        links = {link()}

        def linked():
            """A link that is another file than before was written, before whatever is written next."""
            if link() not in links:
                links.add(link())
                written.append(("link", it.link, it.release))

        def effect(verb, name):
            linked()
            written.append((verb, name, None))

        it.supervisor.watch = effect
        yield Scene(it.target(), it.world(), {}, lambda: (linked(), list(written))[1], lambda: it.release)
