"""The one door for outgoing HTTP: bounded in bytes and in time, never redirected, errors typed.

Every other client goes through ``request``. Refused are schemes other than http and https, and the addresses where
clouds serve credentials to whoever asks, link-local (169.254.0.0/16, fe80::/10) or not; also when a host name resolves
to one.
"""

import contextlib
import ipaddress
import json as jsonlib
import os
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import PoolManager, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from sre_platform.kernel.errors import Malformed, Rejected, SreError, TooLarge, Unavailable
from sre_platform.kernel.redaction import redact_text
from sre_platform.kernel.storable import storable_text

MAX_BYTES = 16 * 1024 * 1024
_CHUNK = 64 * 1024
# The clouds' metadata services that are not link-local, as they document them: AWS's and Google's by IPv6, Alibaba's.
_METADATA = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200")))
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last four bytes are the IPv4 address that is reached
_local = threading.local()


def _forget_connections() -> None:
    _local.__dict__.clear()


# A forked child (a Celery worker) must not write into its parent's open connections.
os.register_at_fork(after_in_child=_forget_connections)


@dataclass(frozen=True)
class Response:
    """What the other side answered. ``headers`` have lower-case names; ``body`` is already decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str = ""

    @property
    def text(self) -> str:
        """The body as UTF-8; bytes that are none become U+FFFD."""
        return self.body.decode("utf-8", errors="replace")

    def json(self) -> Any:
        """The body as JSON. Raises Malformed."""
        try:
            return jsonlib.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise Malformed(f"{self.url} answered with something that is not JSON: {error}.") from error


def request(
    method: str,
    url: str,
    *,
    json: Any = None,
    data: bytes | str | Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    auth: tuple[str, str] | None = None,
    timeout: tuple[float, float] = (2.0, 5.0),
    max_bytes: int = MAX_BYTES,
    deadline_s: float = 30.0,
    raise_for_status: bool = True,
) -> Response:
    """Send one request and read the whole answer.

    ``timeout`` is (connect, silence between two reads) and ``deadline_s`` bounds everything after the look-up of the
    host name, however slowly the answer drips; all in seconds. ``max_bytes`` bounds the decompressed body.

    Raises Unavailable (not reached, too slow, 5xx, 429), Rejected (other statuses from 300 on, a refused address),
    TooLarge, Malformed (not a URL). With ``raise_for_status=False`` every status is returned as it came.
    """
    check_url(url)
    with _bounded(method, url, deadline_s) as deadline:
        response = _exchange(method, url, json, data, headers, auth, deadline.capped(timeout), max_bytes)
    if raise_for_status:
        check_status(response, method)
    return response


def request_over(
    pools: PoolManager,
    method: str,
    url: str,
    *,
    data: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: tuple[float, float] = (2.0, 5.0),
    max_bytes: int = MAX_BYTES,
    deadline_s: float = 30.0,
) -> Response:
    """As ``request``, over the pools of a client that has trust, certificates and keys of its own in them.

    Every status is returned as it came; nothing is retried. Raises Unavailable, Rejected, TooLarge, Malformed.
    """
    check_url(url)
    pools.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
    with _bounded(method, url, deadline_s) as deadline:
        connect_s, silence_s = deadline.capped(timeout)
        answer = pools.request(
            method,
            url,
            body=data,
            headers=dict(headers or {}),
            timeout=Timeout(connect=connect_s, read=silence_s),
            retries=False,
            redirect=False,
            preload_content=False,
        )
        try:
            body = _read(answer.stream(_CHUNK, decode_content=True), url, max_bytes)
        finally:
            answer.close()
    return Response(answer.status, {name.lower(): value for name, value in answer.headers.items()}, body, shown(url))


@contextlib.contextmanager
def _bounded(method: str, url: str, deadline_s: float) -> Iterator["_Deadline"]:
    with _Deadline(deadline_s) as deadline:
        try:
            yield deadline
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            raise _translated(error, deadline, method, url) from error
    if deadline.passed:  # A body that ends with its connection looks complete when the deadline has cut it.
        raise _too_slow(deadline, method, url)


def _exchange(
    method: str,
    url: str,
    json: Any,
    data: bytes | str | Mapping[str, Any] | None,
    headers: Mapping[str, str] | None,
    auth: tuple[str, str] | None,
    timeout: tuple[float, float],
    max_bytes: int,
) -> Response:
    with _session().request(
        method,
        url,
        json=json,
        data=data,
        headers=headers,
        auth=auth,
        timeout=timeout,
        allow_redirects=False,
        stream=True,
    ) as answer:
        body = _read(answer.iter_content(_CHUNK), url, max_bytes)
        lowered = {name.lower(): value for name, value in answer.headers.items()}
        return Response(answer.status_code, lowered, body, shown(url))


def _read(chunks: Iterable[bytes], url: str, max_bytes: int) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > max_bytes:
            raise TooLarge(f"{shown(url)} answered with more than {max_bytes} bytes.")
    return bytes(body)


def check_url(url: str) -> None:
    """Raises Malformed unless ``url`` is an absolute http or https URL."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise Malformed(f"{url[:200]!r} is not an http:// or https:// URL.")


