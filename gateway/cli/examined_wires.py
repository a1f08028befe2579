"""What `firegrid doctor` finds on the wires while no daemon holds them: Modbus buses, on lines and TCP, and the modem.

Beside `examined`; wires whose devices speak by themselves are in `examined_talk`, pins in `examined_pins`. Every device
of a bus is asked a few times, as the driver asks it; how they answer together says what is wrong: garbage from all is a
wrong baud rate, garbage from one are two devices of one address, silence of all is the wiring. The modem is taken up
its ladder and sends nothing; a PIN is never tried here. Nothing is changed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from drivers import modbus_tcp
from drivers._modbus_master import Master, Outcome, Port
from drivers._modbus_setup import SerialOptions, TcpOptions, Unit, read_setup
from drivers.modbus_rtu import open_line, speed
from gateway.channels.sms_modem import OPTIONS as MODEM_OPTIONS
from gateway.cli.examined import Finding, Level
from gateway.cli.examined_pins import pins
from gateway.cli.examined_talk import closed, listen, speaks
from gateway.cli.holders import holders
from gateway.cli.links import deaf, unreachable
from gateway.clock import Clock
from gateway.config.options import read
from gateway.errors import ConfigError, LinkDown
from gateway.fitting import Blank
from gateway.model.inventory import numbered
from gateway.model.ports import DriverSetup
from gateway.model.station import SourceSpec, Station
from gateway.transport.at_link import AtLink
from gateway.transport.modem_start import USABLE_SIGNAL, Facts, climb
from gateway.transport.serial import SerialPort

ASKED = 4  # times each device: one collision may be chance
MODEM_WITHIN = 60.0  # s for the whole ladder
_USABLE_DBM = -113 + 2 * USABLE_SIGNAL
MODBUS_PORT = 502
Heard = dict[str, tuple[int, Counter[Outcome]]]  # device → its address and how it answered


def wires(station: Station, clock: Clock) -> Iterator[Finding]:
    """Yield the findings of every bus and modem whose port is there. Runs loops of its own: blocking, some seconds."""
    for source in station.sources:
        name, port = f"source[{source.id}]", str(source.options.get("port", ""))
        if source.driver == "modbus_rtu" and Path(port).exists():
            yield from _held(name, port) or _bus(source, station, clock)
        elif source.driver == "modbus_tcp":
            yield from _bus(source, station, clock)
        elif source.driver == "gpio":
            yield from pins(source, station)
        elif (options := speaks(source)) and options.wire != "serial":
            yield from listen(source, options, station, clock)
        elif options is not None and Path(port).exists():
            yield from _held(name, port) or listen(source, options, station, clock)
    for channel in station.channels:
        port = str(channel.options.get("port", ""))
        if channel.kind == "sms_modem" and Path(port).exists():
            name = f"channel {channel.id}"
            yield from _held(name, port) or asyncio.run(_modem(name, read(channel, MODEM_OPTIONS), clock))


def _held(owner: str, port: str) -> list[Finding]:
    """Say who has a port open. A pseudo-terminal does not count: whoever plays the devices holds its far end."""
    if Path(port).resolve().is_relative_to("/dev/pts"):
        return []
    return [_taken(owner, port, holder) for holder in holders(port)][:1]


def _taken(owner: str, port: str, holder: str) -> Finding:
    text = f"{owner}：{port} 被 {holder} 占用", f"{owner}: {port} is held by {holder}"
    mend = f"停止该程序：{holder}；ModemManager 请停用", f"stop that program: {holder}; ModemManager is best disabled"
    return Finding("serial", Level.BAD, *text, *mend)


def _closed(owner: str, port: str, error: LinkDown) -> Finding:
    """Say why a port does not open: somebody's, as far as that can be seen."""
    for holder in holders(port):
        return _taken(owner, port, holder)
    mend = f"查看谁占用：sudo fuser -v {port}", f"see who holds it: sudo fuser -v {port}"
    return Finding("serial", Level.BAD, f"{owner}：{error}", f"{owner}: {error}", *mend)


# -- buses


def _bus(source: SourceSpec, station: Station, clock: Clock) -> list[Finding]:
    devices = [device for device in station.devices if device.source == source.id]
    blank = Blank()
    setup = DriverSetup(
        source=source,
        devices=devices,
        point_ids=numbered(station),
        life_safety=frozenset(),
        clock=clock,
        memory=blank,
        report=blank,
    )
    name = f"source[{source.id}]"
    try:
        if source.driver == "modbus_tcp":
            return _behind(source.id, *asyncio.run(_called(setup, clock)))
        options, units = read_setup(setup, SerialOptions)
        heard = asyncio.run(_on_line(options, units, clock))
    except ConfigError:
        return []  # told as a problem of the configuration
    except LinkDown as error:
        if source.driver == "modbus_tcp":
            return [closed(name, str(source.options["host"]), source.options.get("port", MODBUS_PORT), str(error))]
        return [_closed(name, str(source.options["port"]), error)]
    return list(_judged(source.id, heard, f"{options.baudrate} {options.bytesize}{options.parity}{options.stopbits}"))


async def _on_line(options: SerialOptions, units: list[Unit], clock: Clock) -> Heard:
    """Ask every device of a serial line. Raises LinkDown: the port is taken or lost."""
    port = open_line(options, lambda *_: None)
    master = Master(port, clock, baudrate=speed(options), echo=options.echo, count=lambda *_: None)
    return await _ask(port, master, units)


