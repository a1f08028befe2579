"""What `firegrid doctor` finds on wires whose devices speak by themselves: fire panels, stations, loggers, sensors.

Beside `examined_wires`. The driver's own conversation listens for some seconds and nothing is answered, so that a
device keeps what it has to tell for the daemon; only a sensor on a line of its own is asked, for asking takes nothing
from it. A port that others call is opened and closed again. Nothing is changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from drivers._conversation import Conversation, Said, Talk, Talking, WireOptions
from gateway import registry
from gateway.cli.examined import Finding, Level
from gateway.cli.links import deaf
from gateway.clock import Clock
from gateway.errors import ConfigError, GatewayError, LinkDown
from gateway.fitting import Blank
from gateway.model.inventory import numbered
from gateway.model.point import Device
from gateway.model.ports import DriverSetup
from gateway.model.station import SourceSpec, Station
from gateway.store.read import Reader
from gateway.transport.wires import Peer, attend

LISTEN = 6.0  # s: longer than any sensor's own interval, not than every panel's
_LOOK = 0.05  # s
_ASKED = "uart"  # the driver whose question takes nothing from the device
NAMED = 6  # devices before "and N more"


def speaks(source: SourceSpec) -> WireOptions | None:
    """Return the wire of a source whose devices speak by themselves; None for any other."""
    schema = registry.options("source", source.driver)
    if schema is None or not issubclass(schema, WireOptions):
        return None
    try:
        return msgspec.convert(source.options, schema)
    except msgspec.ValidationError:
        return None  # told as a problem of the configuration


def listen(source: SourceSpec, options: WireOptions, station: Station, clock: Clock) -> Iterator[Finding]:
    """Yield what is found while no daemon has the wire. Blocking, up to `LISTEN` seconds."""
    name = f"source[{source.id}]"
    devices = [device for device in station.devices if device.source == source.id]
    try:
        talk = _talk(source, devices, station, clock)
    except ConfigError:
        return  # told as a problem of the configuration
    ear = _Ear(talk, clock, asks=source.driver == _ASKED)
    try:
        asyncio.run(_listen(options, ear, clock))
    except LinkDown as error:
        yield _shut(name, options, str(error))
        return
    if options.many:
        where = f"{options.listen}:{options.number}"
        yield Finding("wire", Level.GOOD, f"{name}：{where} 空闲，可监听", f"{name}: {where} is free to listen at")
    else:
        yield _judged(name, source, options, ear, {device.id for device in devices})


def never_called(station: Station) -> Iterator[Finding]:
    """Yield the devices of which the store has nothing at all, per source that they should call."""
    sources = {source.id: options for source in station.sources if (options := speaks(source)) and options.many}
    devices = [device for device in station.devices if device.source in sources]
    if not devices or not Path(station.store.path).exists():
        return
    try:
        with Reader(station.store.path) as reader:
            known, spoken = reader.points(), reader.spoken()
    except GatewayError:
        return  # told as a problem of the store
    for source, options in sources.items():
        mute = [device.id for device in devices if device.source == source and not _has_spoken(device, known, spoken)]
        if mute:
            names = ", ".join(mute[:NAMED]) + (f" … +{len(mute) - NAMED}" if len(mute) > NAMED else "")
            kind = "UDP" if options.wire == "udp" else "TCP"
            yield Finding(
                "wire",
                Level.REMARK,
                f"source[{source}]：从未收到这些设备的数据：{names}",
                f"source[{source}]: these devices have never called: {names}",
                f"在设备上设中心地址为本机地址、{kind} 端口 {options.number}；核对设备编号，并放行防火墙",
                f"set the centre in the device to this box's address, {kind} port {options.number}; compare its number "
                "with the configuration, and let the firewall pass it",
            )


def _has_spoken(device: Device, known: dict[str, int], spoken: set[int]) -> bool:
    return any(known.get(f"{device.id}.{spec.name}") in spoken for spec in device.profile.points)


def _talk(source: SourceSpec, devices: Sequence[Device], station: Station, clock: Clock) -> Talk:
    """Return what makes the driver's conversations, which set nothing. Raises ConfigError."""
    blank = Blank()
    quiet = [msgspec.structs.replace(device, options={**device.options, **_quiet(source)}) for device in devices]
    setup = DriverSetup(
        source=source,
        devices=quiet,
        point_ids=numbered(station),
        life_safety=frozenset(),
        clock=clock,
        memory=blank,
        report=blank,
    )
    made = registry.driver(source.driver).create(setup)
    if not isinstance(made, Talking):
        raise ConfigError(f"{source.driver} holds no conversation")
    return made.talk


def _quiet(source: SourceSpec) -> dict[str, bool]:
    return {"set_mode": False} if source.driver == _ASKED else {}


