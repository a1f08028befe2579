"""A station with one gas detector per try, a modem, and a disk that fails as told; what is asked of it in tests."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from paho.mqtt import publish
from paho.mqtt.enums import MQTTProtocolVersion

from gateway.transport.unix import ask
from tests import station_toml as toml
from tests.daemon import ROOT, Daemon
from tests.faults import faulty
from tests.field import Field
from tests.patience import PATIENCE, limit, wait
from tests.real_mosquitto import running

DETECTORS = 8
TOLD_WITHIN = limit(5.0)  # s from the message to its SMS at the modem, whatever the disk does
MARK = "未存档"

# A disk is well until a test says otherwise, and then it is found out soon.
LIMITS: dict[str, object] = {"reopen": "1s", **toml.WELL}
SICK: dict[str, object] = {"commit_deadline": "500ms", "open_deadline": "500ms"}


class Site:
    """One station between a real broker and a simulated modem."""

    def __init__(self, folder: Path, port: int, field: Field, store: Path) -> None:
        self.folder = folder
        self.port = port
        self.field = field
        self.store = store
        self.config = folder / "station.toml"
        self._plan = folder / "plan.json"
        self.plan({})
        self.write()
        self.daemon: Daemon | None = None

    def write(self, extra: str = "", limits: Mapping[str, object] = MappingProxyType({})) -> None:
        """Write station.toml, with these limits of its own; `SICK` for a disk that is going to hang."""
        names = [f"g{n}" for n in range(DETECTORS)] + ["load"]
        text = toml.station(self.folder, store=self.store, limits={**LIMITS, **limits}, socket=str(self.socket))
        text += toml.broker(self.port) + toml.rule("gas", "g*.v", "value > 10")
        self.config.write_text(text + "".join(map(toml.sensor, names)) + extra, encoding="utf-8")

    @property
    def socket(self) -> Path:
        """Where the daemon is asked."""
        return self.folder / "control"

    def plan(self, plan: dict[str, str]) -> None:
        """Let the disk fail like this from now on."""
        faulty.write(self._plan, plan)

    def hangs(self) -> int:
        """Return how often the disk has begun to hang."""
        told = self._plan.with_name("unsteady")
        return told.read_text(encoding="ascii").split().count("hang") if told.exists() else 0

    def start(self) -> float:
        """Start a daemon and return after how many seconds it was armed and connected."""
        command = [sys.executable, "-m", "tests.faults.faulty", str(self.config), str(self._plan)]
        self.daemon = Daemon(self.config, command=command)
        armed = self.daemon.wait_armed()
        wait(lambda: all(link["up"] for link in self.ask("status")["links"]))
        return armed

    def fails_to_start(self) -> tuple[int, str]:
        """Return exit code and message of a start that is refused."""
        command = [sys.executable, "-m", "tests.faults.faulty", str(self.config), str(self._plan)]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
        return ended.returncode, ended.stderr

    def ask(self, what: str) -> dict[str, Any]:
        """Ask the daemon."""
        return ask(self.socket, {"do": what})

    def publish(self, device: str, value: float) -> None:
        """Publish one reading."""
        version = MQTTProtocolVersion.MQTTv5
        topic, payload = f"t/{device}", json.dumps({"v": value})
        publish.single(topic, payload, qos=1, hostname="127.0.0.1", port=self.port, protocol=version)

    def told(self, device: str) -> list[str]:
        """Return the messages that ask about a device's gas alarm."""
        return [text for text in self.field.texts() if f" {device}，" in text and "回复" in text]

    def alarm(self, device: str) -> tuple[float, str]:
        """Let a detector alarm; returns seconds until its SMS was at the modem, and its text."""
        begun = time.monotonic()
        self.publish(device, 99)
        wait(lambda: bool(self.told(device)))
        return time.monotonic() - begun, self.told(device)[0]

    def refuse(self) -> None:
        """Publish readings until the disk takes no more: the log beside the store has room left from before."""
        values = itertools.count()

        def refused() -> bool:
            self.publish("load", next(values))
            return self.volatile()

        wait(refused)

    def volatile(self) -> bool:
        """Whether the daemon lives without its disk."""
        return bool(self.ask("status")["volatile"])

    def faults(self) -> dict[str, str]:
        """Return state of the gateway's own alarms by key."""
        return {alarm["key"]: alarm["state"] for alarm in self.ask("alarms")["alarms"] if alarm["device"] == "@gateway"}


@contextmanager
def site(folder: Path, store: Path | None = None, *, slaves: int = 0) -> Iterator[Site]:
    """Run broker and field around a station; its daemon is killed at the end."""
    broker_folder = folder / "broker"
    broker_folder.mkdir()
    with running(broker_folder) as broker, Field(folder, slaves=slaves) as field:
        place = Site(folder, broker.port, field, store or folder / "station.db")
        try:
            yield place
        finally:
            if place.daemon is not None:
                place.daemon.kill()
