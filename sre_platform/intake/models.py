"""What came in: deliveries as they were received, the alerts they carried, and the tokens that may send."""

from typing import Literal

from django.db import models

from sre_platform.intake.domain import ANY_SOURCE, INTAKE, METRICS, AlertValue
from sre_platform.intake.signatures import DEFAULT_HEADER
from sre_platform.kernel.clock import now


class IntakeToken(models.Model):
    """A sender's bearer token; only its hash is kept. A sender may have two valid ones while it changes over."""

    class Scope(models.TextChoices):
        INTAKE = INTAKE, "may send webhooks"
        METRICS = METRICS, "may read /metrics only"

    name = models.SlugField(max_length=100, help_text="Who sends with it.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    source = models.CharField(max_length=40, default=ANY_SOURCE, help_text="The source it may send to; * for any.")
    scope = models.CharField(max_length=10, choices=Scope, default=Scope.INTAKE)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked = models.BooleanField(default=False)
    mapping = models.JSONField(
        default=dict, blank=True, help_text="How the source generic reads this sender's JSON; shared by all its tokens."
    )
    hmac_secret_ref = models.CharField(
        max_length=300, blank=True, help_text="env:NAME or file:/path of the secret its bodies are signed with."
    )
    hmac_header = models.CharField(max_length=100, default=DEFAULT_HEADER, help_text="The header of the signature.")

    def __str__(self) -> str:
        return self.name


class Delivery(models.Model):
    """One webhook as it arrived. ``fate`` says in a sentence what became of it; its ledger has a row for each alert."""

    class State(models.TextChoices):
        PENDING = "pending"
        DIGESTED = "digested"
        REJECTED = "rejected"

    source = models.CharField(max_length=40)
    sender = models.CharField(max_length=100, blank=True)
    received_at = models.DateTimeField()
    body = models.BinaryField()
    size = models.PositiveIntegerField(default=0, help_text="Bytes of the body as it was sent.")
    digest = models.CharField(max_length=64)
    mapping = models.JSONField(default=dict, help_text="The sender's mapping when it was received.")
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    fate = models.TextField(blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(fields=["id"], condition=models.Q(state="pending"), name="delivery_pending"),
            models.Index(fields=["received_at"], name="delivery_received"),
            models.Index(fields=["id"], condition=models.Q(state="rejected"), name="delivery_rejected"),
            models.Index(fields=["source", "id"], name="delivery_source"),
            models.Index(fields=["sender", "id"], name="delivery_sender"),
        ]

    def __str__(self) -> str:
        return f"delivery {self.pk} from {self.source}"


class Alert(models.Model):
    """One occurrence of an alert: the same fingerprint and start are the same row, however often it is delivered."""

    fingerprint = models.CharField(max_length=64)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True)
    resolved = models.BooleanField(default=False)
    name = models.CharField(max_length=200)
    service = models.CharField(max_length=200)
    labels = models.JSONField()
    annotations = models.JSONField()
    generator_url = models.TextField(blank=True)
    source = models.CharField(max_length=40, blank=True, help_text="Where it was first delivered from.")
    received_at = models.DateTimeField(default=now, help_text="When it was first delivered.")
    quiet = models.CharField(max_length=300, blank=True, help_text="Why no incident is about it while it fires.")
    looked_at = models.DateTimeField(null=True, help_text="When it was last found to be quiet.")

    missing_since = models.DateTimeField(
        null=True, help_text="Since when no Alertmanager has it, though it fires here; empty: it is there."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["fingerprint", "starts_at"], name="alert_once")]
        indexes = [
            models.Index(fields=["id"], condition=models.Q(resolved=False), name="alert_firing"),
            models.Index(
                fields=["looked_at"],
                condition=models.Q(resolved=False) & models.Q(looked_at__isnull=False),
                name="alert_quiet",
            ),
            models.Index(fields=["name"], opclasses=["varchar_pattern_ops"], name="alert_name"),
            models.Index(fields=["service"], opclasses=["varchar_pattern_ops"], name="alert_service"),
        ]

    def __str__(self) -> str:
        return f"{self.name} on {self.service or 'no service'}"

    def as_value(self) -> AlertValue:
        """This occurrence as it was first delivered, or as it ended."""
        status: Literal["firing", "resolved"] = "resolved" if self.resolved else "firing"
        texts = (self.labels, self.annotations)
        return AlertValue(self.fingerprint, status, *texts, self.starts_at, self.ends_at, self.generator_url)


class LedgerEntry(models.Model):
    """What became of one alert of one delivery, and why. ``incident`` is the number of the incident, if any.

    No delivery: an alert that was quiet came up for decision again by itself.
    """

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, null=True, related_name="ledger", db_index=False)
    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="+", db_index=False)
    fate = models.CharField(max_length=12)
    incident = models.PositiveBigIntegerField(null=True)
    says = models.TextField()

    class Meta:
        verbose_name_plural = "ledger"
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["delivery", "id"], name="ledger_delivery"),
            models.Index(fields=["alert", "delivery"], name="ledger_alert"),
            models.Index(fields=["fate", "delivery"], name="ledger_fate"),
            models.Index(
                fields=["incident", "delivery"], condition=models.Q(incident__isnull=False), name="ledger_incident"
            ),
        ]

    def __str__(self) -> str:
        return self.says


class Turn(models.Model):
    """Whose turn it is to digest: the row is locked by whoever does, so that no two alerts are placed at once."""

    name = models.CharField(max_length=40, primary_key=True)


class Reconciliation(models.Model):
    """The one row that lets only one process at a time compare notes with the Alertmanagers."""

    next_at = models.DateTimeField(help_text="When the next look may begin.")
    mended = models.JSONField(default=list, help_text="The deliveries that the last look made.")
