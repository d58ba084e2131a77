"""A service's control endpoint: settings, circuit breakers and feature flags, each a small JSON object with an ETag.

``GET URL/settings/NAME`` answers ``{"value": n, ...}``; ``PUT`` with ``If-Match`` changes it only while it is as it was
read (RFC 9110, 13.1.1), so a write that arrives late, or from an owner that is no more, changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from sre_platform.clients import http
from sre_platform.kernel.errors import Malformed, Untouched

MAX_BYTES = 64 * 1024  # of an answer that holds a few numbers
MAX_ETAG = 200
DEADLINE_S = 5.0  # two of them and a write fit well into a lease


class Changed(Untouched):
    """Somebody else has changed it since it was read (412)."""


@dataclass(frozen=True)
class Document:
    """One object of the endpoint, and its version; ``etag`` is empty when the endpoint gives none."""

    content: Mapping[str, Any]
    etag: str


@dataclass(frozen=True)
class Control:
    """A control endpoint, and the token that it wants (empty: none)."""

    url: str
    token: str = field(default="", repr=False)

    def address(self, kind: str, name: str) -> str:
        """Where ``name`` of this ``kind`` (settings, breakers, flags) stands."""
        return f"{self.url.rstrip('/')}/{kind}/{quote(name, safe='')}"

    def read(self, kind: str, name: str) -> Document:
        """What stands there. Raises Rejected (404, 401), Unavailable, TooLarge and Malformed."""
        answer = self._ask("GET", self.address(kind, name), None, {})
        content, etag = answer.json(), answer.headers.get("etag", "")
        if not isinstance(content, dict) or len(etag) > MAX_ETAG:
            raise Malformed(f"{answer.url} answered with something that is no control document.")
        return Document(content, etag)

    def write(self, kind: str, name: str, content: Mapping[str, Any], etag: str) -> None:
        """Replace it, if it still has this ``etag``. Raises Changed, and as ``read`` does.

        After Unavailable it is not known whether it was written.
        """
        self._ask("PUT", self.address(kind, name), content, {"If-Match": etag} if etag else {})

    def _ask(self, method: str, url: str, json: Any, headers: Mapping[str, str]) -> http.Response:
        bearer = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        answer = http.request(
            method,
            url,
            json=json,
            headers={**headers, **bearer},
            deadline_s=DEADLINE_S,
            max_bytes=MAX_BYTES,
            raise_for_status=False,
        )
        if answer.status == 412:
            raise Changed(f"{answer.url} was changed by somebody else after it had been read.")
        http.check_status(answer, method)
        return answer
