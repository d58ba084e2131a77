"""Envoy's admin port: runtime keys, which weigh routes, and the statistics of clusters.

The port knows no password: whoever reaches it may do anything to that Envoy. So it has to listen on loopback, or where
nobody but the operators' machines can reach it. Source: https://www.envoyproxy.io/docs/envoy/latest/operations/admin
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from sre_platform.clients import http
from sre_platform.clients.traffic import Counts, buckets, whole
from sre_platform.kernel.errors import Malformed, Rejected
from sre_platform.kernel.exposition import parse
from sre_platform.kernel.sample import Sample

# Shifting traffic back has to be over within five seconds, so one call that hangs must not use them up.
TIMEOUT_S = (1.0, 2.0)
DEADLINE_S = 2.5
MOST_BYTES = 4 * 1024 * 1024


class Envoy:
    """One Envoy by the address of its admin port. All raise Unavailable, Rejected, Malformed."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def runtime(self) -> Mapping[str, str]:
        """The final value of every runtime key that any layer sets."""
        entries = _object(_object(self._call("GET", "/runtime").json()).get("entries"))
        return {key: str(_object(entry).get("final_value", "")) for key, entry in entries.items()}

    def set_runtime(self, values: Mapping[str, int]) -> None:
        """Set runtime keys in the admin layer, all in one snapshot."""
        answer = self._call("POST", f"/runtime_modify?{urlencode(values)}")
        if answer.text.strip() != "OK":  # Envoy says 200 also when it has no layer to write to
            said = answer.text.strip()[:200]
            raise Rejected(
                f"Envoy did not take the runtime values: {said or 'it gave no reason'}.",
                advice="Its bootstrap needs a runtime layer with admin_layer.",
            )

    def counts(self, clusters: Sequence[str]) -> list[Counts]:
        """The requests of each cluster since Envoy started; counts of 0 for one without any."""
        names = "|".join(re.escape(name) for name in clusters)
        query = urlencode({"filter": rf"^cluster\.({names})\.upstream_rq_(xx|time|[1-5]xx)", "usedonly": ""})
        samples = parse(self._call("GET", f"/stats/prometheus?{query}").text)
        return [_counts(samples, name) for name in clusters]

    def _call(self, method: str, path: str) -> http.Response:
        return http.request(method, self._url + path, timeout=TIMEOUT_S, deadline_s=DEADLINE_S, max_bytes=MOST_BYTES)


def _counts(samples: Sequence[Sample], cluster: str) -> Counts:
    codes: dict[str, int] = {}
    for sample in samples:
        labels = dict(sample.labels)
        if sample.name == "envoy_cluster_upstream_rq_xx" and labels.get("envoy_cluster_name") == cluster:
            codes[labels.get("envoy_response_code_class", "")] = whole(sample.value, sample.name)
    of_cluster = {"envoy_cluster_name": cluster}
    return Counts(codes, buckets(samples, "envoy_cluster_upstream_rq_time", of_cluster, 1.0))


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Malformed("Envoy's answer about its runtime is not what its documentation says.")
    return value
