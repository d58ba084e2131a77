"""What came in: deliveries as they were received, the alerts they carried, and the tokens that may send."""

from django.db import models


class IntakeToken(models.Model):
    """A sender's bearer token; only its hash is kept."""

    name = models.SlugField(max_length=100, unique=True)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    revoked = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.name


class Delivery(models.Model):
    """One webhook as it arrived. ``fate`` says in a sentence what became of it."""

    class State(models.TextChoices):
        PENDING = "pending"
        DIGESTED = "digested"
        REJECTED = "rejected"

    source = models.CharField(max_length=40)
    received_at = models.DateTimeField()
    body = models.BinaryField()
    digest = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    fate = models.TextField(blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(fields=["id"], condition=models.Q(state="pending"), name="delivery_pending"),
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
    first_delivery = models.ForeignKey(Delivery, on_delete=models.PROTECT, related_name="+")
    missing_since = models.DateTimeField(
        null=True, help_text="Since when no Alertmanager has it, though it fires here; empty: it is there."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["fingerprint", "starts_at"], name="alert_once")]
        indexes = [models.Index(fields=["id"], condition=models.Q(resolved=False), name="alert_firing")]

    def __str__(self) -> str:
        return f"{self.name} on {self.service or 'no service'}"


class Reconciliation(models.Model):
    """The one row that lets only one process at a time compare notes with the Alertmanagers."""

    next_at = models.DateTimeField(help_text="When the next look may begin.")
    mended = models.JSONField(default=list, help_text="The deliveries that the last look made.")
