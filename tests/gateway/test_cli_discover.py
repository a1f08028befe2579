"""`firegrid discover`: a bus, a broker and callers, each as TOML that `check` takes."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import paho.mqtt.publish
import pytest

from drivers._profiles import profile
from drivers.simulated.modbus_bus import ModbusBus
from drivers.simulated.profile_slave import ProfileSlave
from gateway.app import problems_of, read
from gateway.cli.discover import addresses_of
from gateway.cli.main import BAD_CONFIGURATION, FAILED, GOOD, run
from gateway.clock import SystemClock
from gateway.errors import ConfigError
from gateway.model.point import Device
from gateway.transport.serial import SerialPort, open_pty
from tests.patience import PATIENCE
from tests.ports import free_port
from tests.real_mosquitto import running

CASES = Path(__file__).parents[1] / "cases"
FIRE = bytes.fromhex(
    tomllib.loads((CASES / "gb26875" / "frames.toml").read_text(encoding="utf-8"))["frame"][0]["bytes"]
)
LEVEL = bytes.fromhex(
    "7E7E1000123456781234320025020003140612020000F1F1001234567848F0F014061202002019000055071900021538121290033D9E"
)
TAIL = """
[station]
id = "s1"
clock = "trusted"
[store]
path = "station.db"
[[cell]]
id = "jc/3"
[[contact]]
id = "li-wei"
phone = "13800138000"
cell = "jc/3"
role = "squad"
[[channel]]
id = "screen"
kind = "console"
[[policy]]
id = "turn-out"
steps = [{ after = "0s", notify = ["everyone"], by = ["screen"] }]
"""


def checked(text: str, folder: Path) -> dict[str, Any]:
    """Return what was printed, after `check` took it."""
    path = folder / "station.toml"
    path.write_text(TAIL + text, encoding="utf-8")
    assert [problem.text() for problem in problems_of(read(path)) if not problem.note] == []
    return tomllib.loads(text)


def patiently(arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what a command prints; where the machine is slow it gets more time."""
    printed = ""
    for seconds in ("1s", "5s", "30s"):
        code = run([*arguments, "--for", seconds])
        printed = capsys.readouterr().out
        if code == GOOD and word in printed:
            break
    return printed


@contextmanager
def bus(slaves: list[ProfileSlave]) -> Iterator[Path]:
    """Run a simulated bus in a loop of its own; yields the port."""
    pair = open_pty()
    loop = asyncio.new_event_loop()
    work = ModbusBus(pair, SystemClock(), slaves, baudrate=None)
    task = loop.create_task(work.run())

    def serve() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    keeper = os.open(pair.path, os.O_RDWR | os.O_NOCTTY)
    try:
        yield pair.path
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        os.close(keeper)
        pair.close()


def slave(name: str, address: int, **points: float) -> ProfileSlave:
    made = ProfileSlave(Device(id=name, source="bus1", profile=profile(name)), address, delay=0.0)
    for point, value in points.items():
        made.set_point(point, value)
    return made


def test_a_bus_is_scanned_and_its_devices_recognised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slaves = [slave("xy-md02", 2, temperature=21.5, humidity=40), slave("qdy30a-level", 5, level=1.2)]
    slaves.append(slave("xy-md02", 6, temperature=20, humidity=500))  # there is no such humidity
    with bus(slaves) as port:
        arguments = ["discover", str(port), "--addresses", "1-6", "--baudrates", "9600", "--language", "en"]
        for timeout in ("0.1s", "1s", "10s"):  # where the machine is slow they get more time
            code = run([*arguments, "--timeout", timeout])
            printed = capsys.readouterr()
            if code == GOOD and all(f"address = {one}" in printed.out for one in (2, 5)) and "address 6" in printed.out:
                break
    found = checked(printed.out, tmp_path)
    assert found["source"] == [{"id": "bus1", "driver": "modbus_rtu", "port": str(port), "baudrate": 9600}]
    assert [device["address"] for device in found["device"]][:2] == [2, 5]
    assert found["device"][1]["profile"] == "qdy30a-level"
    before, _, odd = printed.out.partition("# address 6")
    assert odd
    assert "xy-md02" in before
    assert "xy-md02" not in odd
    assert "100 %" in printed.err


def test_a_dead_bus_says_what_to_look_at(capsys: pytest.CaptureFixture[str]) -> None:
    with bus([]) as port:
        arguments = ["--addresses", "1", "--baudrates", "9600", "--timeout", "0.02s", "--language", "en"]
        assert run(["discover", str(port), *arguments]) == FAILED
        assert "nobody answers: check power" in capsys.readouterr().err
        holder = SerialPort.open(port)
        assert run(["discover", str(port), *arguments]) == FAILED
        assert "stop" in capsys.readouterr().err
        holder.close()


