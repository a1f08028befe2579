"""The whole path, with nothing of ours between daemon and world: Mosquitto, a pymodbus slave, a modem with real PDUs.

`firegrid run` is a process; what it did is read back by `firegrid` commands, beside it and after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from paho.mqtt.enums import MQTTProtocolVersion
from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice

from drivers.simulated.modem import SimulatedModem
from gateway.cli.main import run
from gateway.clock import SystemClock
from gateway.transport import unix
from gateway.transport.serial import SerialPort, open_pty
from tests.daemon import ROOT, Daemon
from tests.mqtt_clients import Foreign
from tests.patience import PATIENCE, until
from tests.real_mosquitto import PASSWORD, USER, running_shipped

LI, WANG = "13800138000", "13900139000"
BAUDRATE = 115200
WRITE_REGISTER = 6

STATION = """
[station]
id = "e2e"
name = "测试站"
clock = "trusted"

[store]
path = "{folder}/station.db"
commit_interval = "1s"

[limits]
commit_deadline = "60s"  # of a disk that is well, on a machine that may not be
open_deadline = "60s"

[[source]]
id = "bus"
driver = "modbus_rtu"
port = "{folder}/bus"
baudrate = 115200

[[source]]
id = "broker"
driver = "mqtt"
host = "127.0.0.1"
port = {port}
username = "firegrid"
password_file = "{folder}/password"

[[device]]
id = "boiler-smoke"
source = "bus"
profile = "renke-smoke"
address = 3
cell = "jc/3"
poll = "200ms"
timeout = "10s"

[[device]]
id = "kitchen-gas"
source = "broker"
profile = "zigbee2mqtt-gas"
topic = "zigbee2mqtt/kitchen-gas"
cell = "jc/3"

[[device]]
id = "panel"
source = "broker"
profile = "json-panel"
topic = "station/panel"
cell = "jc/3"

[[cell]]
id = "jc"
name = "江城"

[[cell]]
id = "jc/3"
name = "3号楼"
parent = "jc"

[[contact]]
id = "li"
name = "李伟"
phone = "138 0013 8000"
cell = "jc/3"
role = "squad"

[[contact]]
id = "wang"
name = "王芳"
phone = "+86 13900139000"
cell = "jc"
role = "captain"

[[channel]]
id = "sms"
kind = "sms_modem"
port = "{folder}/modem"

[[policy]]
id = "turn-out"
repeat = "600s"
steps = [
  {{ after = "0s", notify = ["role:squad@cell"], by = ["sms"] }},
  {{ after = "1s", notify = ["role:captain@parent"], by = ["sms"] }},
]

[[default_policy]]
class = "fire"
policy = "turn-out"

