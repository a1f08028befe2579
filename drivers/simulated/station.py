"""Everything outside a station's box, made of its configuration: buses, MQTT devices, modems, all with real bytes.

For `demo` and `simulate`: a `SimulatedField` stands where the configuration says that ports and brokers are, so that
an unchanged daemon finds it. Keeps house rule 9: fakes ship.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from drivers._modbus_master import Port
from drivers._modbus_setup import TcpOptions
from drivers._together import until_one_ends
from drivers.mqtt import Options as BrokerOptions
from drivers.simulated import mqtt_devices, mqtt_players
from drivers.simulated.field import FarEnd, at_rest, far_end, hang
from drivers.simulated.modbus_bus import Line, ModbusBus
from drivers.simulated.modbus_tcp import TcpLine
from drivers.simulated.modem import SimulatedModem
from drivers.simulated.mqtt_devices import Panel
from drivers.simulated.mqtt_links import Attached, Client, clients
from drivers.simulated.mqtt_shown import showing
from drivers.simulated.profile_slave import ProfileSlave
from gateway.clock import Clock
from gateway.errors import ConfigError
from gateway.model.point import Device
from gateway.model.station import SourceSpec, Station
from gateway.protocols.modbus_framing import Ascii, Framing, Mbap
from gateway.transport.mqtt_options import MqttOptions
from gateway.transport.serial import open_pty
from gateway.transport.wires import WireOptions

MQTT_PORT = 1883
_KNOWN: Mapping[str, Callable[[str, int], mqtt_devices.Device]] = {
    "zigbee2mqtt-smoke": mqtt_devices.smoke_detector,
    "zigbee2mqtt-gas": mqtt_devices.gas_detector,
    "zigbee2mqtt-leak": mqtt_devices.leak_sensor,
    "json-panel": lambda topic, _: Panel(topic, ()),
}

# (source, where on it, bytes): `>` and `<` are master and slaves of a bus, else it is a topic.
Seen = Callable[[str, str, bytes], None]
OnSms = Callable[[str, str, str], None]  # (channel, number, text): a text arrived at a phone


class Tap:
    """A line that shows what passes: wraps the pseudo-terminal of a bus."""

    def __init__(self, line: Line, seen: Callable[[str, bytes], None]) -> None:
        self._line = line
        self._seen = seen
        self._tapped: _TappedPort | None = None

    @property
    def port(self) -> Port:
        """Our end; the same object as long as the line is the same."""
        if self._tapped is None or self._tapped.inner is not self._line.port:
            self._tapped = _TappedPort(self._line.port, self._seen)
        return self._tapped

    def plug(self) -> None:
        """Bring the line back."""
        self._line.plug()

    def unplug(self) -> None:
        """Take it away."""
        self._line.unplug()


class _TappedPort:
    def __init__(self, inner: Port, seen: Callable[[str, bytes], None]) -> None:
        self.inner = inner
        self._seen = seen

    async def read(self) -> bytes:
        data = await self.inner.read()
        self._seen(">", data)
        return data

    def read_waiting(self) -> bytes:
        return self.inner.read_waiting()

    def write(self, data: bytes) -> None:
        self._seen("<", data)
        self.inner.write(data)

    def close(self) -> None:
        self.inner.close()


class SimulatedField:
    """Buses, devices and modems of a station. Raises ConfigError for what cannot be played where it should be.

    Args:
        players: of MQTT devices by device id, instead of those made here.
        calm: `device.point` → what it shows at rest, in its unit.

    Attributes:
        slaves: by device id; `set_point` changes what they measure.
        devices: players of MQTT devices by device id.
        clients: who of them has a connection: `device/<id>`, `bridge/<base>`, `tasmota/<topic>`,
            `node/<group>/<node>`, `others`.
        modems: by channel id.
        ends: far ends of the field's other wires, by device id.
        unplayed: ids of devices that no simulator knows.
    """

    def __init__(
        self,
        station: Station,
        clock: Clock,
        *,
        players: Mapping[str, mqtt_devices.Device] | None = None,
        calm: Mapping[str, float] | None = None,
        seen: Seen = lambda *_: None,
        on_sms: OnSms = lambda *_: None,
        on_unplayed: Callable[[str], None] = lambda _: None,
        seconds_per_sms: float = 0.5,
    ) -> None:
        self.slaves: dict[str, ProfileSlave] = {}
        self.devices: dict[str, mqtt_devices.Device] = {}
        self.clients: dict[str, Client] = {}
        self.modems: dict[str, SimulatedModem] = {}
        self.ends: dict[str, FarEnd] = {}
        self.unplayed: list[str] = []
        self._scene: dict[str, Mapping[str, float]] = {}  # what slaves show otherwise than at rest
        self._station = station
        self._clock = clock
        self._players = players or {}
        self._calm = calm or {}
        self._seen = seen
        self._on_sms = on_sms
        self._on_unplayed = on_unplayed
        self._seconds_per_sms = seconds_per_sms
        drivers = {source.id: source.driver for source in station.sources}
        for device in station.devices:
            if drivers.get(device.source) in ("modbus_rtu", "modbus_tcp"):
                address = {**device.profile.options, **device.options}.get("address", 1)
                slave = self.slaves[device.id] = ProfileSlave(device, int(address))
                for spec in device.profile.points:
                    if (value := self._calm.get(f"{device.id}.{spec.name}")) is not None:
                        slave.set_point(spec.name, value)

    async def run_bus(self, source: SourceSpec) -> None:
        """Play the slaves of a Modbus source until cancelled."""
        mine = [self.slaves[device.id] for device in self._station.devices if device.source == source.id]
        pair = open_pty(free_place(source.id, source.options))
        tap = Tap(pair, lambda where, data: self._seen(source.id, where, data))
        baudrate = int(source.options.get("baudrate", 9600))
        try:
            await ModbusBus(tap, self._clock, mine, baudrate=baudrate).run()
        finally:
            pair.close()

    async def run_behind(self, source: SourceSpec) -> None:
        """Play the slaves of a Modbus TCP source until cancelled. Raises LinkDown: its port is taken."""
        options = msgspec.convert(source.options, TcpOptions)
        mine = [self.slaves[device.id] for device in self._station.devices if device.source == source.id]
        framings: dict[str, Callable[[], Framing] | None] = {
            "tcp": lambda: Mbap(asks=False),
            "ascii": Ascii,
            "rtu": None,
        }
        line = TcpLine(framings[options.framing])
        await line.open(options.port)
        try:
            tap = Tap(line, lambda where, data: self._seen(source.id, where, data))
            await ModbusBus(tap, self._clock, mine, baudrate=None).run()
        finally:
            await line.close()

    async def run_wire(self, source: SourceSpec, options: WireOptions) -> None:
        """Play the far ends of a source whose devices speak by themselves, until cancelled."""
        mine: dict[str, FarEnd] = {}
        for device in self._station.devices:
            if device.source == source.id:
                end = far_end(source.driver, device, self._calm)
                if end is None:
                    self.unplayed.append(device.id)
                    self._on_unplayed(device.id)
                else:
                    mine[device.id] = end
        self.ends |= mine
        place = free_place(source.id, source.options) if options.wire == "serial" else None
        await hang(options, place, mine, self._clock, lambda device, data: self._seen(source.id, device, data))

    async def run_devices(self, source: SourceSpec) -> None:
        """Publish for the MQTT devices of a source until cancelled; connects again whenever the broker is back."""
        mine = [device for device in self._station.devices if device.source == source.id]
        began, wall = self._clock.mono(), self._clock.wall() / 1e9
        playing: list[tuple[Device, mqtt_devices.Device]] = []
        for seed, (device, usual) in enumerate(mqtt_players.players(mine, self._calm, wall)):
            known = self._players.get(device.id) or _known(device, seed) or usual
            if known is None:
                self.unplayed.append(device.id)
                self._on_unplayed(device.id)
                continue
            self.devices[device.id] = known
            playing.append((device, known))
        login = login_of(source)
        seen = partial(self._seen, source.id)
        self.clients |= (here := clients(playing))
        attached = [
            Attached(client, replace(login, client_id=f"{login.client_id}/{name}"), self._clock, began, seen)
            for name, client in here.items()
        ]
        always = asyncio.Event().wait()  # where nothing can be played
        await until_one_ends(always, *(one.run() for one in attached))

    def show(self, device: Device, values: Mapping[str, float]) -> None:
        """Let points of a device be so, in their units, all others as at rest."""
        specs = {spec.name: spec for spec in device.profile.points}
        if device.id in self.slaves:
            for name in self._scene.get(device.id, ()):  # outputs stay as they are
                rest = self._calm.get(f"{device.id}.{name}", specs[name].labels.get("normal", 0.0))
                self.slaves[device.id].set_point(name, rest)
            for name, value in values.items():
                self.slaves[device.id].set_point(name, value)
            self._scene[device.id] = values
        elif device.id in self.ends:
            self.ends[device.id].show(at_rest(device, self._calm) | dict(values))
        elif device.id in self.devices:
            self.devices[device.id].show([showing(specs[name], value) for name, value in values.items()], device.id)

    async def run_modem(self, channel: str, options: Mapping[str, Any]) -> None:
        """Be the modem of a channel until cancelled."""
        modem = SimulatedModem(
            self._clock,
            link=free_place(channel, options),
            seconds_per_sms=self._seconds_per_sms,
            on_sms=lambda number, text: self._on_sms(channel, number, text),
        )
        self.modems[channel] = modem
        await modem.run()

    def reply(self, number: str, text: str) -> None:
        """Let a person write back, to the first modem."""
        next(iter(self.modems.values())).receive(number, text)


def free_place(owner: str, options: Mapping[str, Any]) -> Path:
    """Return where a simulated port is to appear. Raises ConfigError when a real one, or anything else, is there."""
    path = Path(str(options["port"]))
    if path.exists() and not path.is_symlink():
        raise ConfigError(f"{owner}: {path} exists and is no simulated port; fix: name another port in a copy of it")
    if not path.parent.is_dir():
        raise ConfigError(f"{owner}: folder {path.parent} does not exist; fix: create it or name another port")
    return path


def mqtt_player(device: Device, seed: int, calm: Mapping[str, float] | None = None) -> mqtt_devices.Device | None:
    """Return a player of an MQTT device: physical where its profile is known, else calm values; None: no field known.

    Args:
        device: of a dialect's profile.
        seed: of its noise.
        calm: `device.point` → what it shows at rest, in its unit; others as is usual for their unit.
    """
    return _known(device, seed) or next(mqtt_players.players([device], calm or {}))[1]


def _known(device: Device, seed: int) -> mqtt_devices.Device | None:
    make = _KNOWN.get(device.profile.id)
    topic = str(device.options.get("topic", ""))
    return make(topic, seed) if make and topic else None


def login_of(source: SourceSpec) -> MqttOptions:
    """Return how devices reach the broker of a source: as the station does, under names of their own."""
    account = msgspec.convert(source.options, BrokerOptions)
    return replace(account.session(f"simulated-{source.id}"), session_expiry=0)
