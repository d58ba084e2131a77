"""Looking again at what was repaired: a relapse within the playbook's ``watch_s`` reopens the incident.

Two things tell of one: the criteria of the repair are bad again in so many samples in a row as had told that it was
fixed, or an alert of the incident still fires when the watch ends. (An alert that fires anew joins by itself.) When
nobody can measure any more, because the playbook is gone, that is told once, and the alerts alone are left to tell; it
is told, too, when the last look of all could not see whether the repair lasts.
"""

from datetime import datetime

from sre_platform.catalog.models import topology
from sre_platform.engine.work import Situation
from sre_platform.incidents import record
from sre_platform.incidents.correlate import all_clear
from sre_platform.incidents.models import Incident, TimelineEntry
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import SreError, Unavailable
from sre_platform.playbook import library
from sre_platform.verification import sampling

CLAIM_S = 30.0  # until the next look, if whoever takes this one dies in it, or cannot know how often to look
BLIND = "watch_blind"


def look(incident_id: int) -> bool:
    """Take one look at a watched incident, if it is due; True when it was reopened."""
    incident = record.claim_watch(incident_id, CLAIM_S)
    if incident is None or incident.ended_at is None or incident.watch_until is None:
        return False
    try:
        why, every_s = _measured(incident, incident.ended_at)
    except SreError as error:
        _tell(incident_id, str(error))
        why, every_s = "", CLAIM_S
    if why := why or _still_fires(incident):
        return record.reopen(incident_id, why)
    if _over(incident):
        record.end_watch(incident_id)
    else:
        record.look_again(incident_id, incident.watch_until, every_s)
    return False


def _measured(incident: Incident, fixed_at: datetime) -> tuple[str, float]:
    """What the samples since the repair say, after one more (empty: nothing is bad again); seconds to the next look.

    Raises SreError: when the playbook is gone, and when the last look of all does not see whether it lasts.
    """
    situation = Situation(incident, library.frozen(incident.playbooks), topology())
    step, book = situation.step(), situation.playbook()
    newest = situation.sample(step, step.samples.count())
    bad = sampling.relapse(step, book, fixed_at)
    if newest.good is None and not bad and _over(incident):
        raise Unavailable(f"when the watch ended, {newest.summary}")
    return f"It came back after the repair: {bad}." if bad else "", book.verify.watch_interval_s


def _tell(incident_id: int, why: str) -> None:
    """Once for each repair: two looks at the same time might say it twice, which does no harm."""
    said = TimelineEntry.objects.filter(incident_id=incident_id).order_by("-seq").values_list("name", flat=True)
    if said.first() != BLIND:
        record.append(incident_id, BLIND, f"Nobody measures whether the repair lasts, only alerts tell: {why}")


def _over(incident: Incident) -> bool:
    return incident.watch_until is not None and now() >= incident.watch_until


def _still_fires(incident: Incident) -> str:
    """At the end of the watch: an alert that the repair has not ended. Counters may be slow, but not as slow."""
    if not _over(incident) or all_clear(incident.pk):
        return ""
    return "The watch after the repair is over, and an alert of it still fires."
