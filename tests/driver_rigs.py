"""For every driver: a far end that tells one point's value, can be cut off and put back, and a setup to reach it.

The contract suite (`tests/contracts/test_drivers.py`) runs every driver on its rig; a new driver adds one here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers._profiles import profile, tailor
from drivers.simulated.broker import SimulatedBroker
from drivers.simulated.gb26875 import Transmitter
from drivers.simulated.hj212 import Logger
from drivers.simulated.modbus_bus import ModbusBus, SimulatedSlave
from drivers.simulated.sl651 import Station
from gateway.clock import SystemClock
from gateway.model.point import Device, Kind, PointSpec, Profile
from gateway.model.ports import DriverSetup
from gateway.model.station import SourceSpec
from gateway.model.time import SECOND
from gateway.protocols import sl651
from gateway.protocols.gb26875 import Command, Frame, Frames
from gateway.protocols.gb26875_objects import Analog
from gateway.protocols.hj212_packet import Factor
from gateway.protocols.panels import jb3208
from gateway.protocols.sl651_frames import Frames as Sl651Frames
from gateway.protocols.uart import dyp_frame
from gateway.transport.mqtt import connect
from gateway.transport.mqtt_options import MqttOptions
from gateway.transport.serial import open_pty
from tests.channel_rigs import Notes
from tests.modbus_tcp_rig import tcp_bus
from tests.wire_rig import serial_device

POINT = 1  # id of the one point, `it.v`


@dataclass(frozen=True, kw_only=True)
class Rig:
    """A far end. `say` makes the device tell a value; `cut` drops the link without a word, `mend` brings it back."""

    options: dict[str, Any]
    device: Device
    say: Callable[[float], Awaitable[None]]
    cut: Callable[[], Awaitable[None]]
    mend: Callable[[], Awaitable[None]]
    hears: Callable[[float], float] = float  # what is read when a number was said

    def setup(self, kind: str, notes: Notes) -> DriverSetup:
        """Return what the driver is given; a second one with the same notes is the same station after a restart."""
        return DriverSetup(
            source=SourceSpec(id="src", driver=kind, options=self.options),
            devices=[self.device],
            point_ids={"@src.events": 0, "it.v": POINT},
            life_safety=frozenset({"it"}),
            clock=SystemClock(),
            memory=notes,
            report=notes,
            station="s",
        )


@contextlib.asynccontextmanager
async def mqtt(_folder: Path) -> AsyncIterator[Rig]:
    """A broker, and a device that publishes JSON with QoS 1."""
    clock = SystemClock()
    async with SimulatedBroker(clock) as broker:

        async def say(value: float) -> None:
            session = await connect(MqttOptions("127.0.0.1", "it", port=broker.port), clock, lambda *_: None)
            await session.publish("it", b'{"v": %g}' % value)
            await session.close(will=False)

        points = {"v": {"unit": "1", "decode": {"path": "$.v"}}}
        yield Rig(
            options={"host": "127.0.0.1", "port": broker.port},
            device=Device(
                id="it", source="src", profile=tailor(profile("json-generic"), points), options={"topic": "it"}
            ),
            say=say,
            cut=broker.stop,
            mend=broker.start,
        )


@contextlib.asynccontextmanager
async def modbus_rtu(folder: Path) -> AsyncIterator[Rig]:
    """A bus on a pseudo-terminal with one slave."""
    slave = SimulatedSlave(address=1, holding={0: 0}, delay=0.0)
    pair = open_pty(folder / "bus")
    bus = ModbusBus(pair, SystemClock(), [slave], baudrate=None)
    running = asyncio.create_task(bus.run())

    async def say(value: float) -> None:
        slave.holding[0] = value

    async def cut() -> None:
        bus.unplug()

    async def mend() -> None:
        bus.plug()

    point = PointSpec(name="v", unit="1", decode={"fc": 3, "address": 0})
    kind = Profile(id="it-type", title="", points=(point,), driver="modbus_rtu")
    try:
        yield Rig(
            options={"port": str(folder / "bus"), "baudrate": 115200},
            device=Device(id="it", source="src", profile=kind, poll=0.02, options={"address": 1}),
            say=say,
            cut=cut,
            mend=mend,
        )
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        pair.close()


@contextlib.asynccontextmanager
async def modbus_tcp(_folder: Path) -> AsyncIterator[Rig]:
    """A Modbus TCP device."""
    slave = SimulatedSlave(address=1, holding={0: 0}, delay=0.0)
    point = PointSpec(name="v", unit="1", decode={"fc": 3, "address": 0})
    kind = Profile(id="it-type", title="", points=(point,), driver="modbus_rtu")

    async def say(value: float) -> None:
        slave.holding[0] = value

    async with tcp_bus(slave) as (bus, port):

        async def cut() -> None:
            bus.unplug()

        async def mend() -> None:
            bus.plug()

        yield Rig(
            options={"host": "127.0.0.1", "port": port},
            device=Device(id="it", source="src", profile=kind, poll=0.02, options={"address": 1}),
            say=say,
            cut=cut,
            mend=mend,
        )


Rigged = Callable[[Path], contextlib.AbstractAsyncContextManager[Rig]]


def on_serial(
    device: Device,
    frame: Callable[[float], bytes] | None,
    answered: Callable[[bytes], bool] = lambda _: False,
    *,
    asked: Callable[[bytes, float], bytes] | None = None,
    **options: object,
) -> Rigged:
    """Return the rig of a driver on a wire: a serial line with one device, see `tests.wire_rig.SerialDevice`.

    `device` is `it` on `src` with a point `v`; `frame` gives the bytes that tell a value, told again every 50 ms until
    `answered` finds the gateway's answer; `asked` is for devices that are polled. `options` join those of the wire.
    """

    @contextlib.asynccontextmanager
    async def rig(folder: Path) -> AsyncIterator[Rig]:
        path = folder / "line"
        async with serial_device(path, frame=frame, answered=answered, asked=asked) as far:
            keys = {"wire": "serial", "port": str(path), "baudrate": 115200, **options}
            yield Rig(options=keys, device=device, say=far.say, cut=far.cut, mend=far.mend)

    return rig


def _panel_serial() -> Rigged:
    """A fire panel that tells a fire at the point of that number until it is answered."""
    point = PointSpec(name="v", kind=Kind.TEXT)
    kind = Profile(id="it-type", title="", points=(point,), driver="panel_serial", options={"dialect": "jb3208"})
    answer = jb3208.encode(1, jb3208.POLL)

    def frame(value: float) -> bytes:
        return jb3208.encode(1, jb3208.FIRE, [jb3208.Item(1, 1, round(value))])

    return on_serial(Device(id="it", source="src", profile=kind), frame, lambda heard: answer in heard)


def _hj212() -> Rigged:
    """A data logger that reports a factor `v`."""
    point = PointSpec(name="v", unit="1", decode={"code": "v"})
    kind = Profile(id="it-type", title="", points=(point,), driver="hj212")

    def frame(value: float) -> bytes:
        return Logger("881").report([Factor("v", {"Rtd": f"{value:g}"})], round(1.7e9 + value) * SECOND)

    device = Device(id="it", source="src", profile=kind, options={"mn": "881"})
    return on_serial(device, frame, lambda heard: b"CN=9014" in heard)


def _gb26875() -> Rigged:
    """A transmission device that reports an analog value."""
    point = PointSpec(name="v", unit="1", decode={"analog": 1})
    kind = Profile(id="it-type", title="", points=(point,), driver="gb26875")

    def frame(value: float) -> bytes:
        far, wall = Transmitter(7), round(1.7e9 + value) * SECOND
        return far.report(3, [Analog(1, 1, 92, 3, 1, round(value), far.tag(wall))], wall)

    def answered(heard: bytes) -> bool:
        return any(isinstance(one, Frame) and one.command == Command.CONFIRM for one in Frames().feed(heard))

    device = Device(id="it", source="src", profile=kind, options={"address": 7})
    return on_serial(device, frame, answered)


def _sl651() -> Rigged:
    """A hydrological station that reports its water level."""
    point = PointSpec(name="v", unit="m", decode={"element": "Z"})
    kind = Profile(id="it-type", title="", points=(point,), driver="sl651")

    def frame(value: float) -> bytes:
        return Station("0012345678", values={"Z": value}).report(round(1.7e9 + value) * SECOND)

    def answered(heard: bytes) -> bool:
        return any(isinstance(one, sl651.Frame) and one.end == sl651.ESC for one in Sl651Frames().feed(heard))

    device = Device(id="it", source="src", profile=kind, options={"address": "12345678"})
    return on_serial(device, frame, answered)


@contextlib.asynccontextmanager
async def gpio(folder: Path) -> AsyncIterator[Rig]:
    """A chip without hardware; of every number its line can only say whether it is odd."""
    pipe = folder / "chip"
    os.mkfifo(pipe)

    async def say(value: float) -> None:
        tell(f"17={value % 2:g}\n")

    async def cut() -> None:
        tell("gone\n")
        pipe.rename(folder / "elsewhere")

    async def mend() -> None:
        os.mkfifo(pipe)

    def tell(word: str) -> None:
        end = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
        os.write(end, word.encode())
        os.close(end)

    point = PointSpec(name="v", kind=Kind.STATE, labels={"even": 0.0, "odd": 1.0}, decode={"line": 17})
    kind = Profile(id="it-type", title="", points=(point,), driver="gpio")
    yield Rig(
        options={"chip": f"simulated:{pipe}"},
        device=Device(id="it", source="src", profile=kind, poll=0.05),
        say=say,
        cut=cut,
        mend=mend,
        hears=lambda value: value % 2,
    )


@contextlib.asynccontextmanager
async def uart(folder: Path) -> AsyncIterator[Rig]:
    """A DYP distance sensor that talks by itself."""
    async with serial_device(folder / "line", frame=lambda v: dyp_frame(int(v)), answered=lambda _: False) as device:
        point = PointSpec(name="v", unit="mm", decode={"figure": "value"})
        kind = Profile(id="it-type", title="", points=(point,), driver="uart", options={"sensor": "dyp"})
        yield Rig(
            options={"wire": "serial", "port": str(folder / "line")},
            device=Device(id="it", source="src", profile=kind),
            say=device.say,
            cut=device.cut,
            mend=device.mend,
        )


RIGS: dict[str, Rigged] = {
    "mqtt": mqtt,
    "modbus_rtu": modbus_rtu,
    "modbus_tcp": modbus_tcp,
    "gpio": gpio,
    "uart": uart,
    "hj212": _hj212(),
    "panel_serial": _panel_serial(),
    "gb26875": _gb26875(),
    "sl651": _sl651(),
}
