from collections.abc import Mapping

from sre_platform.diagnosis.domain import Evidence, Finding

DOWN = frozenset({"EXITED", "STOPPED"})  # FATAL was started as often as its supervisor may: that is a crash loop
CONFIDENCE = 0.95


class ProcessDown:
    """The process supervisor says that the process is not there."""

    name = "process_down"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        seen = evidence.get("process")
        if seen is None or seen.data.get("state") not in DOWN:
            return None
        data = seen.data
        return Finding(
            cause="process_down",
            family="process",
            service=service,
            confidence=CONFIDENCE,
            evidence="probe",
            state=data["state"],
            because=[
                f"{service}: its supervisor says {data['state']} for {data['down_s']} s, {_ended(data['exit_status'])},"
                " and does not start it again by itself.",
            ],
            advice=[f"Look at the last lines of {service}'s log for why it ended."],
        )


def _ended(status: int) -> str:
    """How it ended; supervisord has no exit status, and says -1, for a process that a signal ended."""
    return "ended by a signal" if status < 0 else f"ended with status {status}"
