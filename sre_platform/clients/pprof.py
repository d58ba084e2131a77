"""Ask a Go service's /debug/pprof, with credentials that are named in the catalog and read from the environment.

The secret stands in no row, no log line and no message: an error that repeats it is told without it.
Profiles and their query parameters: https://pkg.go.dev/net/http/pprof
"""

import base64
import os
from dataclasses import dataclass

from sre_platform.clients import http
from sre_platform.kernel.errors import Malformed, SreError, Unavailable
from sre_platform.kernel.redaction import HIDDEN

MAX_BYTES = 64 * 1024 * 1024
CONNECT_S, SILENCE_S = 1.0, 4.0  # a full dump of 20,000 goroutines begins to answer within 0.6 s


@dataclass(frozen=True)
class Door:
    """Where a service's profiles are (ends in /debug/pprof), and the variables that hold what opens it, if any."""

    base_url: str
    bearer_env: str = ""
    basic_env: str = ""

    def shown(self, profile: str) -> str:
        """The request as it may be told: without user, password and secrets."""
        return f"GET {http.shown(self.base_url).rstrip('/')}/{profile}"

    def fetch(self, profile: str, *, deadline_s: float, silence_s: float = SILENCE_S, max_bytes: int = 0) -> bytes:
        """One profile, like ``heap`` or ``goroutine?debug=1``; everything after the connection within ``deadline_s``.

        ``silence_s`` is how long the service may say nothing: a CPU profile of 2 s says nothing for 2 s.
        Raises Unavailable, Rejected, TooLarge, Malformed.
        """
        header = _authorization(self.bearer_env, self.basic_env)
        try:
            answer = http.request(
                "GET",
                f"{self.base_url.rstrip('/')}/{profile}",
                headers={"Authorization": header} if header else None,
                timeout=(CONNECT_S, silence_s),
                deadline_s=deadline_s,
                max_bytes=max_bytes or MAX_BYTES,
            )
        except SreError as error:
            raise _without(error, header) from None
        return answer.body


def _authorization(bearer_env: str, basic_env: str) -> str:
    """The header's value, or the empty string when none is wanted."""
    if not (bearer_env or basic_env):
        return ""
    secret = os.environ.get(bearer_env or basic_env, "").strip()
    if not secret:
        raise Unavailable(f"pprof_auth names {bearer_env or basic_env}, which is not set in the worker's environment.")
    if not secret.isprintable() or (basic_env and ":" not in secret):
        raise Malformed(f"What {bearer_env or basic_env} holds is no {'token' if bearer_env else 'user:password'}.")
    return f"Bearer {secret}" if bearer_env else f"Basic {base64.b64encode(secret.encode()).decode()}"


def _without(error: SreError, header: str) -> SreError:
    """The same error without the secret, which a server may have sent back."""
    said = str(error)
    for secret in (header, header.partition(" ")[2]):
        said = said.replace(secret, HIDDEN) if secret else said
    return type(error)(said)
