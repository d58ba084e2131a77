"""The evidence store: every document once, by the hash of its content, bounded in bytes and without secrets.

Crash rules: blobs, the rows that refer to them and the findings are written in one transaction. Garbage is collected
later, and only what nobody refers to and nobody has written or referred to for an hour: a writer locks and touches the
blobs that it finds, so that a collector at the same moment either waits and then sees them young, or was first.
"""

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Sum

from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.models import Baseline, EvidenceBlob, EvidenceDocument, EvidenceRow
from sre_platform.kernel.clock import now
from sre_platform.kernel.redaction import redact, redact_text
from sre_platform.kernel.storable import ordered, storable, storable_text

# As much as go_goroutines reads: a dump of 20,000 goroutines has about 20 MB.
MAX_DOCUMENT_BYTES = 64 * 1024 * 1024
# Unpacked, over all looks of an incident. Dumps pack to a twentieth (measured on the recorded leaks).
MAX_INCIDENT_BYTES = 512 * 1024 * 1024
UNREFERENCED_FOR = timedelta(hours=1)  # before it counts as garbage: far longer than any transaction
PACKING_LEVEL = 1
NAME_LENGTH = 100  # of a document


@dataclass(frozen=True)
class Document:
    """A raw document as it is written: its name and kind in the evidence, its content and the content's hash."""

    name: str
    kind: str
    sha256: str
    size: int
    packed: bytes


@dataclass(frozen=True)
class Packed:
    """What was seen, and its documents ready to be written."""

    seen: Evidence
    documents: Sequence[Document]


def used_bytes(incident_id: int) -> int:
    """How many bytes of documents an incident holds, unpacked."""
    held = EvidenceDocument.objects.filter(evidence__incident=incident_id)
    return held.aggregate(bytes=Sum("size"))["bytes"] or 0


def bounded(evidence: Sequence[Evidence], used: int = 0) -> list[Evidence]:
    """What was seen as it is kept: without secrets, within the bounds, and as any database gives it back. Pure.

    It is bounded before it is judged, so that a stored look judged again gives the same answer. What was cut or left
    out is said in ``data["cut"]``, by the name of the document. ``used`` is what the incident holds already, in bytes.
    """
    budget = _Budget(MAX_INCIDENT_BYTES - used)
    return [_bounded(seen, budget) for seen in evidence]


class _Budget:
    """How many bytes are left, and what had to be cut for that."""

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, wanted: int) -> int:
        given = max(0, min(wanted, self.left, MAX_DOCUMENT_BYTES))
        self.left -= given
        return given

    def fits(self, wanted: int) -> bool:
        return wanted <= min(self.left, MAX_DOCUMENT_BYTES)


def _bounded(seen: Evidence, budget: _Budget) -> Evidence:
    cut: dict[str, str] = {}
    texts = {_short(name): _text(name, seen.texts[name], budget, cut) for name in sorted(seen.texts)}
    profiles: dict[str, bytes] = {}
    for name in sorted(seen.profiles):
        content = seen.profiles[name]
        if budget.fits(len(content)):
            profiles[_short(name)] = content[: budget.take(len(content))]
        else:
            cut[name] = f"{name} has {len(content)} bytes, which is more than may be kept: it was left out."
    data = dict(seen.data) | ({"cut": cut} if cut else {})
    return replace(
        seen,
        data=ordered(storable(redact(data))),
        texts=texts,
        profiles=profiles,
        missing=storable_text(redact_text(seen.missing)),
        asked=tuple(storable_text(redact_text(line)) for line in seen.asked),
    )


def _short(name: str) -> str:
    return storable_text(name)[:NAME_LENGTH]


def _text(name: str, text: str, budget: _Budget, cut: dict[str, str]) -> str:
    content = storable_text(redact_text(text)).encode()
    given = budget.take(len(content))
    if given == len(content):
        return content.decode()
    cut[name] = f"{name} has {len(content)} bytes; only the first {given} were kept."
    return content[:given].decode(errors="ignore")


def pack(evidence: Iterable[Evidence]) -> list[Packed]:
    """The documents of what was seen, packed. Takes time, so it is done before the transaction that writes them."""
    return [Packed(seen, tuple(_documents(seen))) for seen in evidence]


def _documents(seen: Evidence) -> Iterator[Document]:
    for name, text in seen.texts.items():
        yield document(name, EvidenceDocument.Kind.TEXT, text.encode())
    for name, content in seen.profiles.items():
        yield document(name, EvidenceDocument.Kind.PROFILE, content)


def document(name: str, kind: str, content: bytes) -> Document:
    """``content`` under its hash, packed."""
    digest = hashlib.sha256(content).hexdigest()
    return Document(name, kind, digest, len(content), zlib.compress(content, PACKING_LEVEL))


@transaction.atomic
def keep(incident_id: int, round_: int, packed: Sequence[Packed], captured: bool = False) -> None:
    """Write what was seen in a number of statements that does not grow with it; ``captured`` is seen by no rule."""
    unsaved = [EvidenceRow.of(incident_id, round_, item.seen) for item in packed]
    for row in unsaved:
        row.captured = captured
    rows = EvidenceRow.objects.bulk_create(unsaved)
    held = [(row, item) for row, each in zip(rows, packed, strict=True) for item in each.documents]
    write_blobs([item for _, item in held])
    EvidenceDocument.objects.bulk_create(
        EvidenceDocument(evidence=row, blob_id=item.sha256, name=item.name, kind=item.kind, size=item.size)
        for row, item in held
    )


@transaction.atomic
def write_blobs(documents: Iterable[Document]) -> None:
    """See that every document is stored, once. Locks them in the order of their hashes, so that no two deadlock."""
    wanted: Mapping[str, Document] = {item.sha256: item for item in documents}
    if not wanted:
        return
    moment = now()
    there = EvidenceBlob.objects.select_for_update().filter(pk__in=wanted).order_by("pk")
    known = set(there.values_list("pk", flat=True))
    EvidenceBlob.objects.filter(pk__in=known).update(created_at=moment)
    fresh = [wanted[digest] for digest in sorted(wanted.keys() - known)]
    EvidenceBlob.objects.bulk_create(
        [EvidenceBlob(sha256=d.sha256, size=d.size, packed=d.packed, created_at=moment) for d in fresh],
        update_conflicts=True,  # somebody else wrote the same just now
        unique_fields=["sha256"],
        update_fields=["created_at"],
    )


def garbage(without: Any = None) -> QuerySet[EvidenceBlob]:
    """Blobs that nothing refers to and that are no longer young; ``without`` are documents that are going anyway."""
    documents = EvidenceDocument.objects.filter(blob=OuterRef("pk"))
    if without is not None:
        documents = documents.exclude(Q(evidence__in=without))
    old = EvidenceBlob.objects.filter(created_at__lt=now() - UNREFERENCED_FOR)
    return old.filter(~Exists(documents), ~Exists(Baseline.objects.filter(blob=OuterRef("pk"))))


def delete_garbage(digests: Sequence[str]) -> int:
    """Delete these blobs if they are garbage; returns how many went.

    The statement that deletes asks again. ``QuerySet.delete`` would not: it reads the rows first and deletes by key.
    """
    rows = garbage().filter(pk__in=digests)
    return rows._raw_delete(rows.db)
