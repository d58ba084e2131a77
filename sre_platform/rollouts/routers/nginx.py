from collections import Counter

from sre_platform.catalog.domain import Target
from sre_platform.catalog.routes import CanaryProcess, NginxRoute
from sre_platform.clients.exposition import fetch
from sre_platform.clients.traffic import Counts, Observed, Weights, buckets, whole
from sre_platform.remediation.traffic import NginxWeights

SECOND_MS = 1000.0
LOOK_S = 1.0  # both pages are read once a second


class NginxRouter:
    """Weighs two upstreams by an include file of nginx, and reads what each served from the versions' own metrics.

    The open-source nginx counts nothing by upstream. So what a version refused, or left unanswered, is not in its
    counts; a canary that does not answer is found by its process and its health page.
    """

    name = "nginx"
    Handle = NginxRoute
    handles = (NginxRoute, CanaryProcess)

    def read(self, target: Target) -> Weights:
        return NginxWeights(target.held_by(NginxRoute)).read()

    def set(self, target: Target, weights: Weights) -> None:
        NginxWeights(target.held_by(NginxRoute)).set(weights)

    def observe(self, target: Target) -> Observed:
        handle, canary = target.held_by(NginxRoute), target.held_by(CanaryProcess)
        return Observed(_counts(target.metrics_url, handle), _counts(canary.metrics_url, handle))


def _counts(url: str, handle: NginxRoute) -> Counts:
    samples, codes = fetch(url, LOOK_S), Counter[str]()
    for sample in samples:
        if sample.name == handle.requests:
            labels = dict(sample.labels)
            codes[(labels.get("code") or labels.get("status") or "?")[0]] += whole(sample.value, sample.name)
    return Counts(codes, buckets(samples, handle.durations, {}, SECOND_MS))
