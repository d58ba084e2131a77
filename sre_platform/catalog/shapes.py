"""The lists and objects that a service's row holds as JSON: read into values, and checked before they are stored.

The checks are validators of their fields, so that a file whose ``${NAME}`` are not filled in can be read without them.
"""

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Annotated, Any

from django.core.exceptions import ValidationError
from pydantic import Field, TypeAdapter
from pydantic import ValidationError as BadShape

from sre_platform.catalog import domain
from sre_platform.catalog.addresses import check_address
from sre_platform.kernel.complaint import complaint

MAX_LOG_FILES = 20
MAX_HANDLES, MAX_LABELS = 20, 50
_REPLICAS = TypeAdapter(Annotated[tuple[domain.Replica, ...], Field(max_length=domain.MAX_REPLICAS)])
_PREFIX = TypeAdapter(domain.Prefix)
_PATH = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^/")]
_HANDLES = TypeAdapter(Annotated[dict[str, dict[str, Any]], Field(max_length=MAX_HANDLES)])
_LABELS = TypeAdapter(Annotated[dict[str, Annotated[str, Field(max_length=200)]], Field(max_length=MAX_LABELS)])
_PATHS = TypeAdapter(Annotated[tuple[_PATH, ...], Field(max_length=MAX_LOG_FILES)])


def replicas(value: Any) -> tuple[domain.Replica, ...]:
    """The replicas that a row holds. Raises pydantic's ValidationError, as the others here do."""
    return _REPLICAS.validate_python(value)


def prefix(value: Any) -> tuple[str, ...]:
    """The words of an agentless command."""
    return _PREFIX.validate_python(value)


def auth(value: Any) -> domain.PprofAuth | None:
    """How to be let in to pprof; None when nothing is said."""
    return domain.PprofAuth.model_validate(value) if value else None


def paths(value: Any) -> tuple[str, ...]:
    """The paths of log files: one, or a list."""
    return _PATHS.validate_python([value] if isinstance(value, str) and value else value)


def handles(value: Any) -> dict[str, dict[str, Any]]:
    """By what other systems hold a service: what stands in each is read by whoever knows that system."""
    return _HANDLES.validate_python(value)


def labels(value: Any) -> dict[str, str]:
    """A service's labels."""
    return _LABELS.validate_python(value)


def check_replicas(value: Any) -> None:
    known = _checked(replicas, value)
    names = [replica.name for replica in known]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValidationError(f"The name {twice[0]} is there twice.")
    for replica in known:
        for url in filter(None, (replica.metrics_url, replica.pprof_url)):
            check_address(url)


def check_prefix(value: Any) -> None:
    _checked(prefix, value)


def check_auth(value: Any) -> None:
    _checked(auth, value)


def check_paths(value: Any) -> None:
    _checked(paths, value)


def check_handles(value: Any) -> None:
    _checked(handles, value)


def check_labels(value: Any) -> None:
    _checked(labels, value)


def check_absolute(path: str) -> None:
    if not PurePosixPath(path).is_absolute():
        raise ValidationError("Must be an absolute path of a folder on this machine.")


def check_inside(folder: str) -> None:
    if folder[0] in "/-:" or ".." in PurePosixPath(folder).parts:
        raise ValidationError("Must be a folder inside the repository, like services/orders.")


def _checked(read: Callable[[Any], Any], value: Any) -> Any:
    try:
        return read(value)
    except BadShape as error:
        raise ValidationError(f"{complaint(error, whole='all of it')}.") from error
