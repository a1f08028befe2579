"""A real HTTP server on a free loopback port that answers, hangs, drips, redirects or talks nonsense, for tests."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.patience import PATIENCE

Behave = Callable[[socket.socket], None]


@dataclass
class FarEnd:
    """What was asked of the server. `behave` answers a connection after its request was read."""

    port: int
    behave: Behave
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    released: threading.Event = field(default_factory=threading.Event)  # hanging answers end
    cut: threading.Event = field(default_factory=threading.Event)  # the client closed before the answer


def answer(status: int, body: bytes = b"", headers: str = "") -> Behave:
    """Answer with a status."""

    def behave(connection: socket.socket) -> None:
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        connection.sendall(head.encode() + body)

    return behave


def say(raw: bytes) -> Behave:
    """Send bytes and close."""
    return lambda connection: connection.sendall(raw)


def _read_request(connection: socket.socket) -> bytes:
    raw = b""
    while b"\r\n\r\n" not in raw:
        more = connection.recv(65536)
        if not more:
            return raw
        raw += more
    head, _, body = raw.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length and (more := connection.recv(65536)):
        body += more
    return head + b"\r\n\r\n" + body


@contextmanager
def far_end(behave: Behave, *, certificate: Path | None = None) -> Iterator[FarEnd]:
    """Run a server; with a certificate (and key in one file) it speaks TLS."""
    listener = socket.create_server(("127.0.0.1", 0))
    end = FarEnd(port=listener.getsockname()[1], behave=behave)
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)

    def serve(connection: socket.socket) -> None:
        try:
            connection = context.wrap_socket(connection, server_side=True) if context else connection
            with connection:
                end.requests.append(_read_request(connection))
                end.behave(connection)
        except OSError:
            end.cut.set()

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            end.connections += 1
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield end
    finally:
        end.released.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(PATIENCE)


def hang(end: FarEnd) -> Behave:
    """Read the request and never answer; `cut` is set when the client gives up."""

    def behave(connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        if not connection.recv(1):
            end.cut.set()

    return behave
