"""The services an installation runs, and what was changed about them."""

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Annotated, Any

from django.core.exceptions import ValidationError
from django.db import models
from pydantic import Field, TypeAdapter
from pydantic import ValidationError as BadShape

from sre_platform.catalog import domain
from sre_platform.catalog.addresses import AddressField, check_address
from sre_platform.playbook.schema import Criterion

_CRITERIA = TypeAdapter(tuple[Criterion, ...])
_REPLICAS = TypeAdapter(Annotated[tuple[domain.Replica, ...], Field(max_length=domain.MAX_REPLICAS)])
_PREFIX = TypeAdapter(domain.Prefix)
_PATHS = TypeAdapter(Annotated[tuple[Annotated[str, Field(min_length=1, max_length=500)], ...], Field(max_length=20)])


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
        help_text="Each with name and, as far as it has them, metrics_url, pprof_url, process, pid, exec.",
    )
    pid = models.PositiveIntegerField(default=0, blank=True, help_text="0: the process supervisor is asked.")
    exec = models.JSONField(
        default=list, blank=True, help_text='Runs cat on its machine: ["kubectl", "exec", "orders-1", "--"].'
    )
    pprof_auth = models.JSONField(
        default=dict, blank=True, help_text='{"bearer_env": NAME} or {"basic_env": NAME}: a variable, not the secret.'
    )
    repository = models.CharField(max_length=500, blank=True, help_text="A local Git checkout of its code.")
    source_root = models.CharField(
        max_length=500, blank=True, help_text="The folder of the repository that holds this service's code."
    )
    log_file = models.JSONField(default=list, blank=True, help_text="The path of its log, or a list of paths.")
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
        _shaped("objectives", _CRITERIA.validate_python, self.objectives)
        self._clean_replicas()
        _shaped("exec", _PREFIX.validate_python, self.exec)
        _shaped("pprof_auth", _auth, self.pprof_auth)
        _shaped("log_file", _PATHS.validate_python, _listed(self.log_file))
        _clean_repository(self.repository, self.source_root)

    def _clean_replicas(self) -> None:
        replicas = _shaped("replicas", _REPLICAS.validate_python, self.replicas)
        names = [replica.name for replica in replicas]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValidationError({"replicas": f"The name {twice[0]} is there twice."})
        for replica in replicas:
            for url in (replica.metrics_url, replica.pprof_url):
                _shaped("replicas", check_address, url) if url else None

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
            replicas=_REPLICAS.validate_python(self.replicas),
            pid=self.pid,
            exec=_PREFIX.validate_python(self.exec),
            pprof_auth=_auth(self.pprof_auth),
            repository=self.repository,
            source_root=self.source_root,
            log_files=_PATHS.validate_python(_listed(self.log_file)),
            baseline=self.baseline,
        )


def _shaped(field: str, read: Callable[[Any], Any], value: Any) -> Any:
    """``value`` as ``read`` makes it. Raises ValidationError for the field, with what is wrong and where."""
    try:
        return read(value)
    except BadShape as error:
        raise ValidationError({field: str(error)}) from error
    except ValidationError as error:
        raise ValidationError({field: error.messages}) from error


def _auth(value: Any) -> domain.PprofAuth | None:
    return domain.PprofAuth.model_validate(value) if value else None


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) and value else value


def _clean_repository(repository: str, source_root: str) -> None:
    if repository and not PurePosixPath(repository).is_absolute():
        raise ValidationError({"repository": "Must be an absolute path of a folder on this machine."})
    parts = PurePosixPath(source_root).parts
    if source_root and (not repository or source_root[0] in "/-:" or ".." in parts):
        raise ValidationError({"source_root": "Must be a folder inside the repository, like services/orders."})


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
