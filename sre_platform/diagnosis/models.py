"""What a diagnosis saw and what it made of it."""

import base64
import json
import zlib
from collections.abc import Mapping

from django.db import models

from sre_platform.diagnosis import domain
from sre_platform.incidents.models import Incident
from sre_platform.kernel.errors import Unknown
from sre_platform.kernel.redaction import redact, redact_text
from sre_platform.kernel.storable import storable, storable_text

PROFILES = "\0profiles"  # among the packed texts: the name of no text


class EvidenceRow(models.Model):
    """What one collector saw of one service for one incident. Raw texts are kept compressed and redacted."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="evidence")
    round = models.PositiveBigIntegerField(help_text="The fence of the diagnosis that collected it.")
    collector = models.CharField(max_length=60)
    service = models.CharField(max_length=200)
    collected_at = models.DateTimeField()
    data = models.JSONField(default=dict)
    missing = models.TextField(blank=True)
    packed_texts = models.BinaryField(default=b"")

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["incident", "round", "collector", "service"], name="evidence_once")
        ]

    @property
    def texts(self) -> Mapping[str, str]:
        """The raw documents that people read, by name."""
        return {name: text for name, text in self._packed().items() if name != PROFILES}

    @property
    def profiles(self) -> Mapping[str, bytes]:
        """The raw documents that are bytes, by name."""
        return {name: base64.b64decode(text) for name, text in self._packed().get(PROFILES, {}).items()}

    def document(self, name: str) -> bytes:
        """One raw document. Raises Unknown, with the known names, when there is none of that name."""
        kept = {**{name: text.encode() for name, text in self.texts.items()}, **self.profiles}
        if name not in kept:
            raise Unknown(f"There is no document {name!r}; known are: {', '.join(sorted(kept)) or 'none'}.")
        return kept[name]

    def _packed(self) -> dict:
        return json.loads(zlib.decompress(self.packed_texts)) if self.packed_texts else {}

    @classmethod
    def of(cls, incident_id: int, round_: int, seen: domain.Evidence) -> "EvidenceRow":
        """An unsaved row that holds ``seen``."""
        texts: dict = {name: redact_text(text) for name, text in seen.texts.items()}
        if seen.profiles:
            texts[PROFILES] = {name: base64.b64encode(data).decode() for name, data in seen.profiles.items()}
        return cls(
            incident_id=incident_id,
            round=round_,
            collector=seen.collector,
            service=seen.service,
            collected_at=seen.collected_at,
            data=storable(redact(dict(seen.data))),
            missing=storable_text(seen.missing),
            packed_texts=zlib.compress(json.dumps(texts).encode(), level=1) if texts else b"",
        )


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
