"""What rules ask of Prometheus' window is what a playbook that names them asks Prometheus for, and nothing else is."""

from collections import UserDict
from dataclasses import replace

import pytest
from django.conf import settings

from sre_platform.diagnosis.investigate import RULES
from sre_platform.playbook.schema import Playbook, parse_playbook
from tests.diagnosis.recorded import recorded, window

BOOKS = [
    parse_playbook(path.read_text(), path.name) for path in sorted((settings.BASE_DIR / "playbooks").rglob("*.yaml"))
]
READ_WINDOWS = {
    "redis_pool_exhausted": "redis", "db_pool_exhausted": "db", "dns_slow": "dns", "tls_handshake": "tls",
    "retry_storm": "retries",
}  # fmt: skip


class Watched(UserDict):
    """Remembers what it was asked for."""

    def __init__(self, data):
        super().__init__(data)
        self.asked = set()

    def get(self, key, default=None):
        self.asked.add(key)
        return super().get(key, default)


def asked_by(rule: str) -> set[str]:
    if rule == "off_heap_memory":
        names = ("resident_bytes", "go_runtime_bytes", "heap_inuse_bytes")
        seen = window({name: [1.0] * 10 + [1e9 if name == "resident_bytes" else 1.0] * 10 for name in names})
    else:
        seen = recorded(f"{READ_WINDOWS[rule]}/sick", "prometheus_window")
    one = seen["prometheus_window"]
    queries = Watched(one.data["queries"])
    assert RULES.get(rule).judge("orders", {"prometheus_window": replace(one, data={**one.data, "queries": queries})})
    return queries.asked


def asked_for(book: Playbook) -> dict[str, str]:
    return {
        k: v for call in book.collect if call.name == "prometheus_window" for k, v in call.params["queries"].items()
    }


@pytest.mark.parametrize("book", [book for book in BOOKS if asked_for(book)], ids=lambda book: book.name)
def test_a_playbook_asks_for_what_its_rules_read(book):
    read = [rule for rule in book.diagnose.rules if rule in READ_WINDOWS or rule == "off_heap_memory"]
    assert set.union(*map(asked_by, read)) == set(asked_for(book))


def test_every_rule_that_reads_a_window_is_in_a_playbook():
    rules = {rule for book in BOOKS if asked_for(book) for rule in book.diagnose.rules}
    assert {*READ_WINDOWS, "off_heap_memory"} <= rules


@pytest.mark.parametrize("cause", sorted(READ_WINDOWS.values()))
def test_the_recordings_are_answers_to_the_playbooks_queries(cause):
    data = recorded(f"{cause}/sick")["prometheus_window"].data
    about = [book for book in BOOKS if "dependency" in book.ticket.labels]
    asked = {name: text for book in about for name, text in asked_for(book).items()}
    queries = {name: text.replace("{service}", f"{cause}-sick") for name, text in asked.items()}
    assert {name: answer["query"] for name, answer in data["queries"].items()} == queries


@pytest.mark.parametrize("alert", sorted({alert for book in BOOKS for alert in book.match.alerts}))
def test_joined_parameters_of_one_collector_do_not_contradict_each_other(alert):
    """Playbooks for one alert look once: what is no mapping is taken from the last of them."""
    given: dict[tuple[str, str], set[str]] = {}
    for call in (call for book in BOOKS if book.wants(alert, "orders") for call in book.collect):
        for key, value in call.params.items():
            given.setdefault((call.name, key), set()).add(repr(value) if not isinstance(value, dict) else "")
    assert {key: values for key, values in given.items() if len(values) > 1} == {}
