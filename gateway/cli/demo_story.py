"""The story of `firegrid demo`: calm, fire, people who are told, acknowledgement, all clear, reset.

Beside `demo`. Moves the simulated devices and plays the people; everything between is the daemon's.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import termios
import tty
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from drivers.simulated.behaviour import Behaviour
from drivers.simulated.mqtt_devices import gas_detector, tank_gauge
from drivers.simulated.station import SimulatedField
from gateway.cli.demo_screen import Screen
from gateway.cli.demo_station import CAPTAIN, CLIMATE, GAS, PHONES, SIREN, SMOKE, SQUAD, TANK
from gateway.cli.demo_watch import Watch
from gateway.cli.main import FAILED, GOOD
from gateway.clock import SECOND, Clock
from gateway.model.alarm import AlarmEvent, AlarmState, Verb
from gateway.model.station import Station

# The story in seconds; a shorter `--for` squeezes it.
STORY = 60.0
FIRE, OUT, RESET, END = 20.0, 44.0, 52.0, 58.0
ESCALATE = 6.0  # after this the captain is told
ANSWER = 10.0  # the leader's phone, where nobody has a keyboard
STEP_IN = 18.0  # the captain's, when nobody touches the keyboard

_CALM, _HOT, _HUMID = 22.0, 90.0, 48.0  # Cel, Cel, %
_HEATING, _COOLING = 4.0, 2.0  # s for half of the way
_ASKING = re.compile(r"(?:码|code )(\d+).*(?:回复|Reply )\1", re.DOTALL)
_LOOK = 0.2  # s between looks into the store
_READINGS, _FRAMES = 5.0, 7.0  # s between lines of readings where there is no terminal, and between raw frames


class Demo:
    """The field, the people and the story."""

    def __init__(
        self, station: Station, screen: Screen, clock: Clock, stop: asyncio.Event, *, pace: float, keyboard: bool
    ) -> None:
        self._station = station
        self._screen = screen
        self._clock = clock
        self._stop = stop
        self._pace = pace
        self._keyboard = keyboard
        self._people = {contact.phone: contact for contact in station.contacts}
        self._sms = 0
        self._told_all = False
        self._begun = clock.mono()
        self._asked = b""
        self._exchanges: dict[int, tuple[bytes, bytes]] = {}  # by address: the newest; shown in turn
        self._published: tuple[str, bytes] = ("", b"")
        self._errands: set[asyncio.Task[None]] = set()
        gas = gas_detector("zigbee2mqtt/kitchen-gas", 2)
        gas.period = 3.0
        self._field = SimulatedField(
            station,
            clock,
            players={TANK: tank_gauge("station/tank", 1), GAS: gas},
            seen=self._seen,
            on_sms=self._told,
            seconds_per_sms=pace,
        )
        self._field.slaves[CLIMATE].set_point("temperature", _CALM)
        self._field.slaves[CLIMATE].set_point("humidity", _HUMID)
        self._watch: Watch

    def field_parts(self) -> Iterator[Coroutine[Any, Any, None]]:
        """Return what runs outside the daemon's box."""
        bus, broker = self._station.sources
        yield self._field.run_bus(bus)
        yield self._field.run_devices(broker)
        yield self._field.run_modem("sms", self._station.channels[0].options)

    async def run(self, end: int) -> int:
        """Tell the story beside an armed daemon until `end` (monotonic ns); FAILED when something of it was missing."""
        screen = self._screen
        screen.zero()
        screen.say("note", "armed", seconds=(self._clock.mono() - self._begun) / SECOND)
        self._watch = Watch(self._station, screen)
        looking = asyncio.create_task(self._look())
        try:
            with _keys(self._key) if self._keyboard else _nothing():
                if self._keyboard:
                    screen.say("note", "keys")
                await self._story()
                left = (end - self._clock.mono()) / SECOND
                if left > STORY and not self._stop.is_set():
                    screen.say("note", "over")
                await self._until(screen.seconds + left)
        finally:
            for task in (looking, *self._errands):
                task.cancel()
            await asyncio.gather(looking, *self._errands, return_exceptions=True)
            self._watch.look()
            self._watch.close()
        missing = self._missing()
        if missing:
            screen.say("note", "missing", what=missing)
        return FAILED if missing else GOOD

    async def _story(self) -> None:
        """Play fire and people, until the end or until the one who watches ends it."""
        await self._until(FIRE * self._pace)
        if not self._stop.is_set():
            self._screen.say("field", "fire")
            self._field.slaves[SMOKE].set_point("smoke", 1.0)
            self._field.slaves[CLIMATE].set_point("temperature", self._towards(_HOT, _CALM, _HEATING))
        await self._until(OUT * self._pace)
        if not self._stop.is_set():
            self._screen.say("field", "out")
            self._field.slaves[SMOKE].set_point("smoke", 0.0)
            self._field.slaves[CLIMATE].set_point("temperature", self._towards(_CALM, _HOT, _COOLING))
        await self._until(RESET * self._pace)
        if not self._stop.is_set():
            self._screen.say("field", "reset")
            await self._reset(self._pace * (END - 1))
        await self._until(END * self._pace)
        self._told_all = not self._stop.is_set()

    def _missing(self) -> str:
        """Say what there was in all; return what was not seen, nothing of a story that was ended early."""
        moves = self._watch.moves
        if moves:
            alarms = {move.alarm for move in moves}
            self._screen.say("note", "end", alarms=len(alarms), sms=self._sms, moves=len(moves))
        if not self._told_all:
            return ""
        seen = {move.event for move in moves}
        wanted = {"alarm": AlarmEvent.RAISE, "ack": AlarmEvent.ACK, "reset": AlarmEvent.RESET}
        missing = [word for word, event in wanted.items() if event not in seen]
        return ", ".join(missing if self._sms else [*missing, "SMS"])

    async def _reset(self, until: float) -> None:
        """The captain resets what is latched, until nothing is open or it is time to end."""
        while self._screen.seconds < until and not self._stop.is_set():
            found = await self._watch.open_alarms()
            latched = [alarm["id"] for alarm in found if alarm["state"] == AlarmState.LATCHED_ACKED.value]
            if latched:
                await self._watch.act(Verb.RESET, latched, CAPTAIN)
            if len(found) == len(latched):
                return
            await self._clock.sleep(_LOOK)

    async def _until(self, seconds: float) -> None:
        """Wait until so many seconds of the story have passed, or it is to stop."""
        left = seconds - self._screen.seconds
        if left > 0:
            try:
                async with self._clock.timeout(None if left == float("inf") else left):
                    await self._stop.wait()
            except TimeoutError:
                pass

    def _towards(self, end: float, start: float, half: float) -> Behaviour:
        """Return a quantity that from now on goes half of the way every `half` seconds of an unsqueezed story."""
        begun, half = self._clock.mono(), half * self._pace
        return lambda _: end + (start - end) * 0.5 ** ((self._clock.mono() - begun) / SECOND / half)

    # -- what is seen

    async def _look(self) -> None:
        """Show what is new in the store, the newest readings, and now and then what passes on the wires."""
        readings, frames, siren = 0.0, _FRAMES / 2, False
        while True:
            self._watch.look()
            sounding = self._field.slaves[SIREN].coils[0]
            on = bool(sounding(0.0) if callable(sounding) else sounding)
            if on != siren:
                siren = on
                self._screen.say("field", "on" if on else "off")
            if self._screen.seconds >= readings:
                readings += 1.0 if self._screen.terminal else _READINGS * self._pace
                self._screen.status(self._watch.readings())
            if self._screen.seconds >= frames:
                frames += _FRAMES * self._pace
                self._show_wire()
            await self._clock.sleep(_LOOK)

    def _show_wire(self) -> None:
        if self._exchanges:
            address = next(iter(self._exchanges))
            ask, answer = (frame.hex(" ").upper() for frame in self._exchanges.pop(address))
            self._screen.say("wire", "modbus", ask=ask, answer=answer)
        topic, payload = self._published
        if topic:
            self._screen.say("wire", "mqtt", topic=topic, payload=payload.decode("utf-8", errors="replace"))

    def _seen(self, _source: str, where: str, data: bytes) -> None:
        if where == ">":
            self._asked = data
        elif where == "<":
            self._exchanges[data[0]] = (self._asked, data)
        else:
            self._published = (where, data)

    # -- people

    def _told(self, _channel: str, number: str, text: str) -> None:
        """A text arrives at a phone; the simulated people answer some time later."""
        self._sms += 1
        person = next((self._people[phone] for phone in self._people if number.endswith(phone)), None)
        name = person.name if person else "?"
        self._screen.say("sms", "sms", name=name, number=number, text=text)
        asked = _ASKING.search(text)
        if asked is None or person is None:
            return
        if person.id == SQUAD:
            self._do(self._invite(asked[1]) if self._keyboard else self._reply(SQUAD, asked[1], ANSWER * self._pace))

    async def _invite(self, code: str) -> None:
        """Ask the one who watches; the captain steps in when nobody touches the keyboard."""
        if code in await self._watch.waiting():  # else acknowledged before the text arrived
            self._screen.say("note", "waiting", seconds=STEP_IN * self._pace)
            await self._reply(CAPTAIN, code, STEP_IN * self._pace)

    async def _reply(self, person: str, code: str, delay: float) -> None:
        await self._clock.sleep(delay)
        if code in await self._watch.waiting():
            name = next(contact.name for contact in self._station.contacts if contact.id == person)
            self._screen.say("sms", "reply", name=name, text=code)
            self._field.reply(PHONES[person], code)

    def _key(self, pressed: bytes) -> None:
        if pressed in (b"q", b"Q", b"\x04"):
            self._stop.set()
        elif pressed in (b"a", b"A", b"\r", b"\n"):
            self._do(self._acknowledge())

    async def _acknowledge(self) -> None:
        if await self._watch.waiting():
            self._screen.say("note", "acted")
            await self._watch.act(Verb.ACK, [], SQUAD)
        else:
            self._screen.say("note", "nothing")

    def _do(self, errand: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)


@contextmanager
def _keys(pressed: Callable[[bytes], None]) -> Iterator[None]:
    """Hand over single key presses; the terminal is as before afterwards."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    loop = asyncio.get_running_loop()
    tty.setcbreak(descriptor, termios.TCSADRAIN)
    loop.add_reader(descriptor, lambda: pressed(os.read(descriptor, 1)))
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextmanager
def _nothing() -> Iterator[None]:
    yield