class _Ear:
    """Who listens (port `Ears`): hears with the driver's conversation, answers nothing."""

    def __init__(self, talk: Talk, clock: Clock, *, asks: bool) -> None:
        self.open = False
        self.came = 0  # bytes
        self.understood: list[Said] = []
        self._talk = talk
        self._clock = clock
        self._asks = asks
        self._peer: Peer | None = None
        self._conversation: Conversation | None = None

    def opened(self, name: str) -> None:
        """Note that the wire stands."""
        del name
        self.open = True

    def met(self, peer: Peer) -> None:
        """Begin to listen."""
        self._peer, self._conversation = peer, self._talk(peer.name)

    def heard(self, peer: Peer, data: bytes) -> None:
        """Take bytes."""
        del peer
        self.came += len(data)
        if self._conversation is not None:
            self.understood += filter(_sense, self._conversation.hear(data, self._clock.mono(), 0))

    def lost(self, peer: Peer, why: str) -> None:
        """Nothing: a wire of one peer says so itself."""

    def ask(self) -> None:
        """Ask what is due, where asking takes nothing."""
        now = self._clock.mono()
        if self._asks and self._peer is not None and self._conversation is not None and self._conversation.due() <= now:
            for said in self._conversation.tick(now, 0):
                if said.at_once:
                    self._peer.write(said.at_once)


def _sense(said: Said) -> bool:
    """Whether something was understood, rather than counted."""
    told = said.decoded
    return bool(said.stores or told.heard or ((said.after or said.at_once) and not told.problems))


async def _listen(options: WireOptions, ear: _Ear, clock: Clock) -> None:
    """Listen until something was understood, or long enough. Raises LinkDown."""
    listening = asyncio.ensure_future(attend(options, ear, clock))
    try:
        with suppress(TimeoutError):
            async with clock.timeout(LISTEN):
                while not (ear.understood or (options.many and ear.open)):
                    if listening.done():
                        listening.result()
                    ear.ask()
                    await clock.sleep(_LOOK)
        if not ear.open:
            raise LinkDown(f"{options.host}:{options.port} did not answer within {LISTEN:g} s")
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


def closed(name: str, host: str, port: object, error: str) -> Finding:
    """Say that whom we call does not answer."""
    return Finding(
        "wire",
        Level.BAD,
        f"{name}：{host}:{port} 没有应答（{error}）",
        f"{name}: {host}:{port} does not answer ({error})",
        "检查串口服务器或设备的电源、网线、IP 地址和端口",
        "check the power of the serial server or device, its cable, host and port",
    )


def _shut(name: str, options: WireOptions, error: str) -> Finding:
    """Say why a wire does not open."""
    if options.wire == "tcp_client":
        return closed(name, options.host, options.port, error)
    if options.wire == "serial":
        mend = f"查看谁占用：sudo fuser -v {options.port}", f"see who holds it: sudo fuser -v {options.port}"
        return Finding("serial", Level.BAD, f"{name}：{error}", f"{name}: {error}", *mend)
    where, table = f"{options.listen}:{options.number}", "u" if options.wire == "udp" else "t"
    find = f"sudo ss -lnp{table} 'sport = :{options.number}'"
    return Finding(
        "wire",
        Level.BAD,
        f"{name}：不能监听 {where}（{error}）",
        f"{name}: cannot listen at {where} ({error})",
        f"查看谁占用：{find}；listen 须为本机地址，端口须为 1024 以上",
        f"see who has it: {find}; listen must be an address of this box, the port 1024 or above",
    )


def _judged(name: str, source: SourceSpec, options: WireOptions, ear: _Ear, known: set[str]) -> Finding:
    """Say what was heard on a line or a connection."""
    called = options.wire == "tcp_client"
    where = f"{options.host}:{options.port}" if called else str(options.port)
    look = "" if called else f"firegrid listen {where}"
    speakers = [said.device for said in ear.understood]
    if any(device in known for device in speakers):
        return Finding(
            "wire", Level.GOOD, f"{name}：{where} 有数据且可理解", f"{name}: {where} speaks, and is understood"
        )
    if speakers:
        told = ", ".join(sorted({device for device in speakers if device})) or "?"
        return Finding(
            "wire",
            Level.BAD,
            f"{name}：{where} 有数据，但来自未配置的设备 {told}",
            f"{name}: {where} is understood, but speaks as {told}, which is no configured device",
            "改正 [[device]] 的编号或地址" + (f"；查看：{look}" if look else ""),
            "correct the number or address of the [[device]]" + (f"; look: {look}" if look else ""),
        )
    if ear.came:
        line = f"{options.baudrate} {options.bytesize}{options.parity}{options.stopbits}"
        return deaf(name, line, garbage=True)._replace(area="wire")
    if source.driver == _ASKED:
        return Finding(
            "wire",
            Level.BAD,
            f"{name}：{where} 的传感器没有任何数据",
            f"{name}: the sensor at {where} says nothing",
            "检查供电，对调 TX/RX，核对 mode（主动上传或问答）",
            "check its power, swap TX and RX, compare mode (initiative or question)",
        )
    return Finding(
        "wire",
        Level.REMARK,
        f"{name}：{where} 在 {LISTEN:g} 秒内没有数据；不少设备几分钟才发一次，或等待询问",
        f"{name}: nothing came from {where} in {LISTEN:g} s; many devices speak every few minutes only, or when polled",
        "在设备上触发一次测试" + (f"并观察：{look}" if look else "") + "；仍无数据则对调 A/B 或 TX/RX",
        "press its test key"
        + (f" and look: {look}" if look else "")
        + "; if nothing comes, swap A and B, or TX and RX",
    )
