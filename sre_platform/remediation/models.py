"""Steps: what was done to a target, its undo written first."""

from django.db import models

from sre_platform.incidents.models import Incident


class StepQuerySet(models.QuerySet["Step"]):
    """Steps, asked for by what they are."""

    def repairs(self) -> "StepQuerySet":
        """Neither an undo, nor what only comes before a repair."""
        return self.filter(undoes=None, leads_to=None)


class Step(models.Model):
    """One action for one incident. The states that hold the target admit one row per target, in the database itself."""

    class State(models.TextChoices):
        PREPARED = "prepared"
        APPLYING = "applying"
        APPLIED = "applied"
        FAILED = "failed"
        UNDOING = "undoing"
        UNDONE = "undone"
        KEPT = "kept"
        CANCELLED = "cancelled"

    HOLDING = [State.PREPARED, State.APPLYING, State.APPLIED]

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="steps")
    undoes = models.OneToOneField("self", on_delete=models.CASCADE, null=True, related_name="undo_step")
    playbook = models.CharField(max_length=64, blank=True)
    cause = models.CharField(max_length=100)
    action = models.CharField(max_length=100)
    target = models.CharField(max_length=200)
    params = models.JSONField(default=dict, help_text="As the playbook gives them.")
    says = models.TextField()
    aim = models.JSONField(help_text="What apply() makes true.")
    undo = models.JSONField(null=True, help_text="The parameters that take it back.")
    irreversible = models.TextField(blank=True)
    plan = models.JSONField(default=dict, help_text="What it was going to do: effects, diff, reach.")
    policy = models.CharField(max_length=120, blank=True, help_text="The policy that counted, and its version.")
    leads_to = models.ForeignKey(
        "self", on_delete=models.CASCADE, null=True, related_name="led_by", help_text="The step that it has to precede."
    )
    state = models.CharField(max_length=10, choices=State, default=State.PREPARED)
    prepared_at = models.DateTimeField(auto_now_add=True)
    applying_at = models.DateTimeField(null=True)
    applied_at = models.DateTimeField(null=True)
    fence = models.PositiveBigIntegerField(default=0, help_text="The lease under which it is being applied.")
    result = models.TextField(blank=True)

    objects = StepQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["target"],
                condition=models.Q(state__in=["prepared", "applying", "applied"], leads_to=None),
                name="step_one_per_target",
            )
        ]

    def __str__(self) -> str:
        return self.says

    @property
    def needs_undo(self) -> bool:
        """Whether it was begun, however far it came, and has not been taken back."""
        return self.applying_at is not None and self.state != self.State.UNDONE

    @property
    def can_be_taken_back(self) -> bool:
        """Whether a person may ask for its undo."""
        return self.undo is not None and self.needs_undo and self.state != self.State.UNDOING
