import json
from contextlib import contextmanager

from tests.fakes.argocd import TOKEN, serving_argocd
from tests.remediation.kube import WORLD
from tests.scenes import Scene


@contextmanager
def scene(folder, monkeypatch):
    """An application that runs c2, and ran c1 before; every operation ends at once."""
    monkeypatch.setenv("ARGOCD_TOKEN", TOKEN)
    with serving_argocd() as it:
        it.at_once = True
        yield Scene(
            it.target(),
            WORLD,
            {},
            lambda: [(method, it.url + path, json.loads(body)) for method, path, body in it.writes],
            lambda: it.history[-1]["revision"],
        )
