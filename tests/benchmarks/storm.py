"""A storm of 50,000 alerts of 500 services in 60 s against the real installation."""

from time import perf_counter, sleep
from typing import Any

from tests.benchmarks.stack import Reader, measured, rows, send

ALERTS, A_DELIVERY, SECONDS = 50_000, 50, 60.0
WITHIN_S = 240.0


def storm(database: str) -> dict[str, Any]:
    """What became of it."""
    with measured(database) as it:
        reader = Reader(it.environment["SRE_BASE_URL"])
        reader.start()
        deliveries = ALERTS // A_DELIVERY
        sent = send(it, it.web_port, A_DELIVERY, SECONDS + 60, 4, deliveries, 4 * SECONDS / deliveries)
        ended = perf_counter()
        while pending(it) and perf_counter() - ended < WITHIN_S:
            sleep(0.2)
        took = perf_counter() - ended
        reader.over.set()
        reader.join()
        known = rows(it, "select count(*) from intake_alert")[0][0]
        incidents = rows(it, "select count(*) from incidents_incident where parent_id is null")[0][0]
        homeless = rows(
            it,
            "select count(*) from intake_alert a left join incidents_incidentalert m on m.alert_id = a.id"
            " where m.id is null",
        )[0][0]
        return {
            "sent_in_s": sent["seconds"],
            "answers": sent["answers"],
            "p99_ms": sent["p99_ms"],
            "digested_after_s": took,
            "lost": ALERTS - known,
            "without_incident": homeless,
            "incidents_to_look_at": incidents,
            "dashboard_max_s": max(reader.seconds),
            "dashboard_looks": len(reader.seconds),
        }


def pending(it: Any) -> int:
    return int(rows(it, "select count(*) from intake_delivery where state = 'pending'")[0][0])
