"""HTTP requests with one deadline over everything: what webhooks and providers are called with.

Of `gateway.transport`, the only package that opens connections (house section 5). The standard library's `http.client`
does the talking in a thread (RFC 9112); it follows no redirect and knows no proxy, and neither is wanted here: a notice
goes to the address a person wrote down, or it fails and another way is tried. TLS is verified, answers are bounded.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from gateway.clock import Clock
from gateway.errors import ConfigError, DriverError, LinkDown
from gateway.transport.offload import offload

ANSWER_LIMIT = 64 * 1024
_PORTS = {"http": 80, "https": 443}


class NoAnswer(LinkDown):
    """The request was written, at least in part, and its answer never came: it may have been taken."""


class Untrusted(DriverError):  # noqa: N818 - the name says the state, as in house language
    """The far end's certificate does not prove that it is the one we mean."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body (at most the limit asked for) of an answer."""

    status: int
    body: bytes


def split(url: str) -> SplitResult:
    """Return the parts of an address that can be called. Raises ConfigError: no http(s), no host, a user in it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"not an address: {url!r}: {error}") from error
    printable = url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in _PORTS or not parts.hostname or not printable or port == 0:
        raise ConfigError(f"not an address: {url!r}: write http(s)://host/path in ASCII")
    if parts.username is not None or parts.password is not None:
        raise ConfigError("the address has a user in it, which would stand in every log: use a header or a signature")
    return parts


def check(url: str, timeout: float) -> None:
    """Refuse, in a plug-in's options, what cannot be called. Raises ValueError that names the key."""
    try:
        split(url)
    except ConfigError as error:
        raise ValueError(f"url: {error}") from error
    if timeout <= 0:
        raise ValueError("timeout: must be above 0s")


async def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    clock: Clock,
    deadline: float,
    cafile: str | None = None,
    limit: int = ANSWER_LIMIT,
) -> Answer:
    """Send one POST and return the answer, whatever its status; its body may have been cut short.

    Args:
        url: see `split`.
        body: what to send.
        headers: further header fields; Content-Length is added.
        clock: counts the deadline.
        deadline: seconds for everything from the look-up of the name to the last byte.
        cafile: certificates to trust in place of the system's.
        limit: most bytes of the answer that are read; the rest is not waited for.

    Raises:
        LinkDown: no connection.
        NoAnswer: no answer in time, or one that is not HTTP.
        Untrusted: the certificate was refused; nothing was sent.
        ConfigError: the address or the file of certificates.
    """
    call = _Call(split(url), body, dict(headers), deadline=deadline, cafile=cafile, limit=limit)
    try:
        async with clock.timeout(deadline):
            return await offload(call.run, "http")
    except TimeoutError as error:
        raise call.failure(f"no answer within {deadline:g} s") from error
    finally:
        call.abandon()


class _Call:
    """One exchange, run in a thread; `abandon` from the loop's thread cuts it off wherever it stands."""

    def __init__(
        self,
        parts: SplitResult,
        body: bytes,
        headers: dict[str, str],
        *,
        deadline: float,
        cafile: str | None,
        limit: int,
    ) -> None:
        self._parts = parts
        self._host = parts.hostname or ""
        self._port = parts.port or _PORTS[parts.scheme]
        self._body = body
        self._headers = headers
        self._deadline = deadline
        self._cafile = cafile
        self._limit = limit
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._abandoned = False
        self._asked = False
        self.far_end = f"{parts.scheme}://{parts.netloc}"

    def run(self) -> Answer:
        """Connect, send, read. A socket's own time-out bounds each wait of a thread that nobody listens to any more."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._deadline)
        try:
            connection.sock = self._connect()
            path = (self._parts.path or "/") + (f"?{self._parts.query}" if self._parts.query else "")
            self._asked = True
            connection.request("POST", path, self._body, self._headers)
            response = connection.getresponse()
            return Answer(response.status, response.read(self._limit))
        except ssl.SSLCertVerificationError as error:
            raise Untrusted(f"{self.far_end}: {error.verify_message}") from error
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise self.failure(f"{type(error).__name__}: {error}") from error
        finally:
            connection.close()
            self._close()

    def failure(self, why: str) -> LinkDown:
        """Return the error of an exchange that ended early, by how far it got."""
        return (NoAnswer if self._asked else LinkDown)(f"{self.far_end}: {why}")

    def _close(self) -> None:
        """Close the socket also where the connection never got it: its handshake failed."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()

    def _connect(self) -> socket.socket:
        context = None
        if self._parts.scheme == "https":
            try:
                context = ssl.create_default_context(cafile=self._cafile)
            except OSError as error:  # ssl.SSLError is one too
                raise ConfigError(f"{self._cafile}: {error}") from error
            context.minimum_version = ssl.TLSVersion.TLSv1_2
        plain = self._hold(socket.create_connection((self._host, self._port), timeout=self._deadline))
        if context is None:
            return plain
        wrapped = context.wrap_socket(plain, server_hostname=self._host, do_handshake_on_connect=False)
        self._hold(wrapped)
        wrapped.do_handshake()
        return wrapped

    def _hold(self, connected: socket.socket) -> socket.socket:
        """Remember the socket to cut it off; one that comes too late is closed before a byte leaves."""
        with self._lock:
            self._socket = connected
            if self._abandoned:
                connected.close()
                raise OSError("given up")
        return connected

    def abandon(self) -> None:
        """Cut the exchange off; does nothing when it has ended."""
        with self._lock:
            self._abandoned = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    # of the plain class: SSLSocket.shutdown would take the TLS state from under the thread
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
