"""Plays the service manager: starts the daemon as `Type=notify` with a watchdog, kills and restarts it as systemd does.

What systemd does when `WatchdogSec` passes without a ping (systemd.service(5), systemd.kill(5)): SIGABRT, SIGCONT so
that a stopped process gets it, SIGKILL after a while, and with `Restart=always` a new process.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from tests.daemon import ROOT
from tests.patience import PATIENCE, wait

LOOK = 0.1  # s
ABORT_WITHIN = 2.0  # s between SIGABRT and SIGKILL


class Manager:
    """Tends one service in a thread of its own while the context is open."""

    def __init__(self, command: Sequence[str], log: Path, *, watchdog: float, abstract: bool = False) -> None:
        self._command = list(command)
        self._log = log
        self._watchdog = watchdog
        name = f"@firegrid-test-{os.getpid()}-{id(self)}" if abstract else str(log.parent / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{name[1:]}" if abstract else name)
        self._environment = {**os.environ, "NOTIFY_SOCKET": name, "WATCHDOG_USEC": str(round(watchdog * 1e6))}
        self._ended = False
        self._thread = threading.Thread(target=self._tend, name="manager")
        self.ready: list[float] = []  # when each life said READY=1
        self.killed: list[float] = []  # when each hanging life was given up
        self.said: list[str] = []
        self.process = self._start()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._thread.join()
        self.process.kill()
        self.process.wait()
        self._socket.close()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._command, cwd=ROOT, env=self._environment, stdout=subprocess.DEVNULL, stderr=log
            )

    def _tend(self) -> None:
        left = float("inf")  # the start has a limit of its own
        looked = time.monotonic()
        while not self._ended:
            # When the machine stands still, so does who watches: that is no hanging of the daemon.
            left -= min(time.monotonic() - looked, LOOK)
            looked = time.monotonic()
            if select.select([self._socket], [], [], LOOK / 2)[0]:
                lines = self._socket.recv(4096).decode().splitlines()
                self.said += lines
                if "READY=1" in lines:
                    self.ready.append(time.monotonic())
                if "WATCHDOG=1" in lines:
                    left = self._watchdog
            if left < 0:
                self.killed.append(time.monotonic())
                self._abort()
                self.process, left = self._start(), float("inf")

    def _abort(self) -> None:
        self.process.send_signal(signal.SIGABRT)
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.wait(ABORT_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def wait(self, condition: Callable[[Manager], bool], within: float = PATIENCE) -> float:
        """Wait until it holds; returns the seconds that took. TimeoutError."""
        return wait(lambda: condition(self), within, what=lambda: self.said[-5:])
