"""GB/T 26875.3 through the daemon: one fire among 500 connected transmitters, over SIGKILL, beside those who do harm.

Guarantees: confirmed only after the commit and stored once, however often it is said; a fire bit is a fire whatever the
other bits say; the fire of a device that nobody installed is an alarm; peers that drip, babble or never read cost the
others nothing.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from drivers.simulated.gb26875 import FIRE, NORMAL, Transmitter
from gateway.model.batch import Event
from gateway.protocols.gb26875 import Command
from gateway.protocols.gb26875_objects import Analog
from tests import station_toml as toml
from tests.patience import until
from tests.ports import free_port
from tests.scenarios.field_rig import Place, living, place

DEVICES = 500
PANEL, STRANGER = 0x17C98CB8C2, 77
SMOKE = 42  # component type
LOOP = 2 << 16
CORRIDOR, CELLAR = (1, 1, LOOP | 10), (1, 1, LOOP | 11)
KITCHENS = [(1, 1, LOOP | point) for point in range(20, 80)]  # one is enough, if no other answer comes between
COMMAND = 26  # where it stands in a frame
AGAIN = 1.0  # s until a device repeats what nobody confirmed; the standard has 10


class Caller:
    """A transmitter on a TCP connection of its own, which it dials again whenever it is gone."""

    def __init__(self, port: int, device: Transmitter) -> None:
        self.device = device
        self.connected = False
        self._port = port
        self._writer: asyncio.StreamWriter | None = None

    @property
    def confirmed(self) -> bool:
        """Whether all it said is confirmed."""
        return not self.device.unanswered

    def say(self, data: bytes) -> None:
        """Send bytes, if it is connected; else it will."""
        if self._writer is not None:
            self._writer.write(data)

    async def live(self) -> None:
        """Call, listen, answer, repeat; for ever."""
        while True:
            with suppress(OSError):
                reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    await self._talk(reader, self._writer)
                finally:
                    self._writer.close()
                    self._writer, self.connected = None, False
            await asyncio.sleep(0.5)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected = True
        writer.write(self.device.again() or self.device.beat(time.time_ns()))
        while True:
            try:
                async with asyncio.timeout(None if self.confirmed else AGAIN):
                    data = await reader.read(4096)
            except TimeoutError:
                writer.write(self.device.again())
                continue
            if not data:
                return
            writer.write(self.device.hear(data, time.time_ns()))

    def change(self, which: tuple[int, int, int], status: int) -> None:
        """Report a component's new state."""
        self.say(self.device.change(which, status, time.time_ns()))

    def level(self, centimetres: int) -> None:
        """Report the level of a tank."""
        wall = time.time_ns()
        value = Analog(1, 1, 0, 3, 2, centimetres, self.device.tag(wall))
        self.say(self.device.report(3, [value], wall))


