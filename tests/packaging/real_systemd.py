"""A real systemd as the first process of namespaces of its own: it runs one unit of this machine and nothing else.

For tests as root on a machine whose own first process is no systemd. What it does to /run, to mounts and to processes
ends with it; its control groups are below one of our own, which goes too.
"""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.patience import PATIENCE

SYSTEMD = Path("/usr/lib/systemd/systemd")
GROUPS = Path("/sys/fs/cgroup")
UP_WITHIN = 20.0  # s

# The trees of control groups as they are here: one (unified), or the two of a machine of before.
_BEGIN = r"""
set -e
for tree in $TREES; do mkdir -p "$tree/$GROUP"; echo $$ >"$tree/$GROUP/cgroup.procs"; done
exec unshare -m -p -i -u -C --fork --kill-child --mount-proc sh -ec "$INSIDE"
"""
_INSIDE = r"""
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/lock /run/log /run/systemd/system/$UNIT.d
umount -R /sys/fs/cgroup
case "$TREES" in
*unified*)
    mount -t tmpfs tmpfs /sys/fs/cgroup
    mkdir /sys/fs/cgroup/systemd /sys/fs/cgroup/unified
    mount -t cgroup -o none,name=systemd,xattr cgroup /sys/fs/cgroup/systemd
    mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified ;;
*) mount -t cgroup2 cgroup2 /sys/fs/cgroup ;;
esac
mount --bind "$CONSOLE" /dev/console
printf '[Unit]\nDefaultDependencies=no\nWants=%s\n' "$UNIT" >/run/systemd/system/only.target
printf '[Unit]\nDefaultDependencies=no\n[Service]\nStandardOutput=tty\nStandardError=tty\n' \
    >"/run/systemd/system/$UNIT.d/alone.conf"
export container=other
exec "$SYSTEMD" --system --unit=only.target --log-target=console --show-status=0
"""


class RealSystemd:
    """The manager, asked by `systemctl` from inside its namespaces."""

    def __init__(self, unit: str, folder: Path) -> None:
        self._unit = unit
        self._log = folder / "console"
        self._console, far = pty.openpty()
        os.set_blocking(self._console, False)
        self._group = f"firegrid-test-{os.getpid()}"
        self._trees = [tree for tree in (GROUPS / "systemd", GROUPS / "unified") if tree.is_dir()] or [GROUPS]
        environment = {
            **os.environ,
            "TREES": " ".join(map(str, self._trees)),
            "GROUP": self._group,
            "INSIDE": _INSIDE,
            "UNIT": unit,
            "CONSOLE": os.ttyname(far),
            "SYSTEMD": str(SYSTEMD),
        }
        self._process = subprocess.Popen(["sh", "-c", _BEGIN], env=environment, stdin=far, stdout=far, stderr=far)
        os.close(far)

    def inside(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the namespaces of the manager."""
        child = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text(encoding="ascii").split()
        enter = ["nsenter", "-t", child[0] if child else "0", "-m", "-p", "-i", "-u", "-C", "--", *command]
        return subprocess.run(enter, capture_output=True, text=True, timeout=PATIENCE, check=False)

    def shows(self, name: str) -> str:
        """Return a property of the unit, empty while the manager does not answer."""
        done = self.inside("systemctl", "show", "--value", "-p", name, self._unit)
        return done.stdout.strip() if done.returncode == 0 else ""

    def wait(self, condition: Callable[[], bool], within: float) -> float:
        """Wait; returns how long it took."""
        began = time.monotonic()
        while not condition():
            assert self._process.poll() is None, self.said()
            assert time.monotonic() - began < within, self.said()
            time.sleep(0.2)
        return time.monotonic() - began

    def said(self) -> str:
        """Return what came over the console so far."""
        with self._log.open("ab") as log, suppress(OSError):
            while data := os.read(self._console, 65536):
                log.write(data)
        return self._log.read_text(encoding="utf-8", errors="replace")

    def close(self) -> None:
        """End it with everything in its namespaces."""
        self._process.kill()  # --kill-child
        self._process.wait()
        os.close(self._console)
        for tree in self._trees:
            for _ in range(50):
                folders = sorted((tree / self._group).rglob("*/"), key=lambda path: -len(path.parts))
                with suppress(OSError):
                    for folder in [*folders, tree / self._group]:
                        folder.rmdir()
                    break
                time.sleep(0.1)


def possible() -> bool:
    """Whether this machine has a systemd, and lets root make namespaces with control groups of their own."""
    tools = all(shutil.which(tool) for tool in ("unshare", "nsenter", "systemctl"))
    return os.geteuid() == 0 and SYSTEMD.exists() and tools and os.access(GROUPS, os.W_OK)


@contextmanager
def running(unit: str, folder: Path) -> Iterator[RealSystemd]:
    """Let a systemd run this unit until the block ends."""
    manager = RealSystemd(unit, folder)
    try:
        yield manager
    finally:
        manager.close()
