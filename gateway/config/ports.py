"""Two that take the same port: a serial line with two owners, two listeners at one TCP or UDP number, doors left open.

Called by `load` when sources, channels and the page are read. Keeps house section 11 (what would be found at run time
as a link that never comes up is told by `check`) and section 7: who listens to the network without saying to whom is
told what that means.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from gateway.model.contact import ChannelSpec
from gateway.model.station import PageSpec, SourceSpec

LOOPBACK = "127.0.0.1"
_KINDS = {"tcp_server": "tcp", "udp": "udp"}


class Clash(NamedTuple):
    """A port that somebody has already. `table` and `id`: whose key `port` says so; `other`: who had it before."""

    table: str
    id: str
    given: str
    other: str


def clashes(sources: Iterable[SourceSpec], channels: Iterable[ChannelSpec], page: PageSpec | None) -> Iterator[Clash]:
    """Yield every port with two owners; channels may share a modem among themselves."""
    sources = list(sources)
    yield from _serial(sources, channels)
    listeners = [(page.host, page.port, "tcp", "page")] if page is not None else []
    for source in sources:
        door = door_of(source)
        if door is None:
            continue
        host, number, kind = door
        other = next((who for at, *rest, who in listeners if rest == [number, kind] and _meet(at, host)), "")
        if other:
            yield Clash("source", source.id, f"{kind} {number}", other)
        listeners.append((host, number, kind, f"source[{source.id}]"))


def open_doors(sources: Iterable[SourceSpec]) -> Iterator[tuple[str, str]]:
    """Yield (source, "host:port") of every source that others than this box may call, whoever they are."""
    for source in sources:
        door = door_of(source)
        if door is not None and not _loopback(door[0]) and not source.options.get("allow"):
            yield source.id, f"{door[0]}:{door[1]}"


def door_of(source: SourceSpec) -> tuple[str, int, str] | None:
    """Return where a source is called (address, number, "tcp" or "udp"); None where it is not."""
    kind, number = _KINDS.get(str(source.options.get("wire"))), source.options.get("port")
    if kind is None or not isinstance(number, int):
        return None
    return str(source.options.get("listen", LOOPBACK)), number, kind


def _serial(sources: Sequence[SourceSpec], channels: Iterable[ChannelSpec]) -> Iterator[Clash]:
    owner: dict[str, str] = {}
    for table, items in (("source", sources), ("channel", channels)):
        for item in items:
            port = item.options.get("port")
            if isinstance(port, str):
                who = f"{table}[{item.id}]"
                first = owner.setdefault(os.path.realpath(port), who)  # one adapter has several names below /dev
                if first != who and first.startswith("source"):
                    yield Clash(table, item.id, port, first)


def _meet(one: str, other: str) -> bool:
    """Whether two addresses cannot both be listened at: one of them is every address of the box, or they are one."""
    return one == other or _everywhere(one) or _everywhere(other) or (_loopback(one) and _loopback(other))


def _everywhere(host: str) -> bool:
    return host in ("", "0.0.0.0", "::")  # noqa: S104 - what is written there, nothing is bound


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