[[default_policy]]
class = "gas"
policy = "turn-out"
"""


class World:
    """What stands around the daemon, and the commands a person types."""

    def __init__(self, folder: Path, modem: SimulatedModem, sensors: Foreign, bus: ModbusSerialServer) -> None:
        self.config = folder / "station.toml"
        self.modem = modem
        self.sensors = sensors
        self._bus = bus

    async def connected(self) -> None:
        """Wait until the daemon has every source: a broker it never saw before keeps nothing for it."""
        socket = self.config.with_name("station.db.sock")
        async with asyncio.timeout(PATIENCE):
            while True:
                status = await asyncio.to_thread(unix.ask, socket, {"do": "status"})
                if all(link["up"] for link in status["links"] if not link["name"].startswith("channel ")):
                    return
                await asyncio.sleep(0.1)

    async def smoke(self, value: int) -> None:
        """Let the smoke register of the foreign slave be so."""
        await self._bus.async_setValues(3, WRITE_REGISTER, 3, [value])

    def texts(self, number: str, *words: str) -> list[str]:
        """Return what a phone got that has all these words in it."""
        sent = [message.text for message in self.modem.sent if message.number.endswith(number)]
        return [text for text in sent if all(word in text for word in words)]

    async def told(self, number: str, *words: str) -> str:
        """Wait until a phone got such a text, and return it."""
        await until(lambda: bool(self.texts(number, *words)))
        return self.texts(number, *words)[0]

    async def command(self, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
        """Run `firegrid …`, expect its exit code, return its JSON lines."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            found = await asyncio.to_thread(run, [*arguments, "-c", str(self.config)])
        assert found == code, out.getvalue()
        return [json.loads(line) for line in out.getvalue().splitlines() if line.startswith("{")]

    async def states(self) -> dict[str, str]:
        """Return device → state of the open alarms."""
        return {row["device"]: row["state"] for row in await self.command("alarms", "--json")}

    async def become(self, wanted: dict[str, str]) -> None:
        """Wait until the open alarms are in these states."""
        async with asyncio.timeout(PATIENCE):
            while (found := await self.states()) != wanted:
                assert found is not None
                await asyncio.sleep(0.2)


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    """Start broker, foreign slave, modem and a client for the sensors."""
    (folder / "password").touch(mode=0o600)
    (folder / "password").write_text(PASSWORD, encoding="utf-8")
    ours, theirs = open_pty(folder / "bus"), open_pty()
    device = SimDevice(id=3, simdata=SimData(0, values=[0] * 8, datatype=DataType.REGISTERS))
    bus = ModbusSerialServer(device, port=str(theirs.path), baudrate=BAUDRATE, ignore_missing_devices=True)
    modem = SimulatedModem(SystemClock(), link=folder / "modem")
    sensors = Foreign("sensors", MQTTProtocolVersion.MQTTv311)
    sensors.client.username_pw_set(USER, PASSWORD)
    with running_shipped(folder) as broker:
        (folder / "station.toml").write_text(STATION.format(folder=folder, port=broker.port), encoding="utf-8")
        await sensors.open(broker.port)
        tasks = [
            asyncio.create_task(bus.serve_forever()),
            asyncio.create_task(pump(ours.port, theirs.port)),
            asyncio.create_task(pump(theirs.port, ours.port)),
            asyncio.create_task(modem.run()),
        ]
        try:
            yield World(folder, modem, sensors, bus)
        finally:
            await sensors.close()
            await shut_down(bus)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            ours.close()
            theirs.close()


async def shut_down(server: Any) -> None:  # noqa: ANN401 - pymodbus left it untyped
    await server.shutdown()


async def pump(source: SerialPort, sink: SerialPort) -> None:
    while True:
        sink.write(await source.read())


def code_of(text: str) -> str:
    found = re.search(r"码(\d+)", text)
    assert found, text
    return found[1]


def gas(*, on: bool) -> bytes:
    return json.dumps({"gas": on, "gas_value": 3.5 if on else 0, "linkquality": 120}).encode()


FIRE_EVENT = '{"type": "fire", "loop": 3, "address": 17, "text": "3层走廊烟感"}'


