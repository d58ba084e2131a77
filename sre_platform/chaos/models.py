"""Drills: which experiment was run when, and what came of it."""

from django.db import models


class Drill(models.Model):
    """One run of an experiment. An empty outcome means that it is running, or that it died before it could say."""

    experiment = models.CharField(max_length=200)
    started_at = models.DateTimeField()
    fault_at = models.DateTimeField(null=True, help_text="When the fault's clock began to run.")
    finished_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=20, blank=True)
    expected = models.BooleanField(null=True)
    report = models.JSONField(default=dict)
    journal = models.JSONField(default=dict)

    class Meta:
        ordering = ["-started_at"]

    def __str__(self) -> str:
        return f"{self.experiment}: {self.outcome or 'running'}"
