"""The library of playbooks: store a new version, find those that are for an alert, look one up by its digest."""

import hashlib

import structlog
from django.db import transaction
from django.db.models import Max

from sre_platform.kernel.errors import Malformed, Unknown
from sre_platform.playbook.models import PlaybookVersion
from sre_platform.playbook.schema import Playbook, parse_playbook

log = structlog.get_logger()


def digest(text: str) -> str:
    """The content hash that an incident remembers its playbook by."""
    return hashlib.sha256(text.encode()).hexdigest()


@transaction.atomic
def store(text: str, source: str) -> tuple[PlaybookVersion, bool]:
    """Put ``text`` in force as the newest version; False when that very text is in force already.

    Raises Malformed and leaves the last good version in force when the text is not a playbook.
    """
    playbook = parse_playbook(text, source)
    current = PlaybookVersion.objects.filter(name=playbook.name, in_force=True)
    if same := current.filter(digest=digest(text)).first():
        return same, False
    newest = PlaybookVersion.objects.filter(name=playbook.name).aggregate(top=Max("version"))["top"] or 0
    current.update(in_force=False)
    row = PlaybookVersion(name=playbook.name, version=newest + 1, text=text, digest=digest(text), source=source)
    row.save(force_insert=True)
    return row, True


def in_force() -> dict[str, Playbook]:
    """The playbooks in force, by digest, in order of name.

    One that an older version of the platform stored and this one cannot read is left out and logged: an alert has to
    become an incident whatever the library holds.
    """
    rows = PlaybookVersion.objects.filter(in_force=True).order_by("name")
    return {row.digest: book for row in rows if (book := _value_or_none(row))}


def _value_or_none(row: PlaybookVersion) -> Playbook | None:
    try:
        return row.as_value()
    except Malformed as error:
        log.error("playbook_left_out", playbook=str(row), reason=str(error))
        return None


def frozen(digests: list[str]) -> dict[str, Playbook]:
    """The playbooks of these digests, in the order given, in force or not, in one query.

    Raises Unknown when one is not held any more, and Malformed.
    """
    rows = {row.digest: row for row in PlaybookVersion.objects.filter(digest__in=digests).order_by("version")}
    if lost := [key for key in digests if key not in rows]:
        raise Unknown(f"The library no longer holds the playbook {lost[0][:12]}: store its text again.")
    return {key: rows[key].as_value() for key in digests}
