"""Signed bodies: HMAC-SHA256 with a secret that is named in the database and kept elsewhere."""

import hashlib
import hmac
import os
import re
from pathlib import Path

from sre_platform.intake.domain import Sender
from sre_platform.kernel.errors import Malformed, Unavailable

DEFAULT_HEADER = "X-Hub-Signature-256"
_REF = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:/.+")
_MAX_BYTES = 4096


def signature_ok(secret: bytes, body: bytes, given: str) -> bool:
    """Whether ``given`` is the body's signature: 64 hexadecimal digits, with or without ``sha256=`` before them.

    Compared in constant time. Pure.
    """
    expected = hmac.new(secret, body, hashlib.sha256).hexdigest()
    plain = given.strip().removeprefix("sha256=").lower()
    return hmac.compare_digest(expected.encode(), plain.encode("utf-8", "replace"))


def check_ref(ref: str) -> None:
    """Raises Malformed when ``ref`` names no secret in a way that can be read."""
    if not _REF.fullmatch(ref):
        raise Malformed("A secret is named as env:NAME or file:/path; the secret itself is never stored.")


def read_secret(ref: str) -> bytes:
    """The secret behind ``env:NAME`` or ``file:/path`` (its last newline is left out). Raises Unavailable."""
    check_ref(ref)
    kind, _, name = ref.partition(":")
    secret = os.fsencode(os.environ.get(name, "")) if kind == "env" else _file(Path(name))
    if not secret:
        raise Unavailable(f"The secret {ref} is empty or cannot be read, so no signature can be checked.")
    return secret


def _file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES).rstrip(b"\r\n")
    except (OSError, ValueError):
        return b""


def signed(sender: Sender, body: bytes, given: str) -> bool:
    """Whether ``body`` carries the signature that ``sender`` has to give; yes when it need not sign.

    ``given`` is the value of the header ``sender.hmac_header``. Raises Unavailable when the secret cannot be read.
    """
    return not sender.hmac_secret_ref or signature_ok(read_secret(sender.hmac_secret_ref), body, given)
