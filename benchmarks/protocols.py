"""How many frames of the field's protocols one core decodes, from bytes to rows and events as the daemon makes them.

No wire and no store: the pure conversation of each driver with one installed device hears frames that its simulated
device made, a different one each time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from drivers import gb26875, hj212, sl651
from drivers._conversation import Talking
from drivers._profiles import profile
from drivers.simulated.gb26875 import Transmitter
from drivers.simulated.hj212 import Logger
from drivers.simulated.sl651 import Station
from gateway.clock import SECOND, SystemClock
from gateway.model.point import Device
from gateway.model.ports import DriverSetup
from gateway.model.station import SourceSpec
from gateway.protocols.gb26875_objects import Analog, ComponentStatus
from gateway.protocols.hj212_packet import Factor
from tests.channel_rigs import Notes

FRAMES = 500  # different ones, heard again and again
WALL = 1_790_000_000 * SECOND
CHUNK = 4  # frames that come in one read


def measure(_folder: Path, seconds: float) -> dict[str, Any]:
    """Return for each protocol: bytes a frame, frames/s, and what a frame carries per second."""
    share = seconds / 5
    return {
        "gb26875_status": _rate(_gb26875(), _statuses(), share, objects=22),
        "gb26875_analog": _rate(_gb26875("gb26875-water"), _analogs(), share, objects=63),
        "sl651_timed": _rate(_sl651(), _timed(), share, objects=2),
        "sl651_hour": _rate(_sl651(), _hours(), share, objects=26),
        "hj212": _rate(_hj212(), _minutes(), share, objects=17),
    }


def _rate(driver: Talking, frames: Sequence[bytes], seconds: float, *, objects: int) -> dict[str, Any]:
    chunks = [b"".join(frames[place : place + CHUNK]) for place in range(0, len(frames), CHUNK)]
    talk = driver.talk("bench")
    heard = fed = 0
    now = 0
    begun = time.process_time()
    while (used := time.process_time() - begun) < seconds:
        for chunk in chunks:
            now += SECOND
            heard += sum(said.stores for said in talk.hear(chunk, now, WALL))
        fed += len(frames)
    return {
        "frame_bytes": round(sum(map(len, frames)) / len(frames)),
        "frames_per_second": round(heard / used),
        "objects_per_second": round(heard * objects / used),
        "complete": heard == fed,
    }


def _driver(module: Any, kind: str, **options: Any) -> Talking:  # noqa: ANN401 - a plug-in, and keys of a device
    installed = profile(kind)
    device = Device(id="it", source="bench", profile=installed, options=options)
    names = [f"it.{spec.name}" for spec in installed.points]
    notes = Notes()
    setup = DriverSetup(
        source=SourceSpec(id="bench", driver="", options={"wire": "tcp_server", "port": 1}),
        devices=[device],
        point_ids={"@bench.events": 0, **{name: number for number, name in enumerate(names, 1)}},
        life_safety=frozenset(),
        clock=SystemClock(),
        memory=notes,
        report=notes,
    )
    made: Talking = module.create(setup)
    return made


def _gb26875(kind: str = "gb26875-transmitter") -> Talking:
    return _driver(gb26875, kind, address=1001)


def _sl651() -> Talking:
    return _driver(sl651, "sl651-river", address="0012345678")


def _hj212() -> Talking:
    return _driver(hj212, "hj212-gas", mn="BENCH")


def _statuses() -> list[bytes]:
    one = Transmitter(1001)
    return [
        one.report(
            2,
            [
                ComponentStatus(
                    1, 1, 40, place << 8 | loop, status, "三层走廊感烟探测器".encode("gb18030"), one.tag(at)
                )
                for place, status in enumerate((3, 1) * 11)
            ],
            at,
        )
        for loop, at in ((number % 200, WALL + number * SECOND) for number in range(FRAMES))
    ]


def _analogs() -> list[bytes]:
    one = Transmitter(1001)
    return [
        one.report(3, [Analog(1, 1, 0, place, 2, number % 100, one.tag(at)) for place in range(63)], at)
        for number, at in ((number, WALL + number * SECOND) for number in range(FRAMES))
    ]


def _timed() -> list[bytes]:
    one = Station("0012345678")
    return [one.report(WALL + number * 300 * SECOND) for number in range(FRAMES)]


def _hours() -> list[bytes]:
    one = Station("0012345678")
    return [one.hour(WALL + number * 3600 * SECOND, [0.5] * 12, [6.1] * 12) for number in range(FRAMES)]


def _minutes() -> list[bytes]:
    one = Logger("BENCH", longest_cp=4096)
    codes = [f"a{21000 + number}" for number in range(17)]
    return [
        one.report(
            [Factor(code, {"Rtd": f"{number % 90 + 0.5:g}", "Flag": "N"}) for code in codes], WALL + number * SECOND
        )
        for number in range(FRAMES)
    ]
