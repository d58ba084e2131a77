"""GOMEMLIMIT for a process, from the limit of its control group and from what of its memory is not Go's."""

from sre_platform.diagnosis.parsers import cgroup, exposition, proc
from sre_platform.diagnosis.rca.documents import Documents
from sre_platform.diagnosis.rca.tuning import Setting, gomemlimit


def memory_limit(documents: Documents) -> Setting | None:
    """GOMEMLIMIT by ``memory.max`` of ``host``; None when there is no limit, or nothing is left under it."""
    most = documents.text("host", "cgroup/memory.max", cgroup.memory_bytes)
    return gomemlimit(most, outside_bytes(documents)) if most else None


def outside_bytes(documents: Documents) -> float:
    """Anonymous memory in use beyond what the runtime counts against GOMEMLIMIT; 0 when that is not known.

    The runtime counts what it mapped less what it gave back: Sys - HeapReleased (runtime/debug.SetMemoryLimit). It may
    have mapped what it never touched, so this is a lower bound of what cgo and others hold.
    """
    status = documents.text("host", "status", proc.status)
    page = documents.text("go_runtime", "metrics", exposition.parse_go)
    mapped = page.value("go_memstats_sys_bytes") if page else None
    released = page.value("go_memstats_heap_released_bytes") if page else None
    if status is None or status.rss_anon_bytes is None or mapped is None or released is None:
        return 0.0
    return max(0.0, status.rss_anon_bytes - (mapped - released))
