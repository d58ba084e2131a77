from collections.abc import Mapping

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.rca.dependency import finding
from sre_platform.diagnosis.rca.waiting_calls import crowd_in
from sre_platform.diagnosis.rca.window import Window

SLOW_S = 0.08  # 80 ms per call, as seen in traces of services whose name server was the bottleneck
# The Go resolver's lookup and the C library's, both below net.(*Resolver).lookupIPAddr, and a literal resolver call.
WAITS = (
    "net.(*Resolver).lookupIPAddr",
    "net.(*Resolver).goLookupHostOrder",
    "net.cgoLookupHostIP",
    "net.dnsPacketRoundTrip",
)


class DnsSlow:
    """Looking up names takes long before every call that leaves the service.

    Reads ``prometheus_window``: queries ``dns_mean_seconds`` and ``dns_lookups_per_second``, and where there is one
    ``dns_p99_seconds``; and the dump of ``go_goroutines``. The mean decides: a P99 is that of the few cache misses.
    """

    name = "dns_slow"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        window = Window(evidence.get("prometheus_window"))
        mean, rate = window.recent("dns_mean_seconds"), window.recent("dns_lookups_per_second")
        if mean is None or rate is None or rate <= 0 or mean < SLOW_S:
            return None
        p99 = window.recent("dns_p99_seconds")
        tail = f", P99 {p99 * 1e3:.0f} ms" if p99 is not None else ""
        return finding(
            service,
            "dep.dns-slow",
            [f"{service}: a name lookup takes {mean * 1e3:.0f} ms on average{tail}, at {rate:.3g} lookups a second."],
            [
                "Keep connections alive and reuse them: then few calls need a lookup at all.",
                "Write names with a dot at their end, or lower ndots: one question is asked then, not one for each"
                " search domain.",
                "Put a caching resolver on the node, and look at the load of the name servers.",
            ],
            crowd_in(evidence, WAITS),
            "wait for a name server",
            would_decide=[
                "Ask the name server directly (dig, from the same host): if it is fast, it is the way to it."
            ],
        )
