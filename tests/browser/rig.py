"""A station with its page for browser tests and pictures: real broker, simulated bus and modem, a daemon process."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from gateway.transport import unix
from tests.daemon import Daemon
from tests.field import Field
from tests.patience import PATIENCE
from tests.ports import free_port
from tests.real_mosquitto import OPEN, running

STATION = """
[station]
id = "page"
name = {name}
clock = "trusted"
{station}
[store]
path = "{folder}/station.db"
commit_interval = "1s"

[limits]
settle = "1s"

[page]
listen = "{listen}"
{page}
[[source]]
id = "bus"
driver = "modbus_rtu"
port = "{folder}/bus"
baudrate = 115200

[[source]]
id = "broker"
driver = "mqtt"
host = "127.0.0.1"
port = {broker}

{cells}

[[device]]
id = "oven"
name = {device}
source = "broker"
profile = "json-generic"
topic = "t/oven"
cell = "jc/3/b1"
[device.points.temperature]
unit = "Cel"
title = "温度"
valid_range = [-40, 200]
decode = {{ path = "$.temperature" }}

[[device]]
id = "kitchen"
name = "厨房燃气"
source = "broker"
profile = "json-generic"
topic = "t/kitchen"
time = "$.time"
cell = "jc/3"
[device.points.ch4]
unit = "%[LEL]"
title = "甲烷浓度"
valid_range = [0, 100]
decode = {{ path = "$.ch4" }}

[[device]]
id = "tank"
name = "消防水箱"
source = "broker"
profile = "json-generic"
topic = "t/tank"
cell = "jc"
[device.points.level]
unit = "m"
title = "水位"
valid_range = [0, 4]
decode = {{ path = "$.level" }}

[[device]]
id = "meter-room"
name = "配电间温湿度"
source = "bus"
profile = "xy-md02"
address = 1
cell = "jc/3/b1"

[[device]]
id = "pump-room"
name = "泵房温湿度"
source = "bus"
profile = "xy-md02"
address = 2
cell = "jc"

[[rule]]
id = "heat"
title = {title}
points = "oven.temperature"
when = "value > 60"
clear = "value < 50"
class = "fire"
severity = "critical"
policy = "turn-out"

[[rule]]
id = "gas-leak"
title = "燃气泄漏"
points = "kitchen.ch4"
when = "value > 10"
clear = "value < 5"
class = "gas"
severity = "critical"
policy = "turn-out"

[[rule]]
id = "tank-low"
title = "水箱水位低"
points = "tank.level"
when = "value < 1.5"
clear = "value > 1.8"
class = "supervisory"
severity = "warning"
policy = "turn-out"

[[contact]]
id = "li"
name = {contact}
phone = "13800138000"
cell = "jc/3"
role = "squad"

[[contact]]
id = "wang"
name = "王芳"
phone = "13900139000"
cell = "jc"
role = "captain"

[[contact]]
id = "chen"
name = "陈静"
phone = "13700137000"
cell = "jc"
role = "grid"

[[channel]]
id = "sms"
kind = "sms_modem"
port = "{folder}/modem"

[[policy]]
id = "turn-out"
repeat = "120s"
steps = [
  {{ after = "0s", notify = ["role:squad@cell"], by = ["sms"] }},
  {{ after = "45s", notify = ["role:captain@community"], by = ["sms"] }},
]
"""
CELLS = (("jc", "江城社区", ""), ("jc/3", "3号楼", "jc"), ("jc/3/b1", "地下配电间", "jc/3"))
HOSTILE = "<img src=x onerror=\"document.title='pwned'\">\"&'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What people have called things."""

    station: str = "江城社区微型消防站"
    device: str = "感温探测器"
    contact: str = "李伟"
    title: str = "温度过高"


@dataclass(slots=True)
class Rig:
    """A living station. `publish` blocks until the broker has the message."""

    folder: Path
    config: Path
    address: str
    daemon: Daemon
    field: Field
    client: paho.Client

    def publish(self, device: str, **values: float) -> None:
        """Let a device speak."""
        self.client.publish(f"t/{device}", json.dumps(values), qos=1).wait_for_publish(PATIENCE)

    def calm(self) -> None:
        """Let every device say that all is well."""
        self.publish("oven", temperature=24.5)
        self.publish("kitchen", ch4=0.4)
        self.publish("tank", level=2.73)

    def clear(self) -> None:
        """Let every device say that all is well, and a person end every alarm."""
        self.calm()
        socket = self.folder / "station.db.sock"
        end = time.monotonic() + PATIENCE
        while found := unix.ask(socket, {"do": "alarms"})["alarms"]:
            assert time.monotonic() < end, found
            for alarm in found:
                verb = "reset" if alarm["state"] == "latched_acked" else "ack"
                unix.ask(socket, {"do": "act", "verb": verb, "alarms": [alarm["id"]], "who": "wang"})
            time.sleep(0.05)


def write(folder: Path, *, broker: int, listen: str, names: Names, page: str = "", station: str = "") -> Path:
    """Write `station.toml`."""
    cells = "\n".join(
        f"[[cell]]\nid = {json.dumps(cell)}\nname = {json.dumps(name)}\n" + (f'parent = "{parent}"\n' if parent else "")
        for cell, name, parent in CELLS
    )
    config = folder / "station.toml"
    text = STATION.format(
        folder=folder,
        broker=broker,
        listen=listen,
        page=page,
        station=station,
        cells=cells,
        name=json.dumps(names.station),
        device=json.dumps(names.device),
        contact=json.dumps(names.contact),
        title=json.dumps(names.title),
    )
    config.write_text(text, encoding="utf-8")
    return config


@contextmanager
def living(folder: Path, names: Names | None = None) -> Iterator[Rig]:
    """Run a station until the context ends."""
    port = free_port()
    with running(folder, OPEN) as broker, Field(folder, slaves=2) as field:
        listen = f"127.0.0.1:{port}"
        config = write(folder, broker=broker.port, listen=listen, names=names or Names())
        daemon = Daemon(config)
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id="devices")
        try:
            daemon.wait_armed()
            client.connect("127.0.0.1", broker.port)
            client.loop_start()
            yield Rig(folder, config, f"http://{listen}", daemon, field, client)
        finally:
            client.disconnect()
            client.loop_stop()
            daemon.kill()
