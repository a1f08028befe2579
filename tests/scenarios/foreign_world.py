"""What stands around a daemon, none of it ours: Mosquitto, a pymodbus slave, sensors and a modem with real PDUs."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
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
from tests.foreign_slave import foreign_bus
from tests.mqtt_clients import Foreign
from tests.patience import PATIENCE, until
from tests.real_mosquitto import PASSWORD, USER, running_shipped

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
    device = SimDevice(id=3, simdata=SimData(0, values=[0] * 8, datatype=DataType.REGISTERS))
    modem = SimulatedModem(SystemClock(), link=folder / "modem")
    sensors = Foreign("sensors", MQTTProtocolVersion.MQTTv311)
    sensors.client.username_pw_set(USER, PASSWORD)
    with running_shipped(folder) as broker:
        (folder / "station.toml").write_text(STATION.format(folder=folder, port=broker.port), encoding="utf-8")
        await sensors.open(broker.port)
        answering = asyncio.create_task(modem.run())
        try:
            async with foreign_bus(device, folder / "bus") as (_, bus):
                yield World(folder, modem, sensors, bus)
        finally:
            await sensors.close()
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
