"""A delivery becomes alerts, alerts become incidents: one transaction, so that it happens wholly or not at all."""

from django.db import transaction

from sre_platform.catalog.models import topology
from sre_platform.incidents import correlate, record
from sre_platform.intake import receive
from sre_platform.intake.models import Delivery
from sre_platform.kernel.errors import Malformed, Unknown


@transaction.atomic
def digest(delivery_id: int) -> list[int]:
    """Digest a pending delivery; returns the incidents whose next stage may run. Empty when it was digested before."""
    delivery = receive.claim(delivery_id)
    if delivery is None:
        return []
    known, fates, touched = topology(), [], set()
    try:
        items = receive.alerts_of(delivery)
    except (Malformed, Unknown) as error:  # stored by a version that could read it: once is enough
        Delivery.objects.filter(pk=delivery.pk).update(state=Delivery.State.REJECTED, fate=str(error))
        return []
    for item in items:
        placed = correlate.place(item.alert, known)
        fates.append(placed.fate + (", and resolved now" if item.just_resolved else ""))
        if placed.incident_id:
            touched.add(placed.incident_id)
            if item.just_resolved and correlate.all_clear(placed.incident_id):
                record.append(placed.incident_id, "alerts_clear", f"{item.alert} resolved; no alert fires any more.")
                record.wake(placed.incident_id)
    Delivery.objects.filter(pk=delivery.pk).update(fate="; ".join(fates) or "no alerts in it")
    return sorted(touched)
