"""Looking again at what was repaired: a relapse within the playbook's ``watch_s`` reopens the incident.

Two things tell of one: the criteria of the repair are bad again in so many samples in a row as had told that it was
fixed, or an alert of the incident still fires when the watch ends. (An alert that fires anew joins by itself.)
"""

from sre_platform.catalog.models import topology
from sre_platform.engine.work import Situation
from sre_platform.incidents import record
from sre_platform.incidents.correlate import all_clear
from sre_platform.incidents.models import Incident
from sre_platform.kernel.clock import now
from sre_platform.playbook import library
from sre_platform.verification import sampling

CLAIM_S = 30.0  # until the next look, if whoever takes this one dies in it


def look(incident_id: int) -> bool:
    """Take one look at a watched incident, if it is due; True when it was reopened. Raises SreError."""
    incident = record.claim_watch(incident_id, CLAIM_S)
    if incident is None or incident.ended_at is None or incident.watch_until is None:
        return False
    situation = Situation(incident, library.frozen(incident.playbooks), topology())
    why = _measured(situation) or _still_fires(incident)
    if why:
        return record.reopen(incident_id, why)
    if now() >= incident.watch_until:
        record.end_watch(incident_id)
    else:
        record.look_again(incident_id, incident.watch_until, situation.playbook().verify.watch_interval_s)
    return False


def _measured(situation: Situation) -> str:
    """What the samples since the repair say, after one more; empty: nothing is bad again."""
    step, fixed_at = situation.step(), situation.incident.ended_at
    if fixed_at is None:
        return ""
    situation.sample(step, step.samples.count())
    bad = sampling.relapse(step, situation.playbook(), fixed_at)
    return f"It came back after the repair: {bad}." if bad else ""


def _still_fires(incident: Incident) -> str:
    """At the end of the watch: an alert that the repair has not ended. Counters may be slow, but not as slow."""
    if incident.watch_until is None or now() < incident.watch_until or all_clear(incident.pk):
        return ""
    return "The watch after the repair is over, and an alert of it still fires."
