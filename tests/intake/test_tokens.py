from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sre_platform.intake import tokens
from sre_platform.intake.domain import Sender
from sre_platform.intake.models import IntakeToken
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Malformed, Unknown

pytestmark = pytest.mark.django_db
MAPPING = {"starts_at": "received", "constants": {"alertname": "A"}}


def who(token: str) -> str | None:
    found = tokens.sender(f"Bearer {token}")
    return found and found.name


class Hands:
    """Two clocks that the test moves."""

    def __init__(self):
        self.elapsed, self.began = 1000.0, now()
        self.senders = tokens.Senders(lambda: self.elapsed, lambda: self.began + timedelta(seconds=self.elapsed - 1000))

    def who(self, token: str) -> str | None:
        found = self.senders.find(f"Bearer {token}")
        return found and found.name


@pytest.fixture
def hands():
    return Hands()


def test_a_token_is_known_by_its_hash_only():
    token = tokens.issue("ann")
    assert len(token) >= 40
    assert token not in str(list(IntakeToken.objects.values()))
    assert who(token) == "ann"
    assert tokens.sender(f"bearer  {token} ").name == "ann"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic {}", "{}", "Bearer {}x", "Bearer x{}", "Bearer ü"])
def test_anything_else_is_nobody(header):
    assert tokens.sender(header.format(tokens.issue("ann"))) is None


def test_a_replaced_token_and_a_revoked_one_stop_working_and_others_go_on():
    first, other = tokens.issue("ann"), tokens.issue("bob")
    assert who(first) == "ann"
    second = tokens.issue("ann")
    assert (who(first), who(second)) == (None, "ann")
    assert tokens.revoke("ann") == 1
    assert (who(second), who(other)) == (None, "bob")
    assert who(tokens.issue("ann")) == "ann", "a new one may be issued"


def test_a_given_token_is_used_and_may_be_given_again():
    assert tokens.issue("lab", "0123456789abcdef") == "0123456789abcdef"
    assert tokens.issue("lab", "0123456789abcdef") == "0123456789abcdef"
    assert who("0123456789abcdef") == "lab"
    assert IntakeToken.objects.count() == 1


def test_two_are_valid_while_a_sender_changes_over_and_a_third_ends_the_oldest():
    first = tokens.issue("ann")
    second = tokens.rotate("ann")
    assert (who(first), who(second)) == ("ann", "ann")
    third = tokens.rotate("ann")
    assert (who(first), who(second), who(third)) == (None, "ann", "ann")
    assert tokens.revoke("ann") == 2
    assert {who(token) for token in (first, second, third)} == {None}


def test_one_that_expired_does_not_count_among_the_two():
    first = tokens.issue("ann")
    tokens.issue("bob")
    tokens.rotate("ann", expires_at=now() - timedelta(seconds=1))
    assert who(tokens.rotate("ann")) == who(first) == "ann"


def test_what_never_was_is_neither_rotated_nor_revoked():
    for change in (tokens.rotate, tokens.revoke):
        with pytest.raises(Unknown, match="There is no token called 'ann'"):
            change("ann")


def test_the_terms_come_with_the_sender():
    token = tokens.issue(
        "zabbix", source="generic", mapping=MAPPING, hmac_secret_ref="env:SECRET", hmac_header="X-Signature"
    )
    assert tokens.sender(f"Bearer {token}") == Sender(
        "zabbix", "generic", MAPPING, "env:SECRET", "X-Signature", "intake"
    )


def test_a_rotated_token_has_the_terms_of_the_one_before_but_not_its_end():
    tokens.issue("ann", source="grafana", hmac_secret_ref="env:SECRET", expires_at=now() + timedelta(days=1))
    token = tokens.rotate("ann", hmac_header="X-Grafana-Alerting-Signature")
    found = tokens.sender(f"Bearer {token}")
    assert (found.source, found.hmac_secret_ref) == ("grafana", "env:SECRET")
    assert found.hmac_header == "X-Grafana-Alerting-Signature"
    assert IntakeToken.objects.latest("pk").expires_at is None


def test_a_mapping_belongs_to_the_sender_and_so_to_both_its_tokens():
    first = tokens.issue("ann", source="generic", mapping=MAPPING)
    second = tokens.rotate("ann", mapping=MAPPING | {"alerts": "events"})
    assert [tokens.sender(f"Bearer {token}").mapping.get("alerts") for token in (first, second)] == ["events"] * 2


@pytest.mark.parametrize(
    ("terms", "open_doors"),
    [
        ({}, {"grafana", "changes"}),
        ({"source": "grafana"}, {"grafana"}),
        ({"source": "changes"}, {"changes"}),
        ({"scope": "metrics"}, {"metrics"}),
    ],
)
def test_what_a_token_is_for(terms, open_doors):
    found = tokens.sender(f"Bearer {tokens.issue('ann', **terms)}")
    may = {source for source in ("grafana", "changes") if found.may_send(source)}
    assert may | ({"metrics"} if found.may_read_metrics else set()) == open_doors


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"name": "ann smith"}, "The token's name: "),
        ({"name": "a" * 101}, "The token's name: "),
        ({"source": "nagios"}, "There is no source 'nagios'; known are: *, alertmanager, changes, cloudevents, "),
        ({"scope": "all"}, "The token's scope: "),
        ({"hmac_secret_ref": "hunter2"}, "A secret is named as env:NAME or file:/path"),
        ({"hmac_header": ""}, "The token's hmac_header: "),
        ({"source": "generic"}, "The source generic needs a mapping"),
        ({"source": "generic", "mapping": {"starts_at": "a"}}, "In the sender's mapping, alertname is needed"),
        ({"source": "grafana", "mapping": MAPPING}, "Only the source generic reads a mapping."),
        ({"scope": "metrics", "mapping": MAPPING}, "Only the source generic reads a mapping."),
    ],
)
def test_terms_that_do_not_fit_are_refused_and_nothing_changes(terms, said):
    token = tokens.issue("ann")
    with pytest.raises(Malformed) as caught:
        tokens.issue(**{"name": "ann"} | terms)
    assert str(caught.value).startswith(said)
    assert who(token) == "ann"


def test_a_token_ends_at_its_time_even_while_it_is_kept(hands):
    token = tokens.issue("ann", expires_at=hands.began + timedelta(seconds=1.5))
    assert hands.who(token) == "ann"
    hands.elapsed += 1.6
    assert hands.who(token) is None


def test_the_rows_are_read_once_in_two_seconds(hands):
    token = tokens.issue("ann")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        for _ in range(20):
            assert hands.who(token) == "ann"
            hands.elapsed += 0.1
    assert len(queries) == 1


def test_what_another_process_revokes_ends_within_two_seconds(hands):
    token = tokens.issue("ann")
    assert hands.who(token) == "ann"
    IntakeToken.objects.update(revoked=True)
    hands.elapsed += 1.9
    assert hands.who(token) == "ann"
    hands.elapsed += 0.2
    assert hands.who(token) is None


def test_what_another_process_makes_works_at_once(hands):
    assert hands.who(tokens.issue("ann")) == "ann"
    hands.elapsed += 0.3
    assert hands.who(tokens.issue("bob")) == "bob"


def test_guessing_does_not_ask_the_database_more_than_five_times_a_second(hands):
    with CaptureQueriesContext(connection) as queries:
        for _ in range(1000):
            assert hands.who("guess") is None
            hands.elapsed += 0.001
    assert len(queries) <= 5
