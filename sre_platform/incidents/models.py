"""Incidents, the alerts they gathered, and what happened to them, in an append-only chain."""

from django.db import models

from sre_platform.incidents.domain import ENDED, State
from sre_platform.intake.models import Alert


class Incident(models.Model):
    """One disturbance. ``state`` says what is known; claim and fence say who is working on it until when."""

    key = models.CharField(max_length=200)
    service = models.CharField(max_length=200, blank=True)
    title = models.CharField(max_length=300)
    state = models.CharField(
        max_length=20, choices=[(s.value, s.value.replace("_", " ")) for s in State], default=State.OPEN
    )
    playbooks = models.JSONField(default=list, help_text="Digests of the playbook versions this incident lives by.")
    parent = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="children", help_text="It is the cause."
    )
    storm = models.BooleanField(default=False, help_text="Too many services at once; automation is paused.")
    alerts = models.PositiveIntegerField(default=0, help_text="How many alerts it has gathered.")
    first_alert_at = models.DateTimeField(null=True, help_text="When the earliest of its alerts began.")
    last_alert_at = models.DateTimeField(null=True, help_text="When the latest alert arrived that it was given.")
    opened_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True, help_text="When the next stage may run; empty: nothing is to be done.")
    claimed_by = models.CharField(max_length=100, blank=True)
    claimed_until = models.DateTimeField(null=True)
    fence = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["key"],
                condition=~models.Q(state__in=sorted(s.value for s in ENDED)),
                name="incident_one_open_per_key",
            )
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=models.Q(due_at__isnull=False), name="incident_due"),
            models.Index(fields=["-opened_at"], name="incident_newest"),
        ]

    def __str__(self) -> str:
        return f"incident {self.pk}: {self.title}"


class IncidentAlert(models.Model):
    """That an alert belongs to an incident, and why."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="members")
    alert = models.OneToOneField(Alert, on_delete=models.PROTECT, related_name="membership")
    reason = models.CharField(max_length=300)


class IncidentTopic(models.Model):
    """Something that a live incident is about, such as ``service=orders`` or ``node=db-3``: how alerts find it."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="topics")
    name = models.CharField(max_length=300)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "incident"], name="topic_once")]


class TimelineEntry(models.Model):
    """One thing that happened. Each row's hash covers the row before it, so that a change or a gap shows."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="timeline")
    seq = models.PositiveIntegerField()
    at = models.DateTimeField()
    name = models.CharField(max_length=40)
    from_state = models.CharField(max_length=20, blank=True)
    to_state = models.CharField(max_length=20, blank=True)
    reason = models.TextField()
    data = models.JSONField(default=dict)
    fence = models.PositiveBigIntegerField(default=0)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        ordering = ["seq"]
        constraints = [models.UniqueConstraint(fields=["incident", "seq"], name="timeline_seq_once")]