async def _called(setup: DriverSetup, clock: Clock) -> tuple[TcpOptions, Heard]:
    """Ask every device behind a TCP port. Raises LinkDown: it does not answer the call."""
    options, units = read_setup(setup, TcpOptions, slack=lambda options: options.delay)
    port = await modbus_tcp.open_line(options, clock, lambda *_: None)
    master = Master(port, clock, baudrate=options.baudrate, count=lambda *_: None)
    try:
        return options, await _ask(port, master, units)
    except LinkDown:  # it hung up on what it did not understand
        silent = Counter({Outcome.SILENT: ASKED})
        return options, {unit.slave.device.id: (unit.slave.address, silent) for unit in units}


async def _ask(port: Port, master: Master, units: list[Unit]) -> Heard:
    """Return device → its address and how it answered; the port is closed then. Raises LinkDown."""
    heard: Heard = {}
    try:
        for unit in units:
            outcomes: Counter[Outcome] = Counter()
            for _ in range(ASKED if unit.slave.blocks else 0):
                answer = await master.ask(unit.slave.blocks[0].request, unit.manners)
                outcomes[answer.outcome] += 1
            heard[unit.slave.device.id] = unit.slave.address, outcomes
    finally:
        port.close()
    return heard


def _behind(name: str, options: TcpOptions, heard: Heard) -> list[Finding]:
    """Judge what answered behind a TCP port: where nobody did, the connection itself was well."""
    found = list(_judged(name, heard, ""))
    asked = [of for _, of in heard.values() if of]
    if not asked or any(of[Outcome.ANSWERED] or of[Outcome.REFUSED] for of in asked):
        return found
    where = f"{options.host}:{options.port}"
    return [
        found[0]._replace(
            zh=f"{name}：{where} 可连接，但没有任何设备应答",
            en=f"{name}: {where} takes the call, but no device answers",
            mend_zh=f"核对 framing（现为 {options.framing}：tcp、rtu 或 ascii）、设备地址，以及串口服务器的串口参数",
            mend_en=f"compare framing (now {options.framing}: tcp, rtu or ascii), the devices' addresses, and the "
            "serial settings of the server",
        )
    ]


def _judged(name: str, heard: Heard, line: str) -> Iterator[Finding]:
    """Judge how the devices of a bus answer together. `line`: its settings, as 9600 8N1."""
    asked = {device: of for device, of in heard.items() if of[1]}
    answered = [device for device, (_, of) in asked.items() if of[Outcome.ANSWERED] or of[Outcome.REFUSED]]
    if asked and not answered:
        yield deaf(name, line, garbage=any(of[Outcome.BROKEN] for _, of in asked.values()))
        return
    for device, (address, of) in asked.items():
        zh, en = f"{name}：{device}（地址 {address}）", f"{name}: {device} (address {address}) "
        if of[Outcome.BROKEN]:
            yield Finding(
                "bus",
                Level.BAD,
                f"{zh}的应答混乱，其他设备正常：可能两台设备同一地址",
                f"{en}answers garbage while others are clear: two devices may have this address",
                "断开其中一台再试，并给它另一地址；否则检查该设备接线",
                "take one of them off and try again, give it another address; else check this device's wiring",
            )
        elif of[Outcome.SILENT] == ASKED:
            yield Finding(
                "bus",
                Level.BAD,
                f"{zh}没有应答，其他设备正常",
                f"{en}does not answer, others do",
                "检查该设备的电源、A/B 接线和地址",
                "check this device's power, its A and B wires and its address",
            )
        elif of[Outcome.REFUSED]:
            yield Finding(
                "bus",
                Level.BAD,
                f"{zh}在线，但拒绝所读的寄存器",
                f"{en}is there, but refuses the registers that are read",
                "检查 profile 与 address 是否对应此设备",
                "check that profile and address belong to this device",
            )
        else:
            yield Finding("bus", Level.GOOD, f"{zh}应答正常", f"{en}answers")


# -- modems


async def _modem(name: str, options: MODEM_OPTIONS, clock: Clock) -> list[Finding]:
    facts = Facts()
    try:
        port = SerialPort.open(options.port, baudrate=options.baudrate)
    except LinkDown as error:
        return [_closed(name, options.port, error)]
    link = AtLink(port, clock, lambda _: None)
    listening = asyncio.create_task(link.listen(), name="modem")
    try:
        async with clock.timeout(MODEM_WITHIN):
            problem = await climb(link, clock, facts, pin="", service_centre=options.service_centre)
    except (TimeoutError, LinkDown):
        return [unreachable(name, "no answer to AT")._replace(area="modem")]
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        port.close()
    status = facts.status(problem)
    if status.reason == "SIM: SIM PIN" and options.pin:
        zh, en = f"{name}：SIM 已锁，运行时用配置的 PIN 解锁", f"{name}: the SIM is locked; `run` enters the PIN"
        return [Finding("modem", Level.REMARK, zh, en)]
    if status.reason:
        return [unreachable(name, status.reason)._replace(area="modem")]
    return list(_signal(name, facts))


def _signal(name: str, facts: Facts) -> Iterator[Finding]:
    shown = "?" if facts.signal is None else str(facts.signal)
    if facts.signal is None or facts.signal < _USABLE_DBM:
        text = (
            f"{name}：信号弱（{shown} dBm），短信可能发不出",
            f"{name}: weak signal ({shown} dBm): messages may not leave",
        )
        mend = (
            "换到窗边或外接天线，或换运营商的卡",
            "move it to a window, use an outside antenna or another operator's SIM",
        )
        yield Finding("modem", Level.BAD, *text, *mend)
    else:
        text = f"{name}：{facts.operator} {shown} dBm", f"{name}: {facts.operator} {shown} dBm"
        yield Finding("modem", Level.GOOD, *text)
    if facts.full:
        text = f"{name}：SIM 短信存储已满，收不到回复", f"{name}: the SIM's storage is full: no reply can be received"
        yield Finding("modem", Level.BAD, *text, "删除旧短信：AT+CMGD=1,4", "delete old messages: AT+CMGD=1,4")
