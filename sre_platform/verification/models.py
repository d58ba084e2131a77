"""The samples that verification took."""

from django.db import models

from sre_platform.remediation.models import Step
from sre_platform.verification.domain import Checked


class SampleRow(models.Model):
    """All criteria measured once. Number 0 was taken right before the action, the others after it."""

    step = models.ForeignKey(Step, on_delete=models.CASCADE, related_name="samples")
    number = models.PositiveIntegerField()
    at = models.DateTimeField()
    checks = models.JSONField()
    good = models.BooleanField(null=True, help_text="Empty: could not be measured.")

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["step", "number"], name="sample_number_once")]

    def as_value(self) -> list[Checked]:
        """The checked criteria."""
        return [
            Checked(
                c["name"],
                None if c["value"] is None else float(c["value"]),
                c["op"],
                c["threshold"],
                c["missing"],
                c.get("neighbour", False),
            )
            for c in self.checks
        ]

    @property
    def summary(self) -> str:
        """How many criteria were met, in words."""
        marks = [check["met"] for check in self.checks]
        unknown = f", {marks.count(None)} not measured" if None in marks else ""
        return f"{marks.count(True)} of {len(marks)} criteria met{unknown}."