async def harm(port: int, do: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> None:
    """Call again and again to do harm."""
    while True:
        with suppress(OSError, TimeoutError):
            _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
            try:
                await do(writer)
            finally:
                writer.transport.abort()
        await asyncio.sleep(0.1)


async def drip(writer: asyncio.StreamWriter) -> None:
    """Be a slow loris: a frame that never ends, byte by byte."""
    for byte in Transmitter(STRANGER + 1).beat(time.time_ns())[:-3]:
        writer.write(bytes((byte,)))
        await writer.drain()
        await asyncio.sleep(0.3)


async def babble(writer: asyncio.StreamWriter) -> None:
    """Send noise, with many beginnings of frames in it."""
    noise = random.Random(4)  # noqa: S311 - noise
    for _ in range(50):
        writer.write(noise.randbytes(500) + b"@@" + noise.randbytes(40))
        await writer.drain()
        await asyncio.sleep(0.1)


async def never_read(writer: asyncio.StreamWriter) -> None:
    """Want answers and take none."""
    device = Transmitter(STRANGER + 2)
    while True:
        writer.write(b"".join(device.beat(time.time_ns()) for _ in range(50)))
        device.unanswered.clear()
        async with asyncio.timeout(5):
            await writer.drain()
        await asyncio.sleep(0.2)


def station(port: int) -> str:
    """Return the source, a panel's transmitter with an installed address, and 500 tanks."""
    text = toml.table("source", id="centre", driver="gb26875", wire="tcp_server", port=port, peers=2 * DEVICES)
    text += toml.table(
        "device", id="mall", source="centre", profile="gb26875-transmitter", address=PANEL, cell="a", silence="1d",
        names={"1/1/2/10": "北楼三层走廊", "1/1/2/11": "地下车库"},
    )  # fmt: skip
    for number in range(DEVICES - 1):
        text += toml.table(
            "device", id=f"d{number}", source="centre", profile="gb26875-water", address=1000 + number, cell="a",
            silence="1d", ask_state=False,
        )  # fmt: skip
    return text


@pytest.mark.timeout(300)
def test_one_fire_among_500_connected_devices(tmp_path: Path) -> None:
    async def main(here: Place) -> None:
        port = free_port()
        here.write(station(port))
        await here.start()
        panel = Caller(
            port, Transmitter(PANEL, components=dict.fromkeys([CORRIDOR, CELLAR, *KITCHENS], (SMOKE, NORMAL, "")))
        )
        tanks = [Caller(port, Transmitter(1000 + number)) for number in range(DEVICES - 1)]
        everybody = [panel.live(), *(tank.live() for tank in tanks)]
        async with living(*everybody, *(harm(port, how) for how in (drip, babble, never_read))):
            await until(lambda: all(each.connected and each.confirmed for each in (panel, *tanks)))
            await a_fire_is_told(here, panel)
            await a_stranger_is_told(here, port)
            await killed_between_commit_and_answer(here, panel)
            await killed_before_the_commit(here, panel)
            for tank in tanks[:20]:  # they are as well as before
                tank.level(250)
            await until(lambda: all(tank.confirmed for tank in tanks[:20]))
            assert [here.values(f"d{number}.level") for number in range(20)] == [[2.5]] * 20
        burning = [place for place, (_, status, _) in panel.device.components.items() if status == FIRE]
        assert {key_of(place): len(reported(here, key_of(place))) for place in burning} == {
            key_of(place): 1 for place in burning
        }

    with place(tmp_path) as here:
        asyncio.run(main(here))


def key_of(place: tuple[int, int, int]) -> str:
    """Return the key of a component's events."""
    return f"1/1/2/{place[2] & 0xFFFF}"


def reported(here: Place, key: str) -> list[Event]:
    """Return the stored fires of a place that the device reported by itself: answers to questions tell it as well."""
    return [event for event in here.events("fire", key) if event.raw[COMMAND] == Command.SEND]


async def a_fire_is_told(here: Place, panel: Caller) -> None:
    """Confirmed when it is stored, then told with its place. Bit 0, "normal", is clear, as most devices have it."""

    async def say() -> None:
        panel.change(CORRIDOR, FIRE)

    await here.after_commit(say, lambda: panel.confirmed)
    (event,) = reported(here, "1/1/2/10")
    assert "北楼三层走廊 " in event.text
    await here.told("mall", "北楼三层走廊")


async def a_stranger_is_told(here: Place, port: int) -> None:
    """A device that nobody installed, whose word calls itself normal as well."""
    stranger = Caller(port, Transmitter(STRANGER, components={CORRIDOR: (SMOKE, NORMAL, "")}))
    async with living(stranger.live()):
        await until(lambda: stranger.connected and stranger.confirmed)
        stranger.change(CORRIDOR, FIRE | NORMAL)
        await until(lambda: stranger.confirmed)
    await here.told("centre", f"{STRANGER}/1/1/2/10", "未登记的地址")
    assert len(reported(here, f"{STRANGER}/1/1/2/10")) == 1


async def killed_between_commit_and_answer(here: Place, panel: Caller) -> None:
    """The device repeats, the next life confirms and stores nothing twice."""
    for kitchen in KITCHENS:
        hangs = here.hangs()
        here.disk(before_ack="hang")
        panel.change(kitchen, FIRE)
        await until(lambda: here.hangs() > hangs)  # noqa: B023 - of this try
        if reported(here, key_of(kitchen)):
            break
        here.disk()  # it was the answer to something else
        await until(lambda: panel.confirmed)
    else:
        raise AssertionError("it never hung between commit and answer")
    assert not panel.confirmed
    await again(here)
    await until(lambda: panel.confirmed)
    await here.told("mall", key_of(kitchen))


async def killed_before_the_commit(here: Place, panel: Caller) -> None:
    """Nothing was confirmed, so the device repeats and the next life hears of it."""
    hangs = here.hangs()
    here.disk(before_commit="hang")
    panel.change(CELLAR, FIRE)
    await until(lambda: here.hangs() > hangs)
    assert not panel.confirmed
    await again(here)
    await until(lambda: panel.confirmed)
    await here.told("mall", "地下车库")


async def again(here: Place) -> None:
    """Kill the daemon and start it."""
    here.kill()
    here.disk()
    await here.start()
