from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.parsers.crash import Crash, crashes
from sre_platform.diagnosis.parsers.supervisor_log import Exit, exits
from sre_platform.diagnosis.rca.crash_site import crash_site

# supervisord's words: in BACKOFF it ended before it counted as started, and is tried again; in FATAL that was tried as
# often as its configuration allows (http://supervisord.org/subprocess.html).
LOOPS = frozenset({"BACKOFF", "FATAL"})
MAY_LOOP = frozenset({"STARTING", "RUNNING", "EXITED"})
WITHIN_S = 60  # ours: what ends that often within a minute does not stay up long enough to be of use
MANY_EXITS = 3  # ours: one is an accident, a second one may be its restart
RECENT_LINES = 100  # ours: as much as a start may say before it fails again; an older crash explains nothing
WITH_REASON, WITHOUT_REASON = 0.97, 0.96  # both above process_down's 0.95: that it is not there follows from it


class CrashLoop:
    """The process ends as soon as it is started, again and again; its last words may name the line.

    Reads ``process`` and ``process_log``. Only what happened by itself counts: what somebody stopped does not.
    """

    name = "crash_loop"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        process, log = evidence.get("process"), evidence.get("process_log")
        if process is None or process.missing:
            return None
        state, lately = str(process.data.get("state")), _lately(process, log)
        if state not in LOOPS and not (state in MAY_LOOP and len(lately) >= MANY_EXITS and _is_now(process)):
            return None
        crash = _last_words(log)
        return Finding(
            cause="crash_loop",
            family="process",
            service=service,
            confidence=WITH_REASON if crash else WITHOUT_REASON,
            evidence="probe",
            state=state,
            because=[*_because(service, process, lately), *_why(crash)],
            would_decide=["The same release started by hand with the same configuration: it has to end the same way."],
            advice=["It must not be started again and again as it is: go back, or change what its last words name."],
            site=crash_site(crash) if crash else None,
            count=len(lately) or None,
        )


def _lately(process: Evidence, log: Evidence | None) -> list[Exit]:
    """The ends by itself in the minute before the last one."""
    text = log.document("supervisor") if log else None
    found = exits(text, str(process.data.get("process"))) if isinstance(text, str) else []
    return [one for one in found if found[-1].at - one.at <= timedelta(seconds=WITHIN_S)]


def _is_now(process: Evidence) -> bool:
    """Whether its last start or end is not long ago: a process that has been up for longer has got over it."""
    since = [process.data.get(name) for name in ("up_s", "down_s")]
    return all(isinstance(seconds, int | float) and seconds <= WITHIN_S for seconds in since)


def _last_words(log: Evidence | None) -> Crash | None:
    text = log.document("output") if log else None
    found = crashes(text) if isinstance(text, str) else []
    return found[-1] if found and found[-1].lines_after <= RECENT_LINES else None


def _because(service: str, process: Evidence, lately: Sequence[Exit]) -> Iterator[str]:
    complaint = str(process.data.get("complaint") or "").rstrip(".")
    yield f"{service}: its supervisor says {process.data.get('state')}{f' ({complaint})' if complaint else ''}."
    if lately:
        span_s = (lately[-1].at - lately[0].at).total_seconds()
        times = f"{len(lately)} times within {max(1, round(span_s))} s" if len(lately) > 1 else "once"
        yield f"It ended by itself {times}, the last time with {lately[-1].how}."


def _why(crash: Crash | None) -> Iterator[str]:
    if crash:
        site = crash_site(crash)
        yield f"The last words in its log are {crash.said!r}{f', at {site} in {site.function}' if site else ''}."
