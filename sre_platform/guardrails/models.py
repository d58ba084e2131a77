"""What people decide about automation: policies, and the switch that stops all of it."""

from django.db import models

from sre_platform.guardrails import domain


class RemediationPolicy(models.Model):
    """How far an action may go on its own, for which service and cause. The lowest precedence number counts first."""

    class Mode(models.TextChoices):
        OBSERVE = "observe", "observe: only record what would be done"
        SUGGEST = "suggest", "suggest: tell people what would be done"
        APPROVE = "approve", "approve: act after a person has approved"
        AUTO = "auto", "auto: act on its own"

    name = models.SlugField(max_length=100, unique=True)
    precedence = models.PositiveSmallIntegerField(default=100)
    service = models.CharField(max_length=200, default="*", help_text="Pattern, such as pay*.")
    cause = models.CharField(max_length=200, default="*", help_text="Pattern of causes.")
    action = models.CharField(max_length=200, default="*", help_text="Pattern of actions.")
    mode = models.CharField(max_length=10, choices=Mode, default=Mode.OBSERVE)
    cooldown_s = models.FloatField(default=300, help_text="Seconds before the same action on the same target again.")
    max_actions = models.PositiveSmallIntegerField(default=2, help_text="Actions that one incident may try.")
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ["precedence", "name"]
        verbose_name_plural = "remediation policies"

    def __str__(self) -> str:
        return self.name

    def as_value(self) -> domain.Policy:
        """This row as a value."""
        return domain.Policy(
            self.name,
            self.service,
            self.cause,
            self.action,
            self.mode,
            self.cooldown_s,
            self.max_actions,
            self.enabled,
        )


class KillSwitch(models.Model):
    """The one row that stops all automation while ``on``."""

    on = models.BooleanField(default=False)
    reason = models.CharField(max_length=300, blank=True)
    by = models.CharField(max_length=150, blank=True)
    at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "kill switch"

    def __str__(self) -> str:
        return f"stopped by {self.by}: {self.reason}" if self.on else "off"


def set_kill_switch(on: bool, by: str, reason: str) -> None:
    """Stop or resume all automation."""
    KillSwitch.objects.update_or_create(pk=1, defaults={"on": on, "by": by, "reason": reason})


def halted() -> str:
    """Why all automation is stopped, or the empty string while it is not."""
    row = KillSwitch.objects.filter(pk=1, on=True).first()
    return f"{row.reason or 'no reason given'} (by {row.by})" if row else ""


def policies() -> list[domain.Policy]:
    """The enabled policies in order of precedence."""
    return [row.as_value() for row in RemediationPolicy.objects.filter(enabled=True)]


def every_policy() -> list[domain.Policy]:
    """All policies in order of precedence, also those that are not enabled: for people who ask why one does not act."""
    return [row.as_value() for row in RemediationPolicy.objects.all()]
