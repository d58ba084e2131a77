"""Bearer tokens: made once, shown once, kept as a hash, compared in constant time."""

import hashlib
import hmac
import secrets

from sre_platform.intake.models import IntakeToken


def _digest(token: str) -> str:
    # A random 256-bit token needs no slow hash: there is nothing to guess.
    return hashlib.sha256(token.encode()).hexdigest()


def issue(name: str, token: str | None = None) -> str:
    """Make (or replace) the token called ``name`` and return it; it cannot be read again."""
    token = token or secrets.token_urlsafe(32)
    IntakeToken.objects.update_or_create(name=name, defaults={"digest": _digest(token), "revoked": False})
    return token


def sender(authorization: str) -> str | None:
    """The name of the token in an ``Authorization: Bearer`` header, or None. Every stored hash is compared."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        return None
    given, found = _digest(token.strip()), None
    for row in IntakeToken.objects.filter(revoked=False):
        if hmac.compare_digest(row.digest, given):
            found = row.name
    return found
