"""The services an installation runs, and what was changed about them."""

from collections.abc import Iterable
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import models
from pydantic import TypeAdapter
from pydantic import ValidationError as BadShape

from sre_platform.catalog import domain, shapes
from sre_platform.catalog.addresses import AddressField
from sre_platform.kernel.complaint import complaint
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
    replicas = models.JSONField(
        default=list,
        blank=True,
        validators=[shapes.check_replicas],
        help_text="Each with name and, as far as it has them, metrics_url, pprof_url, process, pid, exec.",
    )
    pid = models.PositiveIntegerField(default=0, blank=True, help_text="0: the process supervisor is asked.")
    exec = models.JSONField(
        default=list,
        blank=True,
        validators=[shapes.check_prefix],
        help_text='Runs cat on its machine: ["kubectl", "exec", "orders-1", "--"].',
    )
    pprof_auth = models.JSONField(
        default=dict,
        blank=True,
        validators=[shapes.check_auth],
        help_text='{"bearer_env": NAME} or {"basic_env": NAME}: a variable, not the secret.',
    )
    repository = models.CharField(
        max_length=500, blank=True, validators=[shapes.check_absolute], help_text="A local Git checkout of its code."
    )
    source_root = models.CharField(
        max_length=500,
        blank=True,
        validators=[shapes.check_inside],
        help_text="The folder of the repository that holds this service's code.",
    )
    log_file = models.JSONField(
        default=list, blank=True, validators=[shapes.check_paths], help_text="The path of its log, or a list of paths."
    )
    handles = models.JSONField(
        default=dict,
        blank=True,
        validators=[shapes.check_handles],
        help_text='By what other systems hold it: {"kubernetes": {"namespace": "shop", "name": "orders"}}.',
    )
    labels = models.JSONField(
        default=dict,
        blank=True,
        validators=[shapes.check_labels],
        help_text='Texts by name. {"automation": "allowed"} lets automation touch it.',
    )
    tier = models.CharField(max_length=40, blank=True, help_text="How critical it is, as policies name it: 1, gold.")
    environment = models.CharField(max_length=40, blank=True, help_text="production, staging.")
    cluster = models.CharField(max_length=100, blank=True, help_text="Where it runs, as limits name it.")
    baseline = models.BooleanField(
        default=False, help_text="Take one CPU and one heap profile of each release while all is well."
    )

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
            raise ValidationError({"objectives": f"{complaint(error, whole='the list')}."}) from error
        if self.source_root and not self.repository:
            raise ValidationError({"source_root": "Must be a folder inside the repository, and there is none."})

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
            replicas=shapes.replicas(self.replicas),
            pid=self.pid,
            exec=shapes.prefix(self.exec),
            pprof_auth=shapes.auth(self.pprof_auth),
            repository=self.repository,
            source_root=self.source_root,
            log_files=shapes.paths(self.log_file),
            baseline=self.baseline,
            handles=shapes.handles(self.handles),
            labels=shapes.labels(self.labels),
            tier=self.tier,
            environment=self.environment,
            cluster=self.cluster,
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


def changes_of(services: Iterable[str], since: datetime) -> dict[str, list[domain.Change]]:
    """What was changed about each of these services since a moment, newest first, in one query."""
    found: dict[str, list[domain.Change]] = {service: [] for service in services}
    for row in Change.objects.filter(service__in=list(found), at__gte=since):
        found[row.service].append(row.as_value())
    return found
