"""A station with a panel behind it and the monitoring centre to which its sinks report, each a daemon of its own.

The station is `firegrid run`. The centre is the same `serve` with a disk that can hang (`tests.faults.faulty`) and a
memory of repeats for which an hour passes when the test says so: `python -m tests.scenarios.uplink_rig station.toml`.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec

from drivers._conversation_keeping import PERHAPS
from drivers._conversation_repeats import Known, Repeats
from drivers._conversation_said import Proof
from drivers.simulated.gb26875 import FAULT, FIRE, NORMAL, Transmitter
from gateway.cli.main import guarded
from gateway.model.alarm import AlarmEvent, AlarmState
from gateway.model.batch import EventCode
from gateway.model.time import HOUR, SECOND
from gateway.protocols.gb26875 import Command
from gateway.store.read import Reader
from gateway.store.shapes import MEMORY
from gateway.transport.unix import ask
from gateway.uplink.position import Position
from tests import station_toml as toml
from tests.daemon import Daemon
from tests.faults import faulty
from tests.patience import until, wait

SMOKE = 40  # component type
PLACE = re.compile(r"P\d\d\d")
CODES = {FIRE: EventCode.FIRE, FAULT: EventCode.FAULT, NORMAL: EventCode.RESTORE}
RAISED = {"event:fire": EventCode.FIRE, "event:fault": EventCode.FAULT}
STANDING = (AlarmState.UNACK, AlarmState.LATCHED_UNACK)
COMMAND = 26  # where it stands in a frame
LOOK = 0.1  # s between two looks into the stores
ADDRESS = 4711  # of the station at the centre
AN_HOUR_LATER = "an hour later"


class Told(NamedTuple):
    """One event or move as people read it. `second`: since 1970; `again`: marked as what may have been sent before."""

    code: EventCode
    second: int
    again: bool = False


class Panel(asyncio.Protocol):
    """The panel behind the station, called by it: says again what was not confirmed when it is called again.

    `said`: place → what was said, in order. No place says two things in one second.
    """

    def __init__(self) -> None:
        self.said: dict[str, list[EventCode]] = {}
        self._device = Transmitter(1)
        self._faults = 0
        self._fires = 0
        self._free: dict[int, float] = {}  # place → when it may say something
        self._transport: asyncio.Transport | None = None

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Listen at a port, and give it."""
        server = await asyncio.get_running_loop().create_server(lambda: self, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            if self._transport is not None:
                self._transport.abort()

    async def burst(self, words: int) -> None:
        """Say so many words: faults of forty places in turn, which end at the next turn, and a fire in the middle."""
        said = []
        for word in range(words):
            number, status = self._faults % 40, (FAULT, NORMAL)[self._faults // 40 % 2]
            if word == words // 2:
                self._fires += 1
                number, status = 100 + self._fires, FIRE
            else:
                self._faults += 1
            await until(lambda: time.time() > self._free.get(number, 0.0))  # noqa: B023 - of this word
            said.append(number)
            self._say(number, status)
        await until(lambda: not self._device.unanswered)
        self._free.update(dict.fromkeys(said, time.time() + 1))

    def beat(self) -> None:
        """Say that it lives: something for the station to commit."""
        self._write(self._device.beat(time.time_ns()))

    def _say(self, number: int, status: int) -> None:
        name, place = f"P{number:03}", (1, 1, number)
        self._device.components.setdefault(place, (SMOKE, NORMAL, f"{name} 走廊"))
        self.said.setdefault(name, []).append(CODES[status])
        self._write(self._device.change(place, status, time.time_ns()))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say again what nobody confirmed."""
        self._transport = cast("asyncio.Transport", transport)
        self._write(self._device.again())

    def data_received(self, data: bytes) -> None:
        """Take confirmations."""
        self._write(self._device.hear(data, time.time_ns()))

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for the next call."""
        del exc
        self._transport = None

    def _write(self, data: bytes) -> None:
        if self._transport is not None and data:
            self._transport.write(data)


class House:
    """One daemon: its folder, its lives, its record. `command`: in place of `firegrid run`."""

    def __init__(self, folder: Path, text: str, *command: str) -> None:
        folder.mkdir()
        self.folder = folder
        self._config = folder / "station.toml"
        self._command = command
        self._life: Daemon | None = None
        self._config.write_text(_head(folder) + text, encoding="utf-8")
        self.disk()

    async def start(self) -> None:
        """Begin a life; returns when it is armed."""
        assert self._life is None
        command = [*self._command, str(self._config)] if self._command else []
        self._life = Daemon(self._config, command=command)
        await asyncio.to_thread(self._life.wait_armed, 60.0)

    def kill(self) -> None:
        """SIGKILL, if it lives."""
        life, self._life = self._life, None
        if life is not None:
            life.kill()

    def kill_sink(self) -> None:
        """SIGKILL the process of its sink."""
        assert self._life is not None
        children = Path(f"/proc/{self._life.pid}/task/{self._life.pid}/children").read_text(encoding="ascii").split()
        [sink] = [int(child) for child in children if b"gateway.uplink" in Path(f"/proc/{child}/cmdline").read_bytes()]
        os.kill(sink, signal.SIGKILL)

    def disk(self, **plan: str) -> None:
        """Let the centre's disk be like this from now on."""
        (self.folder / "unsteady").unlink(missing_ok=True)
        faulty.write(self.folder / "plan.json", plan)

    def hangs(self) -> bool:
        """Whether the disk has begun to hang."""
        return (self.folder / "unsteady").exists()

    def sink(self) -> dict[str, Any]:
        """Return what the daemon says of its sink."""
        links: list[dict[str, Any]] = ask(self.folder / "control", {"do": "status"})["links"]
        return next(link for link in links if link["name"] == "sink city")

    def told(self, device: str) -> dict[str, list[Told]]:
        """Return place → what a device said of it by itself, in the order of the record."""
        found: dict[str, list[Told]] = {}
        with Reader(self.folder / "station.db") as reader:
            point = reader.points()[f"{device}.events"]
            for row in reader.events():
                event = row.body
                if event.point == point and event.raw[COMMAND] == Command.SEND and (place := PLACE.search(event.text)):
                    told = Told(event.code, event.time // SECOND, event.text.startswith(PERHAPS))
                    found.setdefault(place[0], []).append(told)
        return found

    def moves(self) -> dict[str, list[Told]]:
        """Return place → what its alarms did by the record, as a centre is to be told."""
        found: dict[str, list[Told]] = {}
        with Reader(self.folder / "station.db") as reader:
            for row in reader.transitions():
                move, place = row.body, PLACE.search(row.body.evidence.text)
                if place and (move.event is AlarmEvent.RAISE or move.after is AlarmState.RTN_UNACK):
                    code = RAISED[move.rule] if move.event is AlarmEvent.RAISE else EventCode.RESTORE
                    second = (reader.wall(row.boot, move.at) or 0) // SECOND
                    found.setdefault(place[0], []).append(Told(code, second))
        return found

    def told_all(self) -> bool:
        """Whether its sink has told all moves, and the store knows that."""
        with Reader(self.folder / "station.db") as reader:
            last = max((row.n for row in reader.transitions()), default=0)
            kept = [row.body for row in reader.state(MEMORY, str) if '"record"' in row.body]
        return any(not one.notes and one.record >= last for one in map(_position, kept))

    def standing(self, device: str) -> set[tuple[str, str]]:
        """Return (place, rule) of the alarms of a device that stand."""
        with Reader(self.folder / "station.db") as reader:
            alarms = [row.body for row in reader.alarms() if row.body.device == device and row.body.state in STANDING]
        return {(place[0], alarm.rule) for alarm in alarms if (place := PLACE.search(alarm.text))}


async def soon(condition: Callable[[], object], what: object = "") -> None:
    """Wait until it is so, looking from a thread: panel and proxy go on meanwhile. `what` is told if it never is."""
    await asyncio.to_thread(wait, condition, every=LOOK, what=what)


def station(folder: Path, *, panel: int, centre: int) -> House:
    """Return a station that calls its panel and reports to a centre."""
    text = toml.table("source", id="panel", driver="gb26875", wire="tcp_client", host="127.0.0.1", port=panel)
    text += _device("panel", "panel", set_time=False, ask_state=False)
    sink = {"host": "127.0.0.1", "port": centre, "address": ADDRESS, "timeout": "500ms"}
    return House(folder, text + toml.table("sink", id="city", kind="gb26875_uplink", **sink))


def centre(folder: Path, port: int) -> House:
    """Return the centre's daemon, which knows the station as its device `site`."""
    text = toml.table("source", id="stations", driver="gb26875", wire="tcp_server", port=port)
    text += _device("site", "stations", address=ADDRESS)
    return House(folder, text, sys.executable, "-m", "tests.scenarios.uplink_rig")


def _position(text: str) -> Position:
    return msgspec.json.decode(text, type=Position)


def _head(folder: Path) -> str:
    return "".join(
        [
            toml.table("station", id=folder.name, name="测试", clock="trusted", socket=str(folder / "control")),
            toml.table("store", path=str(folder / "station.db"), commit_interval="200ms"),
            toml.table("cell", id="a", name="一号楼"),
            toml.table("contact", id="li", name="李伟", phone=toml.LI, cell="a", role="squad"),
            toml.table("channel", id="console", kind="console"),  # nobody is called while the test lasts
            toml.table("policy", id="p", steps=[{"after": "1h", "notify": ["role:squad@cell"], "by": ["console"]}]),
            toml.table("default_policy", class_="fire", policy="p"),
            toml.table("default_policy", class_="fault", policy="p"),
        ]
    )


def _device(name: str, source: str, **keys: object) -> str:
    return toml.table("device", id=name, source=source, profile="gb26875-transmitter", cell="a", silence="1d", **keys)


# -- the centre's process


def _ageing(told: Path) -> None:
    """Let what was heard be an hour older for the memory of repeats, while the file `told` is there."""
    honest = Repeats.find

    def find(self: Repeats[Any], device: str, digest: bytes, now: int, proof: Proof) -> tuple[Known, Any]:
        return honest(self, device, digest, now + (HOUR if told.exists() else 0), proof)

    Repeats.find = find  # type: ignore[method-assign] # that is what ageing means


def _main(config: Path) -> int:
    _ageing(config.parent / AN_HOUR_LATER)
    return faulty.main(config, config.parent / "plan.json")


if __name__ == "__main__":
    sys.exit(guarded(lambda: _main(Path(sys.argv[1]))))
