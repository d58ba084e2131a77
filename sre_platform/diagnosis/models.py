"""What a diagnosis saw and made of it, whose turn it is to look hard at a service, and profiles of good days."""

import zlib
from collections.abc import Iterable, Mapping

from django.db import models

from sre_platform.diagnosis import domain
from sre_platform.incidents.models import Incident
from sre_platform.kernel.errors import Unknown
from sre_platform.kernel.storable import ordered


class EvidenceBlob(models.Model):
    """A document, once, however many rows refer to it. ``packed`` is zlib's, ``size`` counts the bytes before that."""

    sha256 = models.CharField(max_length=64, primary_key=True, help_text="Of the bytes before packing.")
    size = models.PositiveBigIntegerField()
    packed = models.BinaryField()
    created_at = models.DateTimeField(help_text="When it was written, or referred to again, last.")

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="blob_by_age")]

    @property
    def content(self) -> bytes:
        """The document's bytes."""
        return zlib.decompress(self.packed)


class EvidenceRow(models.Model):
    """What one collector saw of one service, or one replica of it, for one incident. Documents stand in blobs."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="evidence")
    round = models.PositiveBigIntegerField(help_text="The fence of the diagnosis that collected it.")
    collector = models.CharField(max_length=60)
    service = models.CharField(max_length=200)
    replica = models.CharField(max_length=100, blank=True, default="")
    collected_at = models.DateTimeField()
    data = models.JSONField(default=dict)
    missing = models.TextField(blank=True)
    asked = models.JSONField(default=list, help_text="What was asked for, a line each, without credentials.")
    captured = models.BooleanField(default=False, help_text="Kept before a repair; no diagnosis was made from it.")

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["incident", "round", "collector", "service", "replica"], name="evidence_once_per_replica"
            )
        ]

    @property
    def texts(self) -> Mapping[str, str]:
        """The raw documents that people read, by name."""
        return {item.name: item.blob.content.decode() for item in self._kept("text")}

    @property
    def profiles(self) -> Mapping[str, bytes]:
        """The raw documents that are bytes, by name."""
        return {item.name: item.blob.content for item in self._kept("profile")}

    def document(self, name: str) -> bytes:
        """One raw document. Raises Unknown, with the known names, when there is none of that name."""
        kept = {item.name: item for kind in ("profile", "text") for item in self._kept(kind)}
        if name not in kept:
            raise Unknown(f"There is no document {name!r}; known are: {', '.join(sorted(kept)) or 'none'}.")
        return kept[name].blob.content

    def as_evidence(self) -> domain.Evidence:
        """What was seen, as the rules were given it."""
        return domain.Evidence(
            self.collector,
            self.service,
            self.collected_at,
            ordered(self.data),
            self.texts,
            self.missing,
            self.profiles,
            tuple(self.asked),
            self.replica,
        )

    def _kept(self, kind: str) -> Iterable["EvidenceDocument"]:
        read_already = "documents" in getattr(self, "_prefetched_objects_cache", {})
        rows = self.documents.all() if read_already else self.documents.select_related("blob")
        return sorted((item for item in rows if item.kind == kind), key=lambda item: item.name)

    @classmethod
    def of(cls, incident_id: int, round_: int, seen: domain.Evidence) -> "EvidenceRow":
        """An unsaved row that holds ``seen`` without its documents: ``store.keep`` writes both."""
        return cls(
            incident_id=incident_id,
            round=round_,
            collector=seen.collector,
            service=seen.service,
            replica=seen.replica,
            collected_at=seen.collected_at,
            data=seen.data,
            missing=seen.missing,
            asked=list(seen.asked),
        )


class EvidenceDocument(models.Model):
    """That a row of evidence holds a document under a name. What was asked for and when stands with that row."""

    class Kind(models.TextChoices):
        TEXT = "text"
        PROFILE = "profile"

    evidence = models.ForeignKey(EvidenceRow, on_delete=models.CASCADE, related_name="documents")
    blob = models.ForeignKey(EvidenceBlob, on_delete=models.PROTECT, related_name="documents")
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    size = models.PositiveBigIntegerField()

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["evidence", "kind", "name"], name="document_once")]

    def __str__(self) -> str:
        return self.name


class LookTurn(models.Model):
    """Whose turn it is to look hard at a service: a lease. ``fence`` grows with every owner; the highest is valid."""

    service = models.CharField(max_length=200, primary_key=True)
    held_by = models.CharField(max_length=200, blank=True)
    held_until = models.DateTimeField(null=True)
    fence = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return self.service


class Baseline(models.Model):
    """A profile of a release on a good day, to compare a bad one with."""

    service = models.CharField(max_length=200)
    release = models.CharField(max_length=200)
    kind = models.CharField(max_length=20, help_text="cpu or heap.")
    blob = models.ForeignKey(EvidenceBlob, on_delete=models.PROTECT, related_name="baselines")
    taken_at = models.DateTimeField()

    class Meta:
        ordering = ["-taken_at"]
        constraints = [models.UniqueConstraint(fields=["service", "release", "kind"], name="baseline_once")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.service} {self.release}"


class FindingRow(models.Model):
    """One ranked hypothesis of an incident. ``playbook`` is the digest of the playbook that answers it."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="findings")
    round = models.PositiveBigIntegerField()
    rank = models.PositiveSmallIntegerField(help_text="1 is the likeliest.")
    rule = models.CharField(max_length=60)
    playbook = models.CharField(max_length=64)
    service = models.CharField(max_length=200)
    cause = models.CharField(max_length=100)
    confidence = models.FloatField()
    content = models.JSONField(help_text="The whole finding.")

    class Meta:
        ordering = ["-round", "rank"]
        constraints = [models.UniqueConstraint(fields=["incident", "round", "rank"], name="finding_rank_once")]

    @property
    def where(self) -> str:
        """``file:line`` of the cause, or the empty string when it has no place in code."""
        site = self.content.get("site")
        return f"{site['file']}:{site['line']}" if site else ""
