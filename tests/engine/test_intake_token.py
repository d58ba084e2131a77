"""The command that makes tokens, as a person or a script calls it."""

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from sre_platform.intake import tokens
from sre_platform.intake.models import IntakeToken
from sre_platform.kernel.clock import now

pytestmark = pytest.mark.django_db
MAPPING = {"starts_at": "received", "constants": {"alertname": "A"}}


@pytest.fixture
def said(capsys):
    def run(*words) -> str:
        call_command("intake_token", *words)
        return capsys.readouterr().out.strip()

    return run


def who(token):
    found = tokens.sender(f"Bearer {token}")
    return found and found.name


def test_a_name_alone_makes_one_for_every_source_and_replaces_the_one_before(said):
    first, second = said("ann"), said("ann")
    assert (who(first), who(second)) == (None, "ann")
    assert IntakeToken.objects.latest("pk").source == "*"


def test_rotating_keeps_the_one_before(said):
    first = said("ann", "--source", "grafana")
    second = said("ann", "--rotate")
    assert (who(first), who(second)) == ("ann", "ann")
    assert tokens.sender(f"Bearer {second}").source == "grafana"


def test_revoking_ends_all(said):
    first, second = said("ann"), said("ann", "--rotate")
    assert said("ann", "--revoke") == "2 of ann revoked."
    assert (who(first), who(second)) == (None, None)
    assert json.loads(said("ann", "--revoke", "--json")) == {"name": "ann", "revoked": 0}


def test_every_term_can_be_given(said, tmp_path):
    file = tmp_path / "mapping.json"
    file.write_text(json.dumps(MAPPING))
    words = ["--source", "generic", "--mapping", str(file), "--hmac", "env:SECRET", "--hmac-header", "X-S"]
    shown = json.loads(said("zabbix", *words, "--expires-in", "30d", "--json"))
    found = tokens.sender(f"Bearer {shown['token']}")
    assert (found.source, found.mapping, found.hmac_secret_ref, found.hmac_header) == (
        "generic",
        MAPPING,
        "env:SECRET",
        "X-S",
    )
    expires_at = IntakeToken.objects.get().expires_at
    assert abs(expires_at - now() - timedelta(days=30)) < timedelta(minutes=1)
    assert (shown["name"], shown["state"], shown["mapped"]) == ("zabbix", "valid", True)


def test_a_scope_can_be_given(said):
    assert tokens.sender(f"Bearer {said('prometheus', '--scope', 'metrics')}").may_read_metrics


def test_the_list_shows_everything_but_secrets(said):
    token = said("ann", "--source", "grafana")
    said("ann", "--rotate", "--expires-in", "90m")
    said("bob")
    tokens.revoke("bob")
    text = said("--list")
    assert [line.split()[:3] for line in text.splitlines()] == [
        ["ann", "valid", "grafana"],
        ["ann", "valid", "grafana"],
        ["bob", "revoked", "*"],
    ]
    shown = said("ann", "--list", "--json")
    assert len(json.loads(shown)["tokens"]) == 2
    digests = IntakeToken.objects.values_list("digest", flat=True)
    assert not any(secret in text + shown for secret in (token, *digests))


def test_one_that_expired_is_listed_as_such(said):
    tokens.issue("ann", expires_at=now() - timedelta(seconds=1))
    assert json.loads(said("--list", "--json"))["tokens"][0]["state"] == "expired"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "Give the name of the sender, or --list."),
        (["ann", "--rotate"], "There is no token called 'ann'"),
        (["ann", "--revoke"], "There is no token called 'ann'"),
        (["ann", "--source", "nagios"], "There is no source 'nagios'; known are: "),
        (["ann", "--hmac", "hunter2"], "the secret itself is never stored"),
        (["ann", "--expires-in", "soon"], "--expires-in takes a number and m, h, d or w"),
        (["ann", "--expires-in", "999999w"], "--expires-in takes a number and m, h, d or w"),
        (["ann", "--mapping", "/no/such/file"], "No such file"),
        (["ann", "--source", "generic"], "The source generic needs a mapping"),
        (["ann", "--rotate", "--revoke"], "not allowed with argument"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_made(said, words, complaint):
    with pytest.raises(CommandError, match=complaint):
        said(*words)
    assert not IntakeToken.objects.exists()
