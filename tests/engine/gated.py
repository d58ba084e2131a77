"""Services and incidents for those who want to get through the gate, and steps that nobody has to carry out."""

from sre_platform.catalog.models import Service, topology
from sre_platform.engine.work import Work
from sre_platform.incidents.domain import State
from sre_platform.incidents.models import Incident, IncidentAlert
from sre_platform.intake.models import Alert
from sre_platform.playbook.schema import parse_playbook
from sre_platform.remediation.models import Step
from tests.engine.story import IN_SCOPE
from tests.fakes.leases import incident, take

BOOK = """
name: any
summary: Whatever is wrong, start it afresh.
match: {alerts: ["*"]}
collect: [process]
diagnose: {rules: [process_down]}
remediate: [restart_service]
proof: [payments/killed]
"""
BOOKS = {"any": parse_playbook(BOOK)}


def services(*names: str, **fields) -> None:
    Service.objects.bulk_create(Service(name=name, labels=IN_SCOPE, **fields) for name in names)


def work_on(about: Incident) -> Work:
    """As the next owner of the incident gets it."""
    lease = take(about.pk)
    about.refresh_from_db()
    return Work(about, BOOKS, topology(), lease)


def opened(service: str, key: str = "") -> Incident:
    """An incident whose one alert fires: quietly, so that no service that depends on this one is judged a victim."""
    about = incident(State.DIAGNOSED, service=service, key=key or service)
    fields = {"name": "Down", "service": service, "labels": {}, "annotations": {}, "quiet": "a test's"}
    fires = Alert.objects.create(fingerprint=f"alert of {about.pk}", starts_at=about.opened_at, **fields)
    IncidentAlert.objects.create(incident=about, alert=fires, reason="opened the incident")
    return about


def step_for(about: Incident, service: str) -> Step:
    """An unsaved restart that captures evidence first and takes the only instance away."""
    plan = {"reach": {"total": 1, "ready": 1, "takes": 1}, "first": [{"action": "capture_evidence", "says": "Look"}]}
    fields = {"cause": "c", "action": "restart_service", "says": "s", "aim": {}, "undo": {}, "playbook": "any"}
    return Step(incident=about, target=service, plan=plan, **fields)
