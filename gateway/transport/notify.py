"""The service manager's notification socket: what systemd is told, as sd_notify(3) and sd_watchdog_enabled(3) say it.

Datagrams over a Unix socket, nothing read back. Under `gateway.care.watchdog`, which decides what is told. Telling
never blocks and never fails: a manager that does not listen draws its own conclusions.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress


class Notifier:
    """Tells one manager. Without an `address` (nobody started us as a notifying service) it tells nobody."""

    def __init__(self, address: str = "") -> None:
        """`address`: a path, or an abstract name that begins with `@`."""
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket: socket.socket | None = None

    def tell(self, *lines: str) -> None:
        """Send assignments like `READY=1` in one datagram; a status must not hold a line end."""
        if not self._address:
            return
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        with suppress(OSError):
            self._socket.sendto("\n".join(line.replace("\n", " ") for line in lines).encode(), self._address)

    def close(self) -> None:
        """Give the socket back."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def notifier(environment: Mapping[str, str]) -> Notifier:
    """Return the notifier that the environment names."""
    return Notifier(environment.get("NOTIFY_SOCKET", ""))


def watchdog(environment: Mapping[str, str]) -> float | None:
    """Return after how many seconds without a ping the manager kills this process; None when it does not watch it."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    given = environment.get("WATCHDOG_USEC", "")
    seconds = int(given) / 1e6 if given.isascii() and given.isdigit() else 0.0
    return seconds or None
