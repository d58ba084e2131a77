"""A Kubernetes API server, spoken to by the official client through the one door: bounded, never retried, errors typed.

Objects are plain JSON as the server sent it, not the client's typed models: those drop every field that they do not
know, which would be lost from a template that is written back.
Source: https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlencode

from sre_platform.clients import http
from sre_platform.clients.kubeconfig import Access, configuration
from sre_platform.clients.kubernetes_shapes import checked
from sre_platform.kernel.errors import Malformed, Rejected, TooLarge, Unavailable
from sre_platform.kernel.redaction import redact_text
from sre_platform.kernel.storable import storable_text

CONNECT_S, SILENCE_S, DEADLINE_S = 2.0, 10.0, 20.0  # a healthy API server answers within 1 s (its own objective)
MAX_BYTES = 16 * 1024 * 1024
MAX_ITEMS = 500  # of one list: kubectl's own page
JSON_PATCH = "application/json-patch+json"


class Refused(Rejected):
    """The server said no: ``status`` is its HTTP status, such as 409 for a conflict or 422 for a failed test."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Missing(Refused):
    """There is no such object."""


class Throttled(Unavailable):
    """429: not done, because of too many requests or of a disruption budget."""


@dataclass(frozen=True)
class Write:
    """One request that changes something: a JSON Patch (RFC 6902) whose tests lock what was seen, or an object."""

    method: str
    path: str
    body: Any


class Cluster:
    """One API server as one user sees it. Nothing is read or sent before the first call."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._client: Any = None

    def get(self, path: str) -> dict[str, Any]:
        """One object. Raises Missing, Refused, Unavailable, TooLarge, Malformed; so do the others."""
        return checked(self._call("GET", path), path)

    def items(self, path: str, selector: str = "") -> list[dict[str, Any]]:
        """All objects of a list. Raises TooLarge, too, when there are more than ``MAX_ITEMS``."""
        query = {"limit": str(MAX_ITEMS)} | ({"labelSelector": selector} if selector else {})
        found = self._call("GET", path, query=query)
        metadata = found.get("metadata")
        if isinstance(metadata, dict) and metadata.get("continue"):
            raise TooLarge(f"Kubernetes has more than {MAX_ITEMS} objects at {path}.")
        listed = found.get("items")
        if listed is not None and not isinstance(listed, list):
            raise Malformed(f"Kubernetes answered GET {path} with something that is not a list.")
        return [checked(item, path) for item in listed or ()]

    def send(self, write: Write) -> dict[str, Any]:
        """Make a change, once: a lost answer raises Unavailable and is not tried again."""
        return self._call(write.method, write.path, write.body)

    def rehearse(self, write: Write) -> dict[str, Any]:
        """Have the server admit a change without making it (``dryRun=All``); what it would become. Raises Refused."""
        return self._call(write.method, write.path, write.body, {"dryRun": "All"})

    def _call(self, method: str, path: str, body: Any = None, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        headers = {"Content-Type": JSON_PATCH if method == "PATCH" else "application/json"}
        answer: http.Response = self._opened().call_api(
            path,
            method,
            query_params=query or {},
            header_params={"Accept": "application/json"} | headers,
            body=body,
            auth_settings=["BearerToken"],
            _preload_content=False,
            _request_timeout=(CONNECT_S, SILENCE_S),
        )
        if answer.status >= 300:
            raise _refusal(method, path, answer)
        found = answer.json()
        if not isinstance(found, dict):
            raise Malformed(f"Kubernetes answered {method} {path} with something that is not an object.")
        return found

    def _opened(self) -> Any:
        if self._client is None:
            self._client = _client(self._access)
        return self._client


def _client(access: Access) -> Any:
    """The official client, with its transport led through the one door.

    Its own reads the body of a refusal without a bound, retries what urllib3 retries, and logs what it got.
    """
    settings = configuration(access)
    from kubernetes.client import ApiClient

    client = ApiClient(settings)
    client.user_agent = "sre-platform"  # the manager's name in the objects' managedFields, and in audit logs
    client.request = partial(_send, client.rest_client.pool_manager)
    return client


def _send(
    pools: Any,
    method: str,
    url: str,
    query_params: Any = None,
    headers: Mapping[str, str] | None = None,
    body: Any = None,
    _request_timeout: tuple[float, float] = (CONNECT_S, SILENCE_S),
    **_: Any,
) -> http.Response:
    """What ``ApiClient.call_api`` hands its request to, with the parameters that it gives."""
    return http.request_over(
        pools,
        method,
        f"{url}?{urlencode(query_params)}" if query_params else url,
        data=None if body is None else json.dumps(body).encode(),
        headers=headers,
        timeout=_request_timeout,
        max_bytes=MAX_BYTES,
        deadline_s=DEADLINE_S,
    )


def _refusal(method: str, path: str, answer: http.Response) -> Rejected | Unavailable:
    message = f"Kubernetes answered {answer.status} to {method} {path}: {_said(answer)}"
    if answer.status == 429:
        return Throttled(message)
    if answer.status >= 500:
        return Unavailable(message)
    return Missing(message, answer.status) if answer.status == 404 else Refused(message, answer.status)


def _said(answer: http.Response) -> str:
    """The message of a Status object, or the beginning of whatever came."""
    try:
        found = answer.json()
    except Malformed:
        found = None
    text = found.get("message") if isinstance(found, dict) else answer.text
    return redact_text(storable_text(str(text or "(no reason given)")[:300]))
