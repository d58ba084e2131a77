"""What people decide about automation: policies, limits, freeze windows, and the switch that stops all of it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

from django.core.exceptions import ValidationError
from django.db import models, transaction
from pydantic import Field, TypeAdapter
from pydantic import ValidationError as BadShape

from sre_platform.guardrails import domain
from sre_platform.incidents import quiet
from sre_platform.kernel.complaint import complaint
from sre_platform.kernel.errors import Malformed
from sre_platform.playbook.schema import Call

# Seconds. The platform keeps what was done for SRE_KEEP_DAYS days, 30 by default; of longer ago it knows nothing.
LONGEST_COOLDOWN_S = 30 * 86400.0
LONGEST_WINDOW_S = 86400.0  # of a limit; the past is read from rows each time, and a day of it is few of them
MOST_CALLS = 20  # in a ladder
_PLAN = TypeAdapter(Annotated[tuple[Call, ...], Field(max_length=MOST_CALLS)])


def read_plan(value: Any) -> tuple[Call, ...]:
    """The calls of a policy's ladder, written as in a playbook. Raises pydantic's ValidationError."""
    return _PLAN.validate_python(value)


def check_plan(value: Any) -> None:
    try:
        read_plan(value)
    except BadShape as error:
        raise ValidationError(f"{complaint(error, 'plan')}.") from error


def check_share(value: float) -> None:
    _between(value, 0, 1)


def check_cooldown(value: float) -> None:
    _between(value, 0, LONGEST_COOLDOWN_S)


def check_window(value: float) -> None:
    _between(value, 1, LONGEST_WINDOW_S)


def _between(value: float, least: float, most: float) -> None:
    """As Django's validators for both ends, which let "not a number" through."""
    if not least <= value <= most:
        raise ValidationError(f"Must lie between {least:.0f} and {most:.0f}.")


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
    cooldown_s = models.FloatField(
        default=300, validators=[check_cooldown], help_text="Seconds before the same action on the same target again."
    )
    max_actions = models.PositiveSmallIntegerField(default=2, help_text="Actions that one incident may try.")
    enabled = models.BooleanField(default=True)
    tier = models.CharField(max_length=40, default="*", help_text="Pattern of the service's tier.")
    environment = models.CharField(max_length=40, default="*", help_text="Pattern of the service's environment.")
    plan = models.JSONField(
        default=list,
        blank=True,
        validators=[check_plan],
        help_text="A ladder of actions from mild to strong, instead of the playbook's. Empty: the playbook's.",
    )
    min_healthy_share = models.FloatField(
        default=0.5, validators=[check_share], help_text="Of the instances, while it is done."
    )
    max_blast_share = models.FloatField(
        default=0.5, validators=[check_share], help_text="Of the instances, taken away at once."
    )
    min_budget_left = models.FloatField(
        default=0,
        validators=[check_share],
        help_text="Share of the error budget that has to be left. 0: does not count.",
    )
    version = models.PositiveIntegerField(default=0, editable=False)
    changed_by = ""  # whoever changes it says so here, for its versions

    class Meta:
        ordering = ["precedence", "name"]
        verbose_name_plural = "remediation policies"

    def __str__(self) -> str:
        return self.name

    def save(self, **options: Any) -> None:
        """Counts a version and keeps it with ``changed_by``; nothing is counted when nothing has changed."""
        with transaction.atomic():
            RemediationPolicy.objects.select_for_update().filter(pk=self.pk).first()  # whoever else saves it waits
            newest = PolicyVersion.objects.filter(name=self.name).first()
            before = (newest.policy_id, newest.content) if newest and self.pk else None
            changed = before != (self.pk, self.content())
            if changed:
                self.version = newest.version + 1 if newest else 1
                if options.get("update_fields") is not None:
                    options["update_fields"] = {*options["update_fields"], "version"}
            super().save(**options)
            if changed:
                told = {"version": self.version, "content": self.content(), "by": self.changed_by}
                PolicyVersion.objects.create(policy=self, name=self.name, **told)

    def content(self) -> dict[str, Any]:
        """What it says, as JSON: all fields that people decide about."""
        fields = [field.attname for field in self._meta.concrete_fields if field.attname not in ("id", "version")]
        said: dict[str, Any] = json.loads(json.dumps({name: getattr(self, name) for name in fields}, default=str))
        return said

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
            self.version,
            self.tier,
            self.environment,
            read_plan(self.plan),
            self.min_healthy_share,
            self.max_blast_share,
            self.min_budget_left,
        )


