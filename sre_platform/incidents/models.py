"""Incidents, the alerts they gathered, what happened to them in an append-only chain, and what keeps alerts quiet."""

import uuid
from collections.abc import Callable

from django.core.exceptions import ValidationError
from django.db import models

from sre_platform.incidents import quiet
from sre_platform.incidents.domain import ENDED, State
from sre_platform.intake.models import Alert
from sre_platform.kernel.errors import Malformed


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
    ended_by = models.CharField(max_length=20, blank=True, help_text="The event that ended it.")
    on_purpose = models.BooleanField(default=False, help_text="A drill broke it: its alerts do not come and go.")
    watch_until = models.DateTimeField(null=True, help_text="Until when a relapse after the repair reopens it.")
    watch_due_at = models.DateTimeField(null=True, help_text="When it is looked at again; empty: it is not watched.")
    relapsed_at = models.DateTimeField(null=True, help_text="When it was last reopened.")
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
            models.Index(
                fields=["watch_due_at"], condition=models.Q(watch_due_at__isnull=False), name="incident_watched"
            ),
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


MATCHERS_HELP = 'A list of conditions that all have to hold: ["alertname=\\"DiskFull\\"", "env=~\\"prod.*\\""]'


class _Rule(models.Model):
    """A row that is a value of ``quiet``; whatever is wrong with it is one clear sentence."""

    class Meta:
        abstract = True

    as_value: Callable[[], object]

    def clean(self) -> None:
        try:
            self.as_value()
        except Malformed as error:
            raise ValidationError(str(error)) from error
        except (TypeError, ValueError, AttributeError):
            return  # a field that is missing or of a wrong kind: that field says so itself


class Silence(_Rule):
    """Alerts that match are quiet for a while. Made here, and posted to every Alertmanager, or mirrored from one."""

    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    matchers = models.JSONField(help_text=MATCHERS_HELP)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    comment = models.CharField(max_length=500, blank=True)
    by = models.CharField(max_length=150, blank=True)
    origin = models.CharField(max_length=300, blank=True, editable=False, help_text="The Alertmanager it comes from.")
    external_id = models.CharField(max_length=100, blank=True, editable=False, help_text="Its id there.")
    posted = models.JSONField(default=dict, editable=False, help_text="Its id at each Alertmanager it was posted to.")
    expired = models.BooleanField(default=False, help_text="It ends now, here and at every Alertmanager.")

    class Meta:
        ordering = ["-ends_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["origin", "external_id"], condition=~models.Q(origin=""), name="silence_mirrored_once"
            )
        ]
        indexes = [models.Index(fields=["ends_at"], condition=models.Q(expired=False), name="silence_in_force")]

    def __str__(self) -> str:
        return f"silence {self.pk}: {self.comment}"

    def as_value(self) -> quiet.Silence:
        """This row as a value. Raises Malformed."""
        matchers = quiet.parse_matchers(self.matchers)
        return quiet.Silence(str(self.pk), matchers, self.starts_at, self.ends_at, self.comment, self.by)


class MaintenanceWindow(_Rule):
    """Alerts that match are quiet at planned times."""

    name = models.SlugField(max_length=100, unique=True)
    matchers = models.JSONField(help_text=MATCHERS_HELP)
    first_start = models.DateTimeField(help_text="With its UTC offset.")
    duration_s = models.FloatField(help_text="Seconds.")
    rrule = models.CharField(
        "recurrence", max_length=500, blank=True, help_text="RFC 5545: FREQ=WEEKLY;BYDAY=SU. Empty: once."
    )
    timezone = models.CharField(max_length=60, default="UTC", help_text="Whose wall clock it follows: Europe/Berlin.")
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def as_value(self) -> quiet.MaintenanceWindow:
        """This row as a value. Raises Malformed."""
        matchers = quiet.parse_matchers(self.matchers)
        return quiet.MaintenanceWindow(
            self.name, matchers, self.first_start, self.duration_s, self.rrule, self.timezone
        )


class InhibitionRule(_Rule):
    """While an alert fires that matches ``source``, those that match ``target`` are quiet."""

    name = models.SlugField(max_length=100, unique=True)
    source = models.JSONField(help_text=MATCHERS_HELP)
    target = models.JSONField(help_text=MATCHERS_HELP)
    equal = models.JSONField(default=list, blank=True, help_text='Labels in which both agree: ["cluster"]')
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def as_value(self) -> quiet.InhibitionRule:
        """This row as a value. Raises Malformed."""
        if not isinstance(self.equal, list) or not all(isinstance(name, str) for name in self.equal):
            raise Malformed("What has to be equal is a list of labels' names.")
        source, target = quiet.parse_matchers(self.source), quiet.parse_matchers(self.target)
        return quiet.InhibitionRule(self.name, source, target, tuple(self.equal))