def test_from_the_wire_to_a_person_and_back(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as here:
            daemon = Daemon(here.config)
            try:
                await asyncio.to_thread(daemon.wait_armed)
                await here.connected()
                await _gas_alarm(here)
                await _smoke_alarm(here)
                await _panel_alarm(here)
                await _all_clear(here)
                await _evidence(here)
                await _refused(here)
            finally:
                assert await asyncio.to_thread(daemon.stop) == 0
            await _evidence(here)  # the store can be read without the daemon
            assert "no daemon answers" in (await asyncio.to_thread(_ack_alone, here.config)).stderr

    asyncio.run(main())


async def _gas_alarm(here: World) -> None:
    """A gas alarm over MQTT, told by SMS to two people, acknowledged by reply of the first, followed up to both."""
    await here.sensors.publish("zigbee2mqtt/kitchen-gas", gas(on=False))
    await here.sensors.publish("zigbee2mqtt/kitchen-gas", gas(on=True))
    code = code_of(await here.told(LI, "燃气", "回复"))
    assert code_of(await here.told(WANG, "燃气", "回复")) == code  # nobody answered within the first step
    here.modem.receive(f"+86{LI}", f"{code} 确认")
    await here.told(LI, "燃气", f"码{code}", "已确认")
    await here.told(WANG, "燃气", f"码{code}", "李伟 已接管")
    await here.become({"kitchen-gas": "acked"})


async def _smoke_alarm(here: World) -> None:
    """A smoke alarm over Modbus; the captain answers, in full-width digits, and the squad leader is told of it."""
    await here.smoke(1)
    code = code_of(await here.told(LI, "火警", "回复"))
    await here.told(WANG, "火警", "回复")
    here.modem.receive(WANG, code.translate(str.maketrans("0123456789", "０１２３４５６７８９")))
    await here.told(WANG, "火警", f"码{code}", "已确认")
    await here.told(LI, "火警", f"码{code}", "王芳 已接管")
    await here.become({"kitchen-gas": "acked", "boiler-smoke": "acked"})


async def _panel_alarm(here: World) -> None:
    """A panel's event, acknowledged at the box before the second step."""
    await here.sensors.publish("station/panel", FIRE_EVENT.encode())
    await here.told(LI, "3层走廊烟感", "3/17", "回复")
    (alarm,) = [row for row in await here.command("alarms", "--json") if row["device"] == "panel"]
    assert (alarm["key"], alarm["class"], alarm["state"]) == ("3/17", "fire", "unack")
    await here.command("ack", str(alarm["id"]), "--as", "li")
    await here.become({"kitchen-gas": "acked", "boiler-smoke": "acked", "panel": "acked"})


async def _all_clear(here: World) -> None:
    """What has gone stays latched until a person resets it; then nothing is open."""
    await here.smoke(0)
    await here.sensors.publish("zigbee2mqtt/kitchen-gas", gas(on=False))
    await here.sensors.publish("station/panel", b'{"type": "reset"}')
    await here.become(dict.fromkeys(("kitchen-gas", "boiler-smoke", "panel"), "latched_acked"))
    await here.command("reset", "1", "2", "3", "--as", "wang")
    await here.become({})


async def _evidence(here: World) -> None:
    """Every step of the way can be read back: what came, what became of it, who was told, who answered."""
    moves = await here.command("alarms", "--history", "--json")
    assert [(row["before"], row["after"], row["who"]) for row in moves if row["device"] == "boiler-smoke"] == [
        ("normal", "unack", ""),
        ("unack", "acked", "wang"),
        ("acked", "latched_acked", ""),
        ("latched_acked", "normal", "wang"),
    ]
    raised = {row["device"]: row["evidence"] for row in moves if row["after"] == "unack"}
    assert bytes.fromhex(raised["boiler-smoke"]["frame"]) == bytes.fromhex("03 03 02 00 01 00 44")
    assert bytes.fromhex(raised["kitchen-gas"]["frame"]) == gas(on=True)
    assert bytes.fromhex(raised["panel"]["frame"]).decode() == FIRE_EVENT
    notices = await here.command("notifications", "--json")
    told = {(row["alarm"], row["contact"], row["reason"], row["state"]) for row in notices}
    assert {
        (1, "li", "raised", "delivered"),
        (1, "wang", "escalated", "delivered"),
        (1, "li", "confirmed", "delivered"),
        (1, "wang", "taken_over", "delivered"),
        (2, "li", "raised", "delivered"),
        (2, "wang", "escalated", "delivered"),
        (2, "wang", "confirmed", "delivered"),
        (2, "li", "taken_over", "delivered"),
    } <= told
    assert all(row["recorded"] and not row["repeat"] for row in notices)
    at_phones = sorted(message.text for message in here.modem.sent)
    assert sorted(row["text"] for row in notices if row["channel"] == "sms") == at_phones
    (event,) = [row for row in await here.command("events", "--json") if row["code"] == "fire"]
    assert (event["device"], event["key"], event["text"]) == ("panel", "3/17", "3层走廊烟感")
    assert bytes.fromhex(event["raw"]).decode() == FIRE_EVENT
    read = await here.command("readings", "--json", "--point", "boiler-smoke.smoke")
    assert {row["value"] for row in read} == {0.0, 1.0}


async def _refused(here: World) -> None:
    """An act on nothing, or by nobody, is refused and says why."""
    await here.command("ack", "99", "--as", "li", code=3)
    await here.command("reset", "--as", "li", code=3)
    await here.command("ack", "--as", "nobody", code=3)


def _ack_alone(config: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", "ack", "--as", "li", "-c", str(config)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    return done