class PolicyVersion(models.Model):
    """What a policy said, since when, and who changed it. Rows are never changed; the newest is in force."""

    policy = models.ForeignKey(RemediationPolicy, on_delete=models.SET_NULL, null=True, related_name="versions")
    name = models.CharField(max_length=100)
    version = models.PositiveIntegerField()
    content = models.JSONField()
    by = models.CharField(max_length=200, blank=True, help_text="The person, or the file that it was synced from.")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "-version"]
        constraints = [models.UniqueConstraint(fields=["name", "version"], name="policy_version_once")]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"


class ActionLimit(models.Model):
    """How often, and how many at the same time: per service, cluster or action, or all together."""

    class Per(models.TextChoices):
        SERVICE = "service"
        CLUSTER = "cluster"
        ACTION = "action"
        ALL = "all"

    name = models.SlugField(max_length=100, unique=True)
    per = models.CharField(max_length=10, choices=Per, default=Per.ALL, help_text="What is counted together.")
    max_actions = models.PositiveIntegerField()
    window_s = models.FloatField(default=3600, validators=[check_window], help_text="Seconds, a day at most.")
    at_once = models.PositiveIntegerField(default=0, help_text="How many at the same time. 0: does not count.")
    service = models.CharField(max_length=200, default="*", help_text="Pattern.")
    cluster = models.CharField(max_length=200, default="*", help_text="Pattern.")
    action = models.CharField(max_length=200, default="*", help_text="Pattern.")
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def as_value(self) -> domain.Limit:
        """This row as a value."""
        return domain.Limit(
            self.name,
            self.per,
            self.max_actions,
            self.window_s,
            self.at_once,
            self.service,
            self.cluster,
            self.action,
        )


class FreezeWindow(models.Model):
    """A planned time in which nothing is touched automatically."""

    name = models.SlugField(max_length=100, unique=True)
    reason = models.CharField(max_length=300)
    service = models.CharField(max_length=200, default="*", help_text="Pattern.")
    environment = models.CharField(max_length=40, default="*", help_text="Pattern.")
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

    def clean(self) -> None:
        try:
            quiet.check_times(self)
        except Malformed as error:
            raise ValidationError(str(error)) from error
        except (TypeError, ValueError, AttributeError):
            return  # a field that is missing or of a wrong kind: that field says so itself

    def open_at(self, moment: datetime) -> domain.Freeze | None:
        """This row as a value when the window is open. One that cannot be read counts as open: unknown is deny."""
        try:
            quiet.check_times(self)
            end = quiet.active(self, moment)
            reason = f"{self.reason}, until {quiet.shown(end, moment)}" if end else ""
        except Malformed as error:
            reason = f"{self.reason} (when it is open cannot be told: {error})"
        return domain.Freeze(self.name, reason, self.service, self.environment) if reason else None


class Gate(models.Model):
    """The one row that is locked while a step is judged and written, so that no two are judged by the same past."""

    passed = models.PositiveBigIntegerField(default=0, help_text="How often somebody went through.")


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
    """Stop or resume all automation. Once a stop has returned, nothing is begun any more."""
    KillSwitch.objects.update_or_create(pk=1, defaults={"on": on, "by": by, "reason": reason})
    if on:  # it is in force already; whoever had asked before it was has begun, or not, once the gate was free
        with gate():
            pass


def halted() -> str:
    """Why all automation is stopped, or the empty string while it is not."""
    row = KillSwitch.objects.filter(pk=1, on=True).first()
    return f"{row.reason or 'no reason given'} (by {row.by})" if row else ""


def policies() -> list[domain.Policy]:
    """The enabled policies in order of precedence."""
    return [row.as_value() for row in RemediationPolicy.objects.filter(enabled=True)]


def limits() -> list[domain.Limit]:
    """The enabled limits. One query, as ``open_freezes``."""
    return [row.as_value() for row in ActionLimit.objects.filter(enabled=True)]


def open_freezes(at: datetime) -> list[domain.Freeze]:
    """The enabled freeze windows that are open at a moment (aware)."""
    rows = FreezeWindow.objects.filter(enabled=True)
    return [freeze for row in rows if (freeze := row.open_at(at))]


def every_policy() -> list[domain.Policy]:
    """All policies in order of precedence, also those that are not enabled: for people who ask why one does not act."""
    return [row.as_value() for row in RemediationPolicy.objects.all()]


@contextmanager
def gate() -> Iterator[None]:
    """A transaction in which only one step at a time, in the whole installation, is judged and written.

    Whoever enters sees all that was committed by those who went through before. Keep it short: no call to the world.
    """
    with transaction.atomic():
        if not Gate.objects.filter(pk=1).update(passed=models.F("passed") + 1):
            Gate.objects.get_or_create(pk=1)
            Gate.objects.filter(pk=1).update(passed=models.F("passed") + 1)
        yield
