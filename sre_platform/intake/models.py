"""What came in: deliveries as they were received, the alerts they carried, and the tokens that may send."""

from django.db import models

from sre_platform.intake.domain import ANY_SOURCE, INTAKE, METRICS
from sre_platform.intake.signatures import DEFAULT_HEADER


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

    class Meta:
        constraints = [models.UniqueConstraint(fields=["fingerprint", "starts_at"], name="alert_once")]

    def __str__(self) -> str:
        return f"{self.name} on {self.service or 'no service'}"
