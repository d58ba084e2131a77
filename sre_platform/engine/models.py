"""How the platform is: who was alive when, and the alarms about itself."""

from django.db import models


class Heartbeat(models.Model):
    """That a part of the platform was alive ``at`` a moment. ``name`` is kind@host:pid, or the kind alone."""

    name = models.CharField(max_length=200, unique=True)
    kind = models.CharField(max_length=20)
    at = models.DateTimeField()
    details = models.JSONField(default=dict)

    class Meta:
        ordering = ["-at"]
        indexes = [models.Index(fields=["kind", "-at"], name="heartbeat_newest")]

    def __str__(self) -> str:
        return self.name


class Alarm(models.Model):
    """Something about the platform itself that is wrong since ``since``; it is over once ``ended_at`` is set."""

    check_name = models.CharField("check", max_length=60)
    says = models.TextField()
    advice = models.TextField(blank=True)
    since = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-since"]
        constraints = [
            models.UniqueConstraint(
                fields=["check_name"], condition=models.Q(ended_at__isnull=True), name="alarm_one_open_per_check"
            )
        ]

    def __str__(self) -> str:
        return f"{self.check_name}: {self.says}"
