"""`firegrid simulate`: plays what a configuration names, where it says it is: broker, buses, field devices, modem.

For trying a station out before its devices hang on the wall: the daemon runs unchanged beside it. Simulated ports are
links to pseudo-terminals; nothing that exists is overwritten.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import re
import signal
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from drivers.simulated.broker import SimulatedBroker
from drivers.simulated.field import LOOPBACK, playable
from drivers.simulated.station import MQTT_PORT, SimulatedField
from gateway.app import problems_of, read
from gateway.cli.calm import calm
from gateway.cli.examined_talk import speaks
from gateway.cli.examined_wires import MODBUS_PORT
from gateway.cli.main import BAD_CONFIGURATION, GOOD, add_config
from gateway.cli.simulate_scene import Scenes, after
from gateway.clock import Clock, SystemClock
from gateway.config.quantities import duration
from gateway.errors import ConfigError, LinkDown
from gateway.model.point import AlarmClass
from gateway.model.station import SourceSpec, Station

# Options that let something happen, and what.
_SCENES = {
    "fire": "a fire at every fire detector and panel",
    "gas": "gas at every gas detector",
    "flood": "water where a detector of floods is",
    "calm": "all of that is over, and panels are reset,",
}
PARTS = ("broker", "bus", "devices", "field", "modem")
_CODE = re.compile(r"(?:码|code )(\d+).*(?:回复|Reply )\1", re.DOTALL)


def arguments(own: argparse.ArgumentParser) -> None:
    """Add what `simulate` takes."""
    own.add_argument("part", choices=(*PARTS, "station"), help="station: all of them")
    add_config(own)
    for name, what in _SCENES.items():
        own.add_argument(f"--{name}", default="", metavar="TIME", help=f"{what} after so long")
    own.add_argument("--answer", default="", metavar="TIME", help="people answer an SMS with its code after so long")


def run(options: argparse.Namespace) -> int:
    """Play until Ctrl-C; 2 when the configuration is not good or nothing in it can be played."""
    loaded = read(options.config)
    wrong = [problem for problem in problems_of(loaded) if not problem.note]
    if loaded.station is None or wrong:
        print("\n".join(problem.text(loaded.language) for problem in wrong))
        return BAD_CONFIGURATION
    try:
        answer = duration(options.answer) if options.answer else None
        scenes = {name: duration(text) for name in _SCENES if (text := getattr(options, name))}
    except ValueError as error:
        raise ConfigError(str(error)) from error
    wanted = PARTS if options.part == "station" else (options.part,)
    asyncio.run(_play(loaded.station, wanted, scenes=scenes, answer=answer))
    return GOOD


async def _play(
    station: Station, wanted: tuple[str, ...], *, scenes: Mapping[str, float], answer: float | None
) -> None:
    clock = SystemClock()
    errands: set[asyncio.Task[None]] = set()

    def told(channel: str, number: str, text: str) -> None:
        print(f"{channel} → {number}: {text}", flush=True)
        asked = _CODE.search(text)
        if asked is not None and answer is not None:
            task = asyncio.create_task(_answer(field, clock, answer, number, asked[1]))
            errands.add(task)
            task.add_done_callback(errands.discard)

    field = SimulatedField(station, clock, calm=calm(station), on_sms=told, on_unplayed=_unplayed)
    parts = list(_parts(station, field, clock, wanted))
    if not parts:
        raise ConfigError(f"the configuration has no {' or '.join(wanted)} that can be played here")
    happens = Scenes(station, field, _say)
    parts += [(name, after(clock, seconds, _scene(happens, name))) for name, seconds in scenes.items()]
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    tasks = [asyncio.create_task(part, name=name) for name, part in parts]
    stopped = asyncio.create_task(stop.wait())
    _announce(name for name, _ in parts)
    try:
        await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)  # a part ends only by an error
    finally:
        for task in (stopped, *tasks, *errands):
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for result in ended:
        if isinstance(result, Exception):
            raise result


def _announce(names: Iterable[str]) -> None:
    for name in names:
        if name:
            print(f"playing {name}", flush=True)


def _scene(happens: Scenes, name: str) -> Callable[[], None]:
    """Return what begins, or ends, by the name of an option."""
    return happens.end if name == "calm" else partial(happens.begin, AlarmClass[name.upper()])


def _say(text: str) -> None:
    print(text, flush=True)


def _unplayed(device: str) -> None:
    print(f"unplayed: {device}: nothing here can say what its configuration has it say", flush=True)


def _parts(
    station: Station, field: SimulatedField, clock: Clock, wanted: tuple[str, ...]
) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
    """Yield what can be played with its name; none: it says itself what it does."""
    for source in station.sources:
        if source.driver == "mqtt" and "broker" in wanted and source.options.get("host") in LOOPBACK:
            yield "", _broker(source, clock, alone=wanted == ("broker",))
        if source.driver == "mqtt" and "devices" in wanted:
            yield f"devices {source.id}", field.run_devices(source)
        if source.driver == "modbus_rtu" and "bus" in wanted:
            yield f"bus {source.id} at {source.options['port']}", field.run_bus(source)
        if source.driver == "modbus_tcp" and "bus" in wanted and source.options["host"] in LOOPBACK:
            yield f"bus {source.id} behind port {source.options.get('port', MODBUS_PORT)}", field.run_behind(source)
        wire = speaks(source) if "field" in wanted else None
        if wire is not None and playable(wire):
            yield f"{source.driver} devices of {source.id} at {wire.port}", field.run_wire(source, wire)
    for channel in station.channels:
        if channel.kind == "sms_modem" and "modem" in wanted:
            yield f"modem {channel.id} at {channel.options['port']}", field.run_modem(channel.id, channel.options)


async def _broker(source: SourceSpec, clock: Clock, *, alone: bool) -> None:
    """Be a broker; where one listens already, leave it alone: the devices publish to it. Raises LinkDown: `alone`."""
    port = int(source.options.get("port") or MQTT_PORT)
    broker = SimulatedBroker(clock, port=port)
    try:
        await broker.start()
    except LinkDown as error:
        taken = isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EADDRINUSE
        if alone or not taken:
            raise
        print(f"using what listens at port {port} already: no broker {source.id} is played", flush=True)
        await asyncio.Event().wait()
    print(f"playing broker {source.id}", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await broker.stop()


async def _answer(field: SimulatedField, clock: Clock, after: float, number: str, code: str) -> None:
    await clock.sleep(after)
    print(f"{number} → {code}", flush=True)
    field.reply(number, code)
