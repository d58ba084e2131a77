"""The services an installation runs, and what was changed about them."""

from django.core.exceptions import ValidationError
from django.db import models
from pydantic import TypeAdapter
from pydantic import ValidationError as BadShape

from sre_platform.catalog import domain
from sre_platform.catalog.addresses import AddressField
from sre_platform.playbook.schema import Criterion

_CRITERIA = TypeAdapter(tuple[Criterion, ...])


class Service(models.Model):
    """A service: where it is seen, how it is handled, what it depends on, what its users are owed."""

    name = models.SlugField(max_length=100, unique=True)
    owner = models.CharField(max_length=200, blank=True)
    metrics_url = AddressField(blank=True)
    health_url = AddressField(blank=True)
    pprof_url = AddressField(blank=True, help_text="Ends in /debug/pprof.")
    process = models.CharField(max_length=200, blank=True, help_text="The program's name at the process supervisor.")
    release_link = models.CharField(
        max_length=500, blank=True, help_text="The link that points to the running release."
    )
    releases_dir = models.CharField(max_length=500, blank=True, help_text="The folder that holds one folder a release.")
    depends_on = models.JSONField(default=list, blank=True)
    objectives = models.JSONField(default=list, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if not isinstance(self.depends_on, list) or not all(isinstance(name, str) for name in self.depends_on):
            raise ValidationError({"depends_on": "Must be a list of services' names."})
        try:
            _CRITERIA.validate_python(self.objectives)
        except BadShape as error:
            raise ValidationError({"objectives": str(error)}) from error

    def as_value(self) -> domain.Target:
        """This row as the value that the stages work with."""
        return domain.Target(
            service=self.name,
            metrics_url=self.metrics_url,
            health_url=self.health_url,
            pprof_url=self.pprof_url,
            process=self.process,
            release_link=self.release_link,
            releases_dir=self.releases_dir,
            depends_on=tuple(self.depends_on),
            objectives=_CRITERIA.validate_python(self.objectives),
        )


class Change(models.Model):
    """A deploy or another change, as the tool that made it reported it."""

    service = models.CharField(max_length=100)
    kind = models.CharField(max_length=40, default="deploy")
    at = models.DateTimeField()
    before = models.CharField(max_length=200, blank=True)
    after = models.CharField(max_length=200, blank=True)
    by = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-at"]
        indexes = [models.Index(fields=["service", "-at"], name="change_by_service")]
        constraints = [models.UniqueConstraint(fields=["service", "kind", "at", "after"], name="change_once")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.service}: {self.before} → {self.after}"

    def as_value(self) -> domain.Change:
        """This row as a value."""
        return domain.Change(self.service, self.kind, self.at, self.before, self.after, self.by)


def topology() -> domain.Topology:
    """All services by name, in one query."""
    return {row.name: row.as_value() for row in Service.objects.all()}


def changes_since(service: str, since) -> list[domain.Change]:
    """What was changed about a service since a moment, newest first."""
    return [row.as_value() for row in Change.objects.filter(service=service, at__gte=since)]


def dependencies() -> domain.Topology:
    """All services by name with nothing but what they depend on: what correlation needs, cheap however many."""
    rows = Service.objects.values_list("name", "depends_on")
    return {name: domain.Target(name, depends_on=tuple(needs)) for name, needs in rows}
