"""How many goroutines are inside given calls, and where the owner made them: a second signal beside metrics."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sre_platform.diagnosis.domain import Evidence, Site
from sre_platform.diagnosis.parsers.goroutines import Bucket, Dump, parse
from sre_platform.diagnosis.rca.code import user_site
from sre_platform.diagnosis.rca.goroutine_growth import calls
from sre_platform.kernel.errors import Malformed


@dataclass(frozen=True)
class Crowd:
    """``count`` goroutines inside the calls; ``site`` is the owner's line that most of them came from."""

    count: int
    site: Site | None


def crowd_in(
    evidence: Mapping[str, Evidence], functions: Collection[str], name: str = "goroutine", *, innermost: bool = False
) -> Crowd | None:
    """The goroutines inside one of ``functions`` in a dump of ``go_goroutines``, the later one unless ``name`` says so.

    ``innermost`` counts only those that wait in the function itself and not in something that it called.
    None when there is no dump that can be read: that is not the same as nobody waiting.
    """
    dump = _dump(evidence, name)
    if dump is None:
        return None
    inside = [b for b in dump.buckets if (_waits_in(b, functions) if innermost else calls(b, *functions))]
    libraries = tuple({_module(function) for function in functions})
    sites = (site for bucket in inside if (site := _owners_line(bucket, libraries)))  # the largest bucket comes first
    return Crowd(sum(bucket.count for bucket in inside), next(sites, None))


def _waits_in(bucket: Bucket, functions: Collection[str]) -> bool:
    shown = (frame.function for frame in bucket.frames if not frame.function.startswith("runtime."))
    return next(shown, "") in functions


def _owners_line(bucket: Bucket, libraries: tuple[str, ...]) -> Site | None:
    """The innermost line that is neither Go's nor of the library whose call was asked for."""
    return user_site(frame for frame in bucket.frames if not frame.function.startswith(libraries))


def _module(function: str) -> str:
    """``github.com/redis/go-redis`` of its functions: host, owner and repository; of Go's own, the package."""
    return "/".join(function.split("/")[:3]) if "." in function.partition("/")[0] else function.partition(".")[0] + "."


def counted(evidence: Mapping[str, Evidence], name: str = "goroutine") -> int | None:
    """All goroutines of a dump, None when there is none that can be read."""
    dump = _dump(evidence, name)
    return dump.total if dump else None


def _dump(evidence: Mapping[str, Evidence], name: str) -> Dump | None:
    seen = evidence.get("go_goroutines")
    document = seen.document(name) if seen else None
    try:
        return parse(document) if document else None
    except Malformed:
        return None
