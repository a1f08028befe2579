"""Who holds a port that cannot be had: other processes with it open, as far as this user may see them (`/proc`).

For `firegrid listen`, `discover` and `doctor`, which say it instead of "in use". Reads only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_LISTENING = {"tcp": "0A", "udp": "07"}  # a socket's state in the kernel's tables while others may call it


def holders(port: str) -> Iterator[str]:
    """Yield name and number of other processes that have a serial port open."""
    return _having({str(Path(port).resolve())})


def listeners(kind: str, number: int) -> Iterator[str]:
    """Yield name and number of other processes that listen at a port. `kind`: tcp or udp."""
    return _having(set(_sockets(kind, number)))


def _sockets(kind: str, number: int) -> Iterator[str]:
    """Yield the sockets that listen at a port, as links of open files name them."""
    for table in (kind, f"{kind}6"):
        try:
            rows = (_PROC / "net" / table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue  # a kernel without IPv6
        for row in rows:
            _, local, _, state, _, _, _, _, _, inode, *_ = row.split()
            if state == _LISTENING[kind] and int(local.rpartition(":")[2], 16) == number:
                yield f"socket:[{inode}]"


def _having(wanted: set[str]) -> Iterator[str]:
    """Yield the other processes that have one of these open."""
    for process in _PROC.glob("[0-9]*") if wanted else ():
        try:
            if process.name != str(os.getpid()) and any(link in wanted for link in _links(process / "fd")):
                yield f"{(process / 'comm').read_text(encoding='utf-8').strip()} ({process.name})"
        except OSError:
            continue  # another user's, or gone by now


def _links(folder: Path) -> Iterator[str]:
    """Yield what the open files of a process are. Raises OSError: another user's process."""
    for one in folder.iterdir():
        with suppress(FileNotFoundError):  # closed by now
            yield str(one.readlink())
