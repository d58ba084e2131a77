from collections.abc import Iterator, Mapping, Sequence
from math import inf

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.parsers.crash import Crash, crashes
from sre_platform.diagnosis.parsers.supervisor_log import End, ends
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
        if state not in LOOPS and not (state in MAY_LOOP and len(lately) >= MANY_EXITS):
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


def _lately(process: Evidence, log: Evidence | None) -> list[End]:
    """The ends of the last minute that came by themselves, since somebody last stopped it.

    A process that runs again has got over those that came before it ever ran.
    """
    text = log.document("supervisor") if log else None
    found = ends(text, str(process.data.get("process"))) if isinstance(text, str) else []
    left_s = WITHIN_S - _since_end_s(process)
    asked = max((at for at, one in enumerate(found) if one.asked), default=-1)
    runs = process.data.get("state") == "RUNNING"
    own = [one for one in found[asked + 1 :] if one.ran or not runs]
    return [one for one in own if (found[-1].at - one.at).total_seconds() <= left_s]


def _since_end_s(process: Evidence) -> float:
    """Seconds since its last end, of which supervisord's log tells only the local time; endless when unknown."""
    seconds = process.data.get("since_end_s")
    return float(seconds) if isinstance(seconds, int) and 0 <= seconds <= WITHIN_S else inf


def _last_words(log: Evidence | None) -> Crash | None:
    text = log.document("output") if log else None
    found = crashes(text) if isinstance(text, str) else []
    return found[-1] if found and found[-1].lines_after <= RECENT_LINES else None


def _because(service: str, process: Evidence, lately: Sequence[End]) -> Iterator[str]:
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
