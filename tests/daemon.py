"""A daemon under test as its own process: `firegrid run` as a user starts it, or forked from a warm process."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from tests.patience import PATIENCE

ROOT = Path(__file__).parent.parent


class Daemon:
    """One life of `firegrid run`."""

    def __init__(self, config: Path, *, command: Sequence[str] = ()) -> None:
        self._log = (config.parent / "daemon.log").open("ab")
        self.started = time.monotonic()
        self._process = subprocess.Popen(
            command or [sys.executable, "-m", "gateway", "run", "-c", str(config)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        self.pid = self._process.pid

    def wait_armed(self, within: float = PATIENCE) -> float:
        """Wait for "is armed", whatever it says before (a fault, perhaps); returns the seconds since its start."""
        end = time.monotonic() + within
        stdout = self._process.stdout
        assert stdout is not None
        said = b""
        while b"is armed\n" not in said:
            readable, _, _ = select.select([stdout], [], [], max(0.0, end - time.monotonic()))
            more = os.read(stdout.fileno(), 1 << 16) if readable else b""
            assert more, f"not armed within {within} s: {said!r} (exit {self._process.poll()})"
            said += more
        return time.monotonic() - self.started

    def wait_end(self, within: float) -> bool:
        """Whether it ended by itself."""
        try:
            self._process.wait(within)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._reap()

    def signal(self, number: int) -> None:
        """Send a signal; does not wait for what comes of it."""
        self._process.send_signal(number)

    def stop(self, within: float = PATIENCE) -> int:
        """SIGTERM; returns the exit code."""
        self._process.terminate()
        try:
            return self._process.wait(within)
        finally:
            self.kill()

    def _reap(self) -> None:
        self._process.wait(PATIENCE)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()

    def rss(self) -> int:
        """Return resident bytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


class Warm:
    """A process that has imported everything and forks one daemon after the other: a life costs no start-up."""

    def __init__(self, log: Path) -> None:
        self._log = log.open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.warm"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE)
        self._process.stdout.close()
        self._log.close()

    def fork(
        self,
        config: Path,
        *,
        point: str = "",
        hit: int = 0,
        planted: str = "",
        version: str = "",
        disk: int = 0,
        stall: int = 0,
    ) -> Life:
        """Begin a life that kills itself at the `hit`-th passing of a fail point, if one is named.

        `disk`: seed of a bad disk, 0 for a good one; `stall`: number of the commit that it lets wait for seconds.
        """
        armed = config.parent / "armed"
        armed.unlink(missing_ok=True)
        order = {"config": str(config), "point": point, "hit": hit, "planted": planted, "version": version}
        self._tell(order | {"disk": disk, "stall": stall, "armed": str(armed)})
        return Life(self, int(self._hear()["pid"]), armed)

    def _tell(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()

    def _hear(self, within: float = PATIENCE) -> dict[str, Any]:
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], within)
        line = self._process.stdout.readline() if readable else b"{}"
        answer: dict[str, Any] = json.loads(line or b"{}")
        return answer

    def ended(self, pid: int, within: float) -> bool:
        """Whether the life ended within so many seconds; reaps it."""
        self._tell({"wait": pid, "within": within})
        return bool(self._hear(within + PATIENCE)["ended"])


class Life:
    """One forked life."""

    def __init__(self, warm: Warm, pid: int, armed: Path) -> None:
        self._warm = warm
        self._armed = armed
        self._ended = False  # then its number may be another's
        self.pid = pid

    def armed_at(self) -> int | None:
        """Return when it was armed (boot-time ns); None when it is not, or was not when it ended."""
        text = self._armed.read_text(encoding="ascii") if self._armed.exists() else ""
        return int(text) if text else None

    def wait_end(self, within: float) -> bool:
        """Whether it ended by itself."""
        self._ended = self._ended or self._warm.ended(self.pid, within)
        return self._ended

    def kill(self) -> None:
        """SIGKILL, if it still lives."""
        if not self._ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            assert self.wait_end(PATIENCE)
