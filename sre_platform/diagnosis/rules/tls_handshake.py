from collections.abc import Mapping

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.rca.dependency import finding
from sre_platform.diagnosis.rca.waiting_calls import crowd_in
from sre_platform.diagnosis.rca.window import Window

# The share of handshakes that ended in a time-out. One in a hundred calls lost before it is sent is more than an
# objective of 99% leaves for everything else.
TIMED_OUT_RATIO = 0.01
WAITS = ("crypto/tls.(*Conn).clientHandshake", "net/http.(*persistConn).addTLS")


class TlsHandshake:
    """Calls fail before they are sent, because the TLS handshake with the other side times out.

    Reads ``prometheus_window``: queries ``tls_handshakes_per_second`` (begun, so with those that failed) and
    ``tls_handshake_timeouts_per_second``, and where there is one ``tls_handshake_p99_seconds``; and ``go_goroutines``.
    """

    name = "tls_handshake"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        window = Window(evidence.get("prometheus_window"))
        rate, lost = window.recent("tls_handshakes_per_second"), window.recent("tls_handshake_timeouts_per_second")
        if not rate or lost is None or rate < 0 or lost / rate <= TIMED_OUT_RATIO:
            return None
        p99 = window.recent("tls_handshake_p99_seconds")
        tail = f"; the P99 of a handshake is {p99 * 1e3:.0f} ms" if p99 is not None else ""
        return finding(
            service,
            "dep.tls-handshake",
            [f"{service}: {min(1.0, lost / rate):.0%} of {rate:.3g} TLS handshakes a second time out{tail}."],
            [
                "Reuse connections (MaxIdleConnsPerHost, bodies read to their end and closed): every new one costs a"
                " handshake.",
                "Let clients resume sessions (ClientSessionCache), and look at the CPU of what ends TLS on the other"
                " side.",
            ],
            crowd_in(evidence, WAITS),
            "are inside a TLS handshake",
            would_decide=[
                "A handshake by hand (openssl s_client) from another host tells the other side from the way to it."
            ],
        )