def shown(url: str) -> str:
    """``url`` as it may stand in a message: without user, password, query and fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def check_status(response: Response, method: str) -> None:
    """Raises Unavailable (5xx, 429) or Rejected (other statuses from 300 on), with the beginning of the answer."""
    if response.status < 300:
        return
    message = f"{method} {response.url} answered {response.status}: {redact_text(storable_text(response.text[:200]))}"
    if response.status >= 500 or response.status == 429:
        raise Unavailable(message)
    raise Rejected(message, advice="Redirects are not followed." if response.status < 400 else "")


def _translated(error: Exception, deadline: "_Deadline", method: str, url: str) -> SreError:
    if deadline.passed:
        return _too_slow(deadline, method, url)
    if isinstance(error, ValueError) and not isinstance(error, requests.ConnectionError):
        return Malformed(f"{method} {shown(url)} cannot be sent: {error}.")
    if isinstance(error, requests.Timeout):
        return Unavailable(f"{method} {shown(url)} timed out.")
    return Unavailable(f"{method} {shown(url)} failed: {_reason(error)}.")


def _too_slow(deadline: "_Deadline", method: str, url: str) -> Unavailable:
    return Unavailable(f"{method} {shown(url)} did not finish within {deadline.seconds:g} s.")


def _reason(error: Exception) -> str:
    """The innermost cause without urllib3's wrapping, which repeats the whole URL with the secrets in its query."""
    cause = getattr(error.args[0], "reason", error.args[0]) if error.args else error
    return str(cause).rpartition("): ")[2] or type(error).__name__


def _session() -> requests.Session:
    """This thread's session: connections are kept, no cookie is, and nothing but SRE_CA_BUNDLE is taken from outside.

    That is a file of certificates to trust instead of the usual ones, for services behind an authority of their own.
    """
    session: requests.Session | None = getattr(_local, "session", None)
    if session is None:
        session = _local.session = requests.Session()
        session.trust_env = False
        session.verify = os.environ.get("SRE_CA_BUNDLE") or True
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        session.mount("http://", _Adapter())
        session.mount("https://", _Adapter())
    return session


class _Deadline:
    """Cuts the connection of this thread's request when the time is up.

    A read timeout starts anew with every byte, so a server that drips one byte a second holds a reader for ever; only
    shutting the socket down from outside ends that.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.passed = False
        self.sock: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> "_Deadline":
        _local.deadline = self
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            self.sock = None
        _local.deadline = None

    def capped(self, timeout: tuple[float, float]) -> tuple[float, float]:
        """``timeout`` with neither part longer than the deadline."""
        return min(timeout[0], self.seconds), min(timeout[1], self.seconds)

    def watch(self, sock: socket.socket) -> None:
        """From now on ``sock`` is the one to cut."""
        with self._lock:
            self.sock = sock

    def _cut(self) -> None:
        with self._lock:
            self.passed = True
            if self.sock is not None:
                _shut(self.sock)


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # Already closed: the other side was faster.
        # The plain socket's method: SSLSocket.shutdown would take the TLS object away from the thread that reads it.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _refuse_link_local(host: str, address: str) -> None:
    ip = reached = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        reached = ipaddress.IPv4Address(ip.packed[-4:]) if ip in _NAT64 else ip.ipv4_mapped or ip
    if reached.is_link_local or reached in _METADATA:
        kind = "link-local" if reached.is_link_local else "metadata"
        raise Rejected(f"{host} is the {kind} address {ip}, which is never called from here.")


class _Guarded(HTTPConnection):
    """A connection that refuses link-local peers and tells the deadline which socket it uses."""

    deadline_sock: socket.socket | None = None

    def _new_conn(self) -> socket.socket:
        for *_, address in _resolved(self.host, self.port):
            _refuse_link_local(self.host, str(address[0]))
        sock = super()._new_conn()
        try:
            # A second time, on what was really reached: the name may have been answered differently just now.
            _refuse_link_local(self.host, sock.getpeername()[0])
        except (Rejected, OSError):
            sock.close()
            raise
        self.deadline_sock = sock
        self._watched()
        return sock

    def connect(self) -> None:
        super().connect()
        # For TLS this is another object than the one of _new_conn, which is detached. Until here, during the
        # handshake, only the read timeout bounds the wait.
        self.deadline_sock = self.sock
        self._watched()

    def putrequest(self, *args: Any, **kwargs: Any) -> None:
        self._watched()
        super().putrequest(*args, **kwargs)

    def _watched(self) -> None:
        deadline: _Deadline | None = getattr(_local, "deadline", None)
        if deadline is not None and self.deadline_sock is not None:
            deadline.watch(self.deadline_sock)


def _resolved(host: str, port: int | None) -> list[Any]:
    try:
        return socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []  # The connection attempt that follows fails the same way, with the better message.


class _GuardedTls(_Guarded, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Guarded


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedTls


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
