"""Bearer tokens: made once, shown once, kept as a hash, compared in constant time.

A sender has a name and up to two valid tokens, so that it can be given a new one before the old one ends. The valid
ones are kept in the process for two seconds, because every webhook asks: what another process revokes ends within that.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from sre_platform.intake.domain import ANY_SOURCE, METRICS, Sender
from sre_platform.intake.models import IntakeToken
from sre_platform.intake.receive import SOURCES
from sre_platform.intake.signatures import check_ref
from sre_platform.intake.sources.generic import Generic, check_mapping
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Malformed, Unknown

CHANGES = "changes"
ROLLOUTS = "rollouts"  # apart from changes: who may report a deploy may not therefore begin one
MAX_VALID = 2
KEPT_S = 2.0
MISSED_S = 0.2  # after a token that is not known, rows older than this are read again: a new token works at once
TERMS = ("source", "scope", "expires_at", "mapping", "hmac_secret_ref", "hmac_header")


def _digest(token: str) -> str:
    # A random 256-bit token needs no slow hash: there is nothing to guess.
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def issue(name: str, token: str | None = None, **terms: Any) -> str:
    """Make the only valid token of ``name`` and return it; it cannot be read again.

    ``terms`` are fields of IntakeToken (see TERMS). Raises Malformed when one of them does not fit.
    """
    return _add(IntakeToken(name=name, **terms), token, keep=1)


def rotate(name: str, **terms: Any) -> str:
    """Make a further token of ``name``, on the terms of its newest one but for ``terms``; the one before stays valid.

    An expiry is not taken over. Raises Unknown when there is none, and Malformed.
    """
    newest = IntakeToken.objects.filter(name=name).order_by("-pk").first()
    if newest is None:
        raise Unknown(f"There is no token called {name!r}: make it without --rotate first.")
    before = {term: getattr(newest, term) for term in TERMS if term != "expires_at"}
    return _add(IntakeToken(name=name, **before | terms), None, keep=MAX_VALID)


def revoke(name: str) -> int:
    """End all tokens of ``name``; returns how many were valid until now. Raises Unknown when there never was one."""
    rows = IntakeToken.objects.filter(name=name)
    if not rows.exists():
        raise Unknown(f"There is no token called {name!r}.")
    ended = rows.filter(_valid(now())).count()
    rows.update(revoked=True)
    forget()
    return ended


def share_mapping(row: IntakeToken) -> None:
    """Give the mapping of ``row`` to all tokens of its sender: it belongs to the sender."""
    IntakeToken.objects.filter(name=row.name).update(mapping=row.mapping)
    forget()


def _add(row: IntakeToken, token: str | None, keep: int) -> str:
    """Store ``row``; ``keep`` of its sender's tokens are then valid. Locks before it counts: two may rotate at once."""
    check(row)
    token = token or secrets.token_urlsafe(32)
    row.digest = _digest(token)
    with transaction.atomic():
        same = IntakeToken.objects.filter(name=row.name)
        list(same.select_for_update())
        IntakeToken.objects.filter(digest=row.digest).delete()
        row.save()
        others = same.exclude(pk=row.pk)
        kept = others.filter(_valid(now())).order_by("-pk").values_list("pk", flat=True)[: keep - 1]
        others.exclude(pk__in=list(kept)).update(revoked=True)
        share_mapping(row)
    forget()
    return token


def check(row: IntakeToken) -> None:
    """Raises Malformed, with one sentence, when the terms of ``row`` do not fit each other."""
    try:
        row.full_clean(exclude=["digest"], validate_unique=False)
    except ValidationError as error:
        field, complaints = next(iter(error.message_dict.items()))
        raise Malformed(f"The token's {field}: {complaints[0]}") from error
    known = sorted({*SOURCES.names(), CHANGES, ROLLOUTS, ANY_SOURCE})
    if row.source not in known:
        raise Malformed(f"There is no source {row.source!r}; known are: {', '.join(known)}.")
    if row.hmac_secret_ref:
        check_ref(row.hmac_secret_ref)
    _check_mapping(row)


def _check_mapping(row: IntakeToken) -> None:
    reads_one = row.source in (Generic.name, ANY_SOURCE) and row.scope != METRICS
    if row.mapping and not reads_one:
        raise Malformed(f"Only the source {Generic.name} reads a mapping.")
    if row.mapping or row.source == Generic.name:
        check_mapping(row.mapping)


def _valid(at: datetime) -> Q:
    return Q(revoked=False) & (Q(expires_at=None) | Q(expires_at__gt=at))


class Senders:
    """Who holds which token, read from the database at most every KEPT_S seconds. Used by many threads."""

    def __init__(self, elapsed: Callable[[], float] = time.monotonic, clock: Callable[[], datetime] = now) -> None:
        self._elapsed, self._clock = elapsed, clock
        self._kept: tuple[float, Sequence[IntakeToken]] | None = None

    def forget(self) -> None:
        """Read the rows again at the next question."""
        self._kept = None

    def find(self, authorization: str) -> Sender | None:
        """Who sends with this ``Authorization: Bearer`` header, or None. Every stored hash is compared."""
        digest = _bearer_digest(authorization)
        return self._among(self._rows(KEPT_S), digest) or self._among(self._rows(MISSED_S), digest) if digest else None

    def kept(self, authorization: str) -> Sender | None:
        """As ``find``, from what was read lately: None says only that the database has to be asked. Never blocks."""
        digest, kept = _bearer_digest(authorization), self._kept
        fresh = kept is not None and self._elapsed() - kept[0] <= KEPT_S
        return self._among(kept[1], digest) if kept and fresh and digest else None

    def _rows(self, at_most_s: float) -> Sequence[IntakeToken]:
        began, kept = self._elapsed(), self._kept
        if kept is None or began - kept[0] > at_most_s:
            kept = self._kept = (began, list(IntakeToken.objects.filter(_valid(self._clock()))))
        return kept[1]

    def _among(self, rows: Sequence[IntakeToken], digest: str) -> Sender | None:
        found, at = None, self._clock()
        for row in rows:
            if hmac.compare_digest(row.digest, digest) and (row.expires_at is None or row.expires_at > at):
                found = row
        return None if found is None else _sender(found)


def _bearer_digest(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return _digest(token.strip()) if scheme.lower() == "bearer" and token.strip() else ""


def _sender(row: IntakeToken) -> Sender:
    return Sender(row.name, row.source, row.mapping, row.hmac_secret_ref, row.hmac_header, row.scope)


_SENDERS = Senders()
sender = _SENDERS.find
kept_sender = _SENDERS.kept
forget = _SENDERS.forget
