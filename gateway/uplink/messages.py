"""What the daemon and the process of a sink say to each other, one JSON object a line."""

from __future__ import annotations

import msgspec

from gateway.model.batch import EventCode
from gateway.uplink.position import Position

HEARTBEAT = 10.0  # s: a process that says nothing for much longer hangs


class Order(msgspec.Struct, frozen=True):
    """What the process is started with. `cursor`: its name in the store."""

    store: str
    sink: str
    cursor: str
    position: Position


class Rewind(msgspec.Struct, frozen=True):
    """What a person may ask of a running process: send again what happened from `since` (ns since 1970) on."""

    since: int


class Told(msgspec.Struct, frozen=True):
    """What a far end wants of the station's people: it becomes an event of the gateway itself."""

    key: str
    code: EventCode
    text: str


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """What it says: where it stands, whether the far end takes anything, and how old the oldest unsent reading is.

    `error` is empty when all is well; `oldest` ns since 1970, 0 when nothing waits or nothing can be dated. `told`:
    events that it has to tell, each in one report.
    """

    position: Position
    error: str = ""
    waits: bool = False
    oldest: int = 0
    told: tuple[Told, ...] = ()
