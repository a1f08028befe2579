"""`firegrid discover`: which devices are there, as TOML to paste into station.toml; nothing is changed anywhere.

Scans a serial bus for Modbus addresses, listens to a broker for known dialects, or to a port for devices that call. For
commissioning; progress goes to standard error, the TOML to standard output. Keeps house section 5 (ports are opened by
`gateway.transport`) and says what is a guess.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import NamedTuple

from drivers._decode_found import Calling, OnBroker, comment, table
from drivers._decode_scan import PROBES, Answered, Scan
from drivers._modbus_master import Master
from gateway.cli.heard import session_of, until, wire_of
from gateway.cli.listen import taken
from gateway.cli.main import FAILED, GOOD
from gateway.cli.meter import Meter
from gateway.cli.tongue import add_language, is_chinese
from gateway.clock import Clock, SystemClock
from gateway.config.quantities import duration
from gateway.errors import ConfigError, LinkDown
from gateway.transport.mqtt import Message, MqttSession
from gateway.transport.serial import SerialPort
from gateway.transport.wires import Peer, WireOptions, attend

FILTERS = ("#", "$sys/#", "$oc/#")  # a wildcard at the start leaves out what begins with $
BROKER = "broker"
USUAL_PORT = 1883


def arguments(own: argparse.ArgumentParser) -> None:
    """Add what `discover` takes."""
    own.add_argument("what", metavar="PORT|broker", help="/dev/ttyUSB0, tcp:PORT, udp:ADDRESS:PORT, or broker")
    own.add_argument("--addresses", default="1-247", help="of a bus, e.g. 1-32,80 (default 1-247)")
    own.add_argument("--baudrates", default="9600,4800,19200", help="to try, until somebody answers")
    own.add_argument("--parities", default="N", help="to try: N, E, O")
    own.add_argument("--timeout", default="0.15s", metavar="TIME", help="that a device of a bus may take to answer")
    own.add_argument("--for", dest="time", default="10s", metavar="TIME", help="to listen to a broker or port")
    own.add_argument("--source", default="", help="id of the source in the TOML")
    own.add_argument("--host", default="127.0.0.1", help="the broker")
    own.add_argument("--port", type=int, default=USUAL_PORT, help="its port")
    own.add_argument("--username")
    own.add_argument("--password-file", type=Path)
    own.set_defaults(baudrate=None, bytesize=8, parity="N", stopbits=1)
    add_language(own)


def run(options: argparse.Namespace) -> int:
    """Print what was found; 1 when nothing was, or the port or broker is not to be had."""
    zh, clock = is_chinese(options), SystemClock()
    seconds, patience = _seconds(options.time), _seconds(options.timeout)
    try:
        if options.what == BROKER:
            return asyncio.run(_broker(options, clock, seconds, zh=zh))
        wire = wire_of(options.what, options, None)
        if wire is None:
            raise ConfigError(f"{options.what}: no such port; write /dev/ttyUSB0, tcp:PORT, udp:PORT or broker")
        if wire.wire == "serial":
            return asyncio.run(_bus(options, clock, patience, zh=zh))
        return asyncio.run(_callers(wire, options.source or "centre", clock, seconds, zh=zh))
    except LinkDown as error:
        raise taken(options.what, error, zh=zh) from error


# -- a bus


class _Line(NamedTuple):
    """One setting of a serial line."""

    path: str
    baudrate: int
    parity: str


async def _bus(options: argparse.Namespace, clock: Clock, patience: float, *, zh: bool) -> int:
    wanted = addresses_of(options.addresses)
    parities, baudrates = _parities(options.parities), _baudrates(options.baudrates)
    garbled: list[str] = []
    for line in (_Line(options.what, baudrate, parity) for parity in parities for baudrate in baudrates):
        found, unclear = await _scan(line, wanted, patience, clock)
        if found:
            _print_bus(line, found, options.source or "bus1", zh=zh)
            return GOOD
        if unclear:
            garbled.append(f"{line.baudrate} {line.parity}")
    heard = f"{'有杂乱应答' if zh else 'garbled answers at'}: {', '.join(garbled)}" if garbled else ""
    mend = (
        "无应答：检查电源、A/B 接线、地址和波特率"
        if zh
        else "nobody answers: check power, the wires A and B, addresses"
    )
    print(f"{mend} {heard}".strip(), file=sys.stderr)
    return FAILED


async def _scan(line: _Line, wanted: list[int], patience: float, clock: Clock) -> tuple[list[Answered], bool]:
    """Ask every address at one setting of the line. Raises LinkDown."""
    port = SerialPort.open(line.path, baudrate=line.baudrate, parity=line.parity)
    meter = Meter(f"{line.path} {line.baudrate} {line.parity}", len(wanted) * len(PROBES))
    try:
        master = Master(port, clock, baudrate=line.baudrate, count=lambda *_: None)
        scan = Scan(master, patience, lambda: meter.add(1))
        found = await scan.addresses(wanted)
        answered = [await scan.recognise(address, line.baudrate) for address in found]
    finally:
        port.close()
        meter.end()
    return answered, bool(scan.garbled)


def _print_bus(line: _Line, found: list[Answered], source: str, *, zh: bool) -> None:
    keys = {"id": source, "driver": "modbus_rtu", "port": line.path, "baudrate": line.baudrate}
    print(table("source", keys if line.parity == "N" else {**keys, "parity": line.parity}))
    for one in found:
        where = f"地址 {one.address}" if zh else f"address {one.address}"
        if not one.clear:
            mixed = (
                "应答有时混乱：可能两台设备同一地址" if zh else "garbled at times: two devices may have this address"
            )
            print(comment(f"{where}: {mixed}"), end="")
        if not one.profiles:
            unknown = (
                "没有型号档案与之相符，见 firegrid profiles list" if zh else "no profile fits: firegrid profiles list"
            )
            print(comment(f"{where}: {unknown}"))
            continue
        guess = "按寄存器推测，请核对" if zh else "guessed by its registers, compare it"
        others = f"; {'或' if zh else 'or'} {', '.join(one.profiles[1:])}" if one.profiles[1:] else ""
        print(comment(f"{where}: {guess}{others}"), end="")
        name = f"{one.profiles[0]}-{one.address}"
        print(table("device", {"id": name, "source": source, "profile": one.profiles[0], "address": one.address}))


def addresses_of(text: str) -> list[int]:
    """Return the addresses of `1-32,80`. Raises ConfigError."""
    found: dict[int, None] = {}
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            found.update(dict.fromkeys(range(int(first), int(last or first) + 1)))
    except ValueError:
        raise ConfigError(f'--addresses {text}: write them as "1-32,80"') from None
    if not found or min(found) < 1 or max(found) > 255:
        raise ConfigError(f"--addresses {text}: Modbus has addresses 1 to 247, some devices use 248 to 255")
    return list(found)


def _baudrates(text: str) -> list[int]:
    try:
        rates = [int(part) for part in text.split(",")]
    except ValueError:
        rates = []
    if not rates or not all(300 <= rate <= 4_000_000 for rate in rates):
        raise ConfigError(f'--baudrates {text}: write them as "9600,4800"')
    return rates


def _parities(text: str) -> list[str]:
    found = text.upper().split(",")
    if set(found) - set("NEO"):
        raise ConfigError(f'--parities {text}: write them as "N,E,O"')
    return found


def _seconds(text: str) -> float:
    try:
        return duration(text)
    except ValueError as error:
        raise ConfigError(str(error)) from error


# -- a broker


async def _broker(options: argparse.Namespace, clock: Clock, seconds: float, *, zh: bool) -> int:
    found = OnBroker()

    def take(session: MqttSession, messages: list[Message]) -> None:
        for topic, payload, *_ in messages:
            found.hear(topic, payload or b"")
        session.ack([packet for *_, packet in messages if packet])

    session = await session_of(options, clock, take)
    try:
        granted = await session.subscribe([(pattern, 0) for pattern in FILTERS])
        if granted[0] >= 0x80:
            raise LinkDown(f"broker {options.host}:{options.port} refuses #: allow this user to read it in acl_file")
        await until(clock, seconds, session.run())
    finally:
        session.abort()
    text = found.toml(options.source or BROKER)
    heard = f"{found.messages} 条消息" if zh else f"{found.messages} messages"
    print(comment(f"{options.host}:{options.port}: {heard}"))
    topics, gateways = found.left_out()
    if topics:
        theirs = f"略去网关自身发布的 {topics} 个主题" if zh else f"left out, as gateways publish them: {topics} topics"
        print(comment(f"{theirs}: {', '.join(gateways)}"))
    if text:
        print(table("source", _source(options)))
    print(text)
    if not text:
        mend = (
            "未发现设备：让设备发送一次，或加长 --for"
            if zh
            else "nothing found: let the devices speak, or listen longer: --for 60s"
        )
        print(mend, file=sys.stderr)
    return GOOD if text else FAILED


def _source(options: argparse.Namespace) -> dict[str, str | int]:
    """Return the keys of the source by which the station reaches this broker as we did."""
    keys: dict[str, str | int] = {"id": options.source or BROKER, "driver": "mqtt", "host": options.host}
    if options.port != USUAL_PORT:
        keys["port"] = options.port
    if options.username is not None:
        keys["username"] = options.username
    if options.password_file is not None:
        keys["password_file"] = str(options.password_file.absolute())
    return keys


# -- devices that call


class _Door:
    """Who calls (port `Ears`)."""

    def __init__(self, calling: Calling) -> None:
        self._calling = calling

    def opened(self, name: str) -> None:
        """Nothing."""

    def met(self, peer: Peer) -> None:
        """Nothing: it must speak."""

    def heard(self, peer: Peer, data: bytes) -> None:
        """Take bytes; nobody is answered."""
        self._calling.hear(peer.name, data)

    def lost(self, peer: Peer, why: str) -> None:
        """Nothing: what it said stands."""


async def _callers(wire: WireOptions, source: str, clock: Clock, seconds: float, *, zh: bool) -> int:
    calling = Calling(datagrams=wire.wire == "udp")
    await until(clock, seconds, attend(wire, _Door(calling), clock))
    keys = {"wire": wire.wire, "port": wire.number, **({} if wire.listen == "127.0.0.1" else {"listen": wire.listen})}
    text = calling.toml(source, keys)
    if not calling.found:
        mend = (
            "没有设备呼入：检查设备所填的中心地址、端口和防火墙"
            if zh
            else "nobody called: check the centre's address and port"
        )
        print(f"{mend} ({wire.listen}:{wire.number})", file=sys.stderr)
    print(text)
    return GOOD if calling.found else FAILED