def test_a_real_broker_is_searched_for_what_is_retained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hall = {"name": "Hall", "device_class": "smoke", "state_topic": "hall/smoke", "device": {"identifiers": ["a1"]}}
    messages = {
        "zigbee2mqtt/kitchen": '{"gas":true,"gas_value":12,"linkquality":80}',
        "zigbee2mqtt/bridge/state": '{"state":"online"}',
        "tele/boiler/SENSOR": '{"Time":"2026-11-22T08:00:00","DS18B20":{"Temperature":21.5}}',
        "homeassistant/binary_sensor/hall/smoke/config": json.dumps(hall),
        "cellar/depth": "12.5",
        "city/fire/s1/readings": '{"readings":[]}',
        "city/fire/s1/status": '{"online":true,"instance":"i1"}',
    }
    with running(tmp_path) as broker:
        retained: list[Any] = [(topic, payload, 1, True) for topic, payload in messages.items()]
        paho.mqtt.publish.multiple(retained, hostname="127.0.0.1", port=broker.port)
        where = ["--host", "127.0.0.1", "--port", str(broker.port), "--language", "en"]
        printed = patiently(["discover", "broker", *where], "cellar/depth", capsys)
        live = patiently(["listen", "zigbee2mqtt/#", *where], "zigbee2mqtt-gas", capsys)
    found = checked(printed, tmp_path)
    assert found["source"] == [{"id": "broker", "driver": "mqtt", "host": "127.0.0.1", "port": broker.port}]
    told = {device["profile"]: device.get("topic") for device in found["device"]}
    assert told == {"zigbee2mqtt-gas": "zigbee2mqtt/kitchen", "tasmota-ds18b20": "boiler", "ha-smoke": None}
    assert '# topic "cellar/depth": of no known dialect' in printed
    assert "# left out, as gateways publish them: 2 topics: city/fire/s1\n" in printed
    assert "zigbee2mqtt/kitchen (retained)  {" in live
    assert "    zigbee2mqtt-gas[kitchen].ch4 = 12 %[LEL] UNCERTAIN" in live


@contextmanager
def calling(port: int, *payloads: bytes) -> Iterator[None]:
    """Call a port and speak, as soon as somebody listens there."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.02):
            with suppress(OSError):
                callers = [socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) for _ in payloads]
                for caller, payload in zip(callers, payloads, strict=True):
                    caller.sendall(payload)
                over.wait()
                for caller in callers:
                    caller.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_devices_that_call_are_told_with_their_addresses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    with calling(port, FIRE, LEVEL, b"hello"):
        printed = patiently(["discover", f"tcp:{port}", "--language", "en"], "said 5 bytes", capsys)
    found = checked(printed, tmp_path)
    aside = checked(_with_port("\n".join(map(_brought_back, printed.split("\n"))), port), tmp_path)
    told = {(device["profile"], device["address"]) for device in aside["device"]}
    assert ("gb26875-transmitter", "889") in told
    assert {address for name, address in told if name.startswith("sl651-")} == {"0012345678"}
    (source,) = found["source"]  # a port takes one protocol
    assert (source["port"], source["wire"]) == (port, "tcp_server")
    assert [device["source"] for device in found["device"]] == [source["id"]]
    assert "was spoken too. A port takes one protocol" in printed
    assert "said 5 bytes: nothing known" in printed


def _brought_back(line: str) -> str:
    """Return a line without the mark of what was laid aside."""
    bare = line.removeprefix("# ")
    return bare if bare.startswith("[[") or " = " in bare else line


def _with_port(text: str, port: int) -> str:
    """Return the source that was laid aside with another port."""
    first, second = text.rsplit('wire = "tcp_server"', 1)
    return f'{first}wire = "tcp_server"\nport = {port + 1}{second}'


def test_nobody_who_calls_is_told_as_that(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["discover", f"tcp:{free_port()}", "--for", "0.1s", "--language", "en"]) == FAILED
    assert "nobody called" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["/nowhere"], "/nowhere"),
        (["ttyUSB0"], "no such port"),
        (["/dev/null", "--addresses", "a"], "write them as"),
        (["/dev/null", "--addresses", "0-3"], "1 to 247"),
        (["/dev/null", "--baudrates", "fast"], "--baudrates"),
        (["/dev/null", "--parities", "X"], "--parities"),
        (["broker", "--for", "soon"], "soon"),
    ],
)
def test_what_cannot_be_done_says_why(arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["discover", *arguments]) in (BAD_CONFIGURATION, FAILED)
    assert reason in capsys.readouterr().err


def test_addresses() -> None:
    assert addresses_of("1-3,80") == [1, 2, 3, 80]
    assert addresses_of("3,3") == [3]
    with pytest.raises(ConfigError):
        addresses_of("3-1")
