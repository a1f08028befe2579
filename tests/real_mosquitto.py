"""A real Mosquitto on a free loopback port with a configuration of its own, for tests.

`shipped()` is `deploy/mosquitto.conf` with port, folder and password file put in: the tests run what is shipped.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.patience import PATIENCE, wait
from tests.ports import free_port

SHIPPED = Path(__file__).parent.parent / "deploy" / "mosquitto.conf"
USER = "firegrid"
PASSWORD = "tested"  # noqa: S105 - of a broker that lives for one test

# Everything the shipped file sets, without persistence and users: for tests about something else.
OPEN = """
allow_anonymous true
max_queued_messages 100000
max_inflight_messages 65535
queue_qos0_messages true
set_tcp_nodelay true
"""


def binary() -> str:
    """Return the broker's path (Debian keeps it in sbin); without it the test fails: `make test` installs it."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.fail("mosquitto is not installed: make test installs it")
    return found


class Mosquitto:
    """One broker process; `kill` is SIGKILL. It may be started again on the same port and files."""

    def __init__(self, folder: Path, config: str, port: int) -> None:
        self.port = port
        self.folder = folder
        self._file = folder / "mosquitto.conf"
        self._file.write_text(config, encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until the port answers."""
        with (self.folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen([binary(), "-c", str(self._file)], stdout=log, stderr=log)
        try:
            wait(self._answers_or_ended)
            if self._process.poll() is None:
                return
        except TimeoutError:
            pass
        self.kill()
        raise AssertionError((self.folder / "mosquitto.log").read_text(encoding="utf-8", errors="replace"))

    def _answers_or_ended(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE).close()
        except OSError:
            return self._process is None or self._process.poll() is not None
        return True

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """SIGTERM: the broker saves its database."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE)
            self._process = None


def shipped(folder: Path, port: int) -> str:
    """Return the shipped configuration for this folder and port, with user `USER` and `PASSWORD`."""
    passwords = folder / "passwords"
    passwords.touch(mode=0o600)
    tool = shutil.which("mosquitto_passwd") or "/usr/bin/mosquitto_passwd"
    subprocess.run([tool, "-b", str(passwords), USER, PASSWORD], check=True, capture_output=True)
    text = SHIPPED.read_text(encoding="utf-8")
    for old, new in (
        ("listener 1883 127.0.0.1", f"listener {port} 127.0.0.1"),
        ("password_file /etc/mosquitto/firegrid.passwd", f"password_file {passwords}"),
        ("persistence_location /var/lib/mosquitto/", f"persistence_location {folder}/"),
    ):
        assert text.count(f"\n{old}\n") == 1, f"the shipped configuration has no line {old!r}"
        text = text.replace(f"\n{old}\n", f"\n{new}\n")
    return text + "user root\n"  # stays who it is; without root the line is ignored


@contextmanager
def running(folder: Path, config: str = OPEN, *, port: int | None = None) -> Iterator[Mosquitto]:
    """Run a broker with these lines (a listener is added), killed at the end."""
    port = port or free_port()
    broker = Mosquitto(folder, f"listener {port} 127.0.0.1\n{config}user root\n", port)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


@contextmanager
def running_shipped(folder: Path) -> Iterator[Mosquitto]:
    """Run a broker with the shipped configuration, killed at the end."""
    port = free_port()
    broker = Mosquitto(folder, shipped(folder, port), port)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()
