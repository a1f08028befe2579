"""`firegrid doctor` on the wires of the field: every seeded fault is found, with its fix, in both languages."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import gpiod
import pytest

from drivers.simulated.gb26875 import Transmitter
from drivers.simulated.hj212 import Logger
from drivers.simulated.modbus_bus import ModbusBus, SimulatedSlave
from drivers.simulated.modbus_tcp import TcpLine
from gateway.cli import examined_talk, examined_wires
from gateway.cli.examined import Level
from gateway.clock import SystemClock
from gateway.protocols.hj212_packet import Factor
from gateway.protocols.modbus_framing import Framing, Mbap
from gateway.protocols.uart import winsen_answer
from gateway.store.database import Store
from gateway.transport.serial import open_pty
from tests import station_toml as toml
from tests.commissioning import faulty
from tests.commissioning.faulty import Field
from tests.commissioning.sown import Faults, Patch, check, examined
from tests.patience import wait
from tests.ports import free_port
from tests.store_groups import group

Says = Callable[[], bytes]
CO2 = toml.table("device", id="co2", source="wire", profile="winsen-mhz19b", cell="a", poll="100ms")
GAS = toml.table("device", id="gas", source="wire", profile="hj212-gas", cell="a", mn="010000A8900016F000169DC0")
PANEL = toml.table("device", id="panel", source="wire", profile="gb26875-transmitter", cell="a", address=7)
PINS = toml.table(
    "device", id="box", source="wire", profile="gpio", cell="a",
    points={"di1": {"kind": "state", "labels": {"normal": 0, "alarm": 1}, "decode": {"line": 17}}},
)  # fmt: skip
FAULTS = Faults()
fault = FAULTS.fault


def _wire(driver: str, **keys: object) -> str:
    return toml.table("source", id="wire", driver=driver, **keys)


def _line(at: Field, hears: Callable[[bytes], bytes] = lambda _: b"", says: Says = lambda: b"") -> str:
    """Let something hang on a serial line; returns its path."""
    pair = at.stack.enter_context(closing(open_pty()))

    async def live() -> None:
        while True:
            if said := says():
                pair.port.write(said)
            if heard := pair.port.read_waiting():
                pair.port.write(hears(heard))
            await asyncio.sleep(0.02)

    at.stack.enter_context(faulty.running(live))
    return str(pair.path)


# -- serial lines


@fault("wire", en="the sensor at", zh="没有任何数据", mend="swap TX and RX")
def sensor_silent(at: Field, _: Patch) -> Path:
    return at.write(_wire("uart", wire="serial", port=_line(at)), CO2)


@fault("wire", en="only garbage comes at 2400 8E1", zh="只收到乱码", mend="baudrate, parity and stopbits")
def line_at_another_speed(at: Field, _: Patch) -> Path:
    port = _line(at, says=lambda: b"\xf8\x80\x1e\x00\xfe")
    return at.write(_wire("gb26875", wire="serial", port=port, baudrate=2400, parity="E"), PANEL)


@fault("wire", en="speaks as 9, which is no configured device", zh="未配置的设备 9", mend="firegrid listen /dev/pts/")
def line_of_another_panel(at: Field, _: Patch) -> Path:
    other = Transmitter(9)
    return at.write(
        _wire("gb26875", wire="serial", port=_line(at, says=lambda: other.operate(1, time.time_ns()))), PANEL
    )


@fault("wire", en="nothing came from", zh="秒内没有数据", mend="press its test key and look", level=Level.REMARK)
def panel_says_nothing_now(at: Field, _: Patch) -> Path:
    return at.write(_wire("gb26875", wire="serial", port=_line(at)), PANEL)


@fault("serial", en="source[wire]: /dev/ttyUSB77 is not there", zh="不存在", mend="plug the adapter in")
def uart_port_missing(at: Field, _: Patch) -> Path:
    return at.write(_wire("uart", wire="serial", port="/dev/ttyUSB77"), CO2)


# -- TCP and UDP


@fault("wire", en="does not answer", zh="没有应答", mend="serial server")
def serial_server_away(at: Field, _: Patch) -> Path:
    return at.write(_wire("uart", wire="tcp_client", host="127.0.0.1", port=free_port()), CO2)


@fault("wire", en="cannot listen at 127.0.0.1", zh="不能监听", mend="ss -lnpt")
def tcp_port_taken(at: Field, _: Patch) -> Path:
    other = at.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    return at.write(_wire("hj212", wire="tcp_server", port=other.getsockname()[1]), GAS)


@fault("wire", en="cannot listen at 127.0.0.1", zh="不能监听", mend="ss -lnpu")
def udp_port_taken(at: Field, _: Patch) -> Path:
    other = at.stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
    other.bind(("127.0.0.1", 0))
    return at.write(_wire("hj212", wire="udp", port=other.getsockname()[1]), GAS)


@fault("wire", en="cannot listen at 203.0.113.9", zh="不能监听 203.0.113.9", mend="an address of this box")
def address_of_another_box(at: Field, _: Patch) -> Path:
    return at.write(_wire("hj212", wire="tcp_server", listen="203.0.113.9", allow=["10.0.0.0/8"], port=9003), GAS)


@fault(
    "configuration",
    en="may report in any device's name",
    zh="冒充设备上报",
    mend='allow = ["192.168.1.0/24"]',
    level=Level.REMARK,
)
def door_open_to_everybody(at: Field, _: Patch) -> Path:
    return at.write(_wire("hj212", wire="tcp_server", listen="::", port=free_port()), GAS)


def _store(at: Field, *heard: str) -> None:
    """Make a store that knows both loggers and has a reading of some."""
    with closing(Store.open(at.folder / "station.db")) as store:
        ids = store.point_ids(["gas.co", "late.co"])
        store.commit(group(1, rows=[(ids[name], 0, 1.0, 0) for name in heard]))


@fault(
    "wire",
    en="have never called: late",
    zh="从未收到这些设备的数据：late",
    mend="set the centre in the device to this box's address, UDP port",
    level=Level.REMARK,
)
def logger_with_another_centre(at: Field, _: Patch) -> Path:
    _store(at, "gas.co")
    late = GAS.replace('"gas"', '"late"').replace("9DC0", "9DC1")
    return at.write(_wire("hj212", wire="udp", port=free_port()), GAS, late)


# -- Modbus TCP


METER = toml.table("device", id="near", source="wire", profile="xy-md02", cell="a", address=1, timeout="300ms")


def _behind_tcp(at: Field, *addresses: int, framing: Callable[[], Framing] | None = lambda: Mbap(asks=False)) -> int:
    slaves = [SimulatedSlave(address=address, registers={1: 215.0, 2: 400.0}) for address in addresses]
    port = free_port()

    async def live() -> None:
        line = TcpLine(framing)
        await line.open(port)
        try:
            await ModbusBus(line, SystemClock(), slaves, baudrate=None).run()
        finally:
            await line.close()

    at.stack.enter_context(faulty.running(live))

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait(listens)
    return port


@fault("wire", en="does not answer", zh="没有应答", mend="its cable, host and port")
def meter_away(at: Field, _: Patch) -> Path:
    return at.write(_wire("modbus_tcp", host="127.0.0.1", port=free_port()), METER)


@fault("bus", en="takes the call, but no device answers", zh="可连接，但没有任何设备应答", mend="framing (now tcp")
def serial_server_with_another_framing(at: Field, _: Patch) -> Path:
    return at.write(_wire("modbus_tcp", host="127.0.0.1", port=_behind_tcp(at, 1, framing=None)), METER)


@fault("bus", en="far (address 2) does not answer", zh="far（地址 2）没有应答", mend="its address")
def one_meter_silent(at: Field, _: Patch) -> Path:
    far = METER.replace('"near"', '"far"').replace("address = 1", "address = 2")
    return at.write(_wire("modbus_tcp", host="127.0.0.1", port=_behind_tcp(at, 1)), METER, far)


# -- pins


class _Chip:
    """As `gpiod.Chip`, as far as it is looked at. `owner`: who has every line."""

    owner = ""

    def __init__(self, path: str) -> None:
        if path != "/dev/gpiochip0":
            raise FileNotFoundError(2, "No such file or directory", path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""

    def get_line_info(self, line: int | str) -> Any:  # noqa: ANN401 - gpiod's
        assert line == 17
        return type("Info", (), {"used": bool(self.owner), "consumer": self.owner})


@fault("gpio", en="/dev/gpiochip9 cannot be used", zh="/dev/gpiochip9 不可用", mend="gpiodetect")
def chip_absent(at: Field, patch: Patch) -> Path:
    patch.setattr(gpiod, "Chip", _Chip)
    return at.write(_wire("gpio", chip="/dev/gpiochip9"), PINS)


@fault("gpio", en="line 17 of /dev/gpiochip0 is taken by w1", zh="引脚 17 被 w1 占用", mend="dtoverlay")
def pin_taken(at: Field, patch: Patch) -> Path:
    patch.setattr(gpiod, "Chip", type("Busy", (_Chip,), {"owner": "w1"}))
    return at.write(_wire("gpio"), PINS)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: Patch) -> Iterator[Field]:
    """Return the field; nobody waits for what will not come."""
    monkeypatch.setattr(examined_talk, "LISTEN", 0.5)
    monkeypatch.setattr(examined_wires, "ASKED", 2)
    at = Field(tmp_path)
    with at.stack:
        yield at


@pytest.mark.parametrize("name", FAULTS)
def test_a_seeded_fault_is_found_and_comes_with_its_fix(name: str, place: Field, monkeypatch: Patch) -> None:
    check(FAULTS[name], place, monkeypatch)


def _good(at: Field, patch: Patch) -> Iterator[tuple[str, Path]]:
    """Yield what must be said of wires that are well, and the station."""
    patch.setattr(gpiod, "Chip", _Chip)
    panel = Transmitter(7)
    logger = Logger("010000A8900016F000169DC0")
    co2 = _line(at, hears=lambda heard: winsen_answer(0x86, 544) if heard[2] == 0x86 else b"")
    beating = _line(at, says=lambda: panel.operate(1, time.time_ns()))
    telling = _line(at, says=lambda: logger.report([Factor("a21005", {"Rtd": "1.2"})], time.time_ns()))
    yield "is understood", at.write(_wire("uart", wire="serial", port=co2), CO2)
    yield "is understood", at.write(_wire("gb26875", wire="serial", port=beating), PANEL)
    yield "is understood", at.write(_wire("hj212", wire="serial", port=telling), GAS)
    for wire in ("tcp_server", "udp"):
        yield "is free to listen at", at.write(_wire("hj212", wire=wire, port=free_port()), GAS)
    yield "near (address 1) answers", at.write(_wire("modbus_tcp", host="127.0.0.1", port=_behind_tcp(at, 1)), METER)
    yield "1 lines of /dev/gpiochip0 are free", at.write(_wire("gpio"), PINS)


def test_wires_that_are_well_are_said_to_be(place: Field, monkeypatch: Patch) -> None:
    for words, path in _good(place, monkeypatch):
        rows = examined(path, lambda rows: [row.level for row in rows if words in row.en] == [Level.GOOD])  # noqa: B023 - looked at here
        assert [row.level for row in rows if words in row.en] == [Level.GOOD], "\n".join(map(str, rows))
        assert not [row for row in rows if row.level is Level.BAD], "\n".join(map(str, rows))


def test_a_device_keeps_what_it_has_to_tell_for_the_daemon(place: Field) -> None:
    heard: list[bytes] = []

    def hears(data: bytes) -> bytes:
        heard.append(data)
        return b""

    panel = Transmitter(7)
    port = _line(place, hears, lambda: panel.change((1, 1, 9), 2, time.time_ns()))
    path = place.write(_wire("gb26875", wire="serial", port=port), PANEL)
    rows = examined(path, lambda rows: any("is understood" in row.en for row in rows))
    assert any("is understood" in row.en for row in rows)
    assert not heard
