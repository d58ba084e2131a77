import hmac

import pytest

from sre_platform.intake.domain import Sender
from sre_platform.intake.signatures import read_secret, signature_ok, signed
from sre_platform.kernel.errors import Malformed, Unavailable

SECRET, BODY = b"It's a secret", b'{"alerts": []}'
GOOD = hmac.new(SECRET, BODY, "sha256").hexdigest()


def test_a_signature_known_from_elsewhere():
    """RFC 4231, test case 2."""
    digest = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert signature_ok(b"Jefe", b"what do ya want for nothing?", digest)


@pytest.mark.parametrize("given", [GOOD, f"sha256={GOOD}", f" sha256={GOOD} ", GOOD.upper()])
def test_both_ways_of_writing_it_are_taken(given):
    assert signature_ok(SECRET, BODY, given)


@pytest.mark.parametrize("given", ["", "sha256=", GOOD[:-1], GOOD + "0", f"sha1={GOOD}", "é", "\udcff", "0" * 64])
def test_all_else_is_wrong(given):
    assert not signature_ok(SECRET, BODY, given)


def test_another_body_or_secret_is_wrong():
    assert not signature_ok(SECRET, BODY + b" ", GOOD)
    assert not signature_ok(SECRET + b"x", BODY, GOOD)


def test_secrets_are_read_where_they_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("A_SECRET", "from the environment")
    file = tmp_path / "secret"
    file.write_bytes(b"from a file\r\n")
    assert read_secret("env:A_SECRET") == b"from the environment"
    assert read_secret(f"file:{file}") == b"from a file"


@pytest.mark.parametrize("ref", ["env:NO_SUCH_SECRET", "file:/no/such/file", "file:/tmp", "file:/a\0b"])
def test_a_secret_that_is_away_is_never_an_empty_one(ref):
    with pytest.raises(Unavailable, match="is empty or cannot be read"):
        read_secret(ref)


@pytest.mark.parametrize("ref", ["", "hunter2", "env:", "env:A B", "file:relative", "http://x"])
def test_a_secret_that_is_not_named_is_refused(ref):
    with pytest.raises(Malformed, match="named as env:NAME or file:/path"):
        read_secret(ref)


def test_only_a_sender_with_a_secret_has_to_sign(monkeypatch):
    monkeypatch.setenv("A_SECRET", SECRET.decode())
    plain = Sender("ann", "*", {}, "", "X-Hub-Signature-256", "intake")
    signer = Sender("ann", "*", {}, "env:A_SECRET", "X-Hub-Signature-256", "intake")
    assert signed(plain, BODY, "")
    assert signed(signer, BODY, GOOD)
    assert not signed(signer, BODY, "")
