"""A TCP proxy that goes half-open on demand: connections stand, bytes vanish, nobody says FIN; for tests."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.patience import PATIENCE


class Link:
    """One caller and the server. `dead`: what either says is read and dropped."""

    def __init__(self, near: socket.socket, port: int) -> None:
        self.dead = False
        self._ends = near, socket.create_connection(("127.0.0.1", port))
        for one, other in (self._ends, self._ends[::-1]):
            threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                if not self.dead:
                    other.sendall(data)
            if not self.dead:
                other.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close both ends."""
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class Swallowing:
    """Listens on `port`; `swallowing`: new connections are dead from the start."""

    def __init__(self, server_port: int) -> None:
        self.swallowing = False
        self.links: list[Link] = []
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def swallow(self) -> None:
        """Let every connection die without a word, also those to come."""
        self.swallowing = True
        for link in self.links:
            link.dead = True

    def serve(self) -> None:
        """Accept until closed."""
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                link = Link(near, self._server_port)
                link.dead = self.swallowing
                self.links.append(link)

    def close(self) -> None:
        """End."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for link in self.links:
            link.close()


@contextmanager
def swallowing(server_port: int) -> Iterator[Swallowing]:
    """Run a proxy to a port of this machine."""
    proxy = Swallowing(server_port)
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join(PATIENCE)
