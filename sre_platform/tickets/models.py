"""Tickets that have to be opened and closed, and how far that has come."""

from django.db import models

from sre_platform.incidents.models import Incident


class Ticket(models.Model):
    """One ticket at one system. ``wanted`` is what it should be, ``actual`` what is known to be true there."""

    class State(models.TextChoices):
        NONE = "none"
        OPEN = "open"
        CLOSED = "closed"

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="tickets")
    system = models.CharField(max_length=40)
    key = models.CharField(max_length=100)
    title = models.CharField(max_length=300)
    body = models.TextField()
    labels = models.JSONField(default=list)
    closing = models.TextField(blank=True, help_text="The comment to close with.")
    wanted = models.CharField(max_length=10, choices=State, default=State.OPEN)
    actual = models.CharField(max_length=10, choices=State, default=State.NONE)
    reference = models.CharField(max_length=200, blank=True)
    url = models.CharField(max_length=500, blank=True)
    due_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    trouble = models.TextField(blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [models.UniqueConstraint(fields=["system", "key"], name="ticket_once")]
        indexes = [models.Index(fields=["due_at"], condition=models.Q(due_at__isnull=False), name="ticket_due")]

    def __str__(self) -> str:
        return self.title


class LocalTicket(models.Model):
    """A ticket of the built-in system, shown on a page."""

    key = models.CharField(max_length=100, unique=True)
    title = models.CharField(max_length=300)
    body = models.TextField()
    labels = models.JSONField(default=list)
    closed = models.BooleanField(default=False)
    opened_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return self.title


class LocalComment(models.Model):
    """A remark on a local ticket; the same key is the same remark."""

    ticket = models.ForeignKey(LocalTicket, on_delete=models.CASCADE, related_name="comments")
    key = models.CharField(max_length=100)
    text = models.TextField()
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["ticket", "key"], name="local_comment_once")]
