"""Ports for what must be told its port before it listens: a broker, a daemon's page, a server that is started again.

What can listen at port 0 does so. These lie below the range from which the kernel takes ports of its own accord, so
that no connection made meanwhile sits on one; no two tests of a run get the same, also not on two workers.
"""

from __future__ import annotations

import itertools
import os
import socket

_FIRST, _LAST = 10_000, 32_000  # below net.ipv4.ip_local_port_range
_WORKERS = 8
_SHARE = (_LAST - _FIRST) // _WORKERS
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
# Another run beside this one begins elsewhere.
_turns = itertools.count(os.getpid() * 37)


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Return a port of every address of this machine at which nobody listens, another at each call."""
    for turn in itertools.islice(_turns, _SHARE):
        port = _FIRST + _worker * _SHARE + turn % _SHARE
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        return port
    raise AssertionError(f"no port is free between {_FIRST} and {_LAST}")
