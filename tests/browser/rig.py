"""A station with its page for browser tests and pictures: real broker, simulated bus and modem, a daemon process."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from gateway.transport import unix
from tests import station_toml as toml
from tests.daemon import Daemon
from tests.field import Field
from tests.patience import PATIENCE, wait
from tests.ports import free_port
from tests.real_mosquitto import OPEN, running

TURN_OUT = [
    {"after": "0s", "notify": ["role:squad@cell"], "by": ["sms"]},
    {"after": "45s", "notify": ["role:captain@community"], "by": ["sms"]},
]
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

        def cleared() -> bool:
            found = unix.ask(socket, {"do": "alarms"})["alarms"]
            for alarm in found:
                verb = "reset" if alarm["state"] == "latched_acked" else "ack"
                unix.ask(socket, {"do": "act", "verb": verb, "alarms": [alarm["id"]], "who": "wang"})
            return not found

        wait(cleared, every=0.05)


def write(folder: Path, *, broker: int, listen: str, names: Names) -> Path:
    """Write `station.toml`."""
    parts = [
        toml.table("station", id="page", name=names.station, clock="trusted"),
        toml.table("store", path=str(folder / "station.db"), commit_interval="1s"),
        toml.table("limits", settle="1s", **toml.WELL),
        toml.table("page", listen=listen),
        toml.bus(folder, baudrate=115200),
        toml.broker(broker),
        *_devices(names),
        *_rules(names),
        *_people(folder, names),
    ]
    config = folder / "station.toml"
    config.write_text("".join(parts), encoding="utf-8")
    return config


def _devices(names: Names) -> Iterator[str]:
    """Yield three devices behind the broker and two on the bus."""
    point = {"unit": "Cel", "title": "温度", "valid_range": [-40, 200]}
    yield _spoken("oven", names.device, "jc/3/b1", "temperature", point)
    point = {"unit": "%[LEL]", "title": "甲烷浓度", "valid_range": [0, 100]}
    yield _spoken("kitchen", "厨房燃气", "jc/3", "ch4", point, time="$.time")
    point = {"unit": "m", "title": "水位", "valid_range": [0, 4]}
    yield _spoken("tank", "消防水箱", "jc", "level", point)
    meter = {"source": "bus", "profile": "xy-md02"}
    yield toml.table("device", id="meter-room", name="配电间温湿度", address=1, cell="jc/3/b1", **meter)
    yield toml.table("device", id="pump-room", name="泵房温湿度", address=2, cell="jc", **meter)


def _spoken(device: str, name: str, cell: str, point: str, keys: Mapping[str, object], **more: str) -> str:
    """Return a device that tells its point by its name."""
    points = {point: {**keys, "decode": {"path": f"$.{point}"}}}
    more |= {"source": "broker", "profile": "json-generic", "topic": f"t/{device}"}
    return toml.table("device", id=device, name=name, cell=cell, points=points, **more)


def _rules(names: Names) -> Iterator[str]:
    """Yield a rule of class fire, one of gas and one of supervisory."""
    urgent = {"severity": "critical", "policy": "turn-out"}
    heat = {"points": "oven.temperature", "when": "value > 60", "clear": "value < 50"}
    yield toml.table("rule", id="heat", title=names.title, class_="fire", **heat, **urgent)
    leak = {"points": "kitchen.ch4", "when": "value > 10", "clear": "value < 5"}
    yield toml.table("rule", id="gas-leak", title="燃气泄漏", class_="gas", **leak, **urgent)
    low = {"points": "tank.level", "when": "value < 1.5", "clear": "value > 1.8", "severity": "warning"}
    yield toml.table("rule", id="tank-low", title="水箱水位低", class_="supervisory", policy="turn-out", **low)


def _people(folder: Path, names: Names) -> Iterator[str]:
    """Yield cells, contacts, the modem and the policy."""
    yield toml.table("cell", id="jc", name="江城社区")
    yield toml.table("cell", id="jc/3", name="3号楼", parent="jc")
    yield toml.table("cell", id="jc/3/b1", name="地下配电间", parent="jc/3")
    yield toml.table("contact", id="li", name=names.contact, phone=toml.LI, cell="jc/3", role="squad")
    yield toml.table("contact", id="wang", name="王芳", phone="13900139000", cell="jc", role="captain")
    yield toml.table("contact", id="chen", name="陈静", phone="13700137000", cell="jc", role="grid")
    yield toml.table("channel", id="sms", kind="sms_modem", port=str(folder / "modem"))
    yield toml.table("policy", id="turn-out", repeat="120s", steps=TURN_OUT)


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
