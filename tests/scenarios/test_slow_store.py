"""The whole path on a store as an old SD card is: 50 ms a commit, 3 s now and then, and failing now and then.

Build steps (a) to (c) of the spine, as a process: gas over MQTT, smoke over Modbus, told in time even while a commit
stalls, acknowledged by reply, followed up once, over a SIGKILL in the middle; every reading is kept, timers are right.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from drivers.simulated.modbus_bus import SimulatedSlave
from gateway.clock import SECOND
from gateway.model.alarm import AlarmState
from gateway.model.notification import Notification
from gateway.store.read import Reader
from tests import station_toml as toml
from tests.faults.failing_station import TOLD_WITHIN, Site, site
from tests.field import CODE
from tests.patience import PATIENCE, wait

UNSTEADY = {"before_commit": "unsteady 5"}
STALLING = {"before_commit": "unsteady 5 stall"}
ZHAO = "13700137000"
ON_DELAY = 1.5  # s
TELEMETRY = 0.02  # s between two readings
SMOKE, SMOKE_REGISTER = 3, 3

EXTRA = "".join(
    [
        toml.table("contact", id="zhao", name="赵敏", phone=ZHAO, cell="a", role="squad"),
        toml.table("default_policy", class_="fire", policy="p"),
        toml.slave("smoke", SMOKE, profile="renke-smoke", poll="200ms"),
        toml.sensor("slow"),
        toml.rule("slow", "slow.v", "value > 10", on_delay=f"{ON_DELAY}s"),
    ]
)


class Telemetry:
    """A sensor that counts; what the broker acknowledged must be in the store."""

    def __init__(self, port: int) -> None:
        self.acknowledged = 0
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="telemetry", protocol=paho.MQTTv5)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._count, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, when everything is acknowledged."""
        self._stop.set()
        self._thread.join(PATIENCE)
        self._client.disconnect()
        self._client.loop_stop()

    def _count(self) -> None:
        while not self._stop.wait(TELEMETRY):
            value = self.acknowledged + 1
            self._client.publish("t/load", json.dumps({"v": value}), qos=1).wait_for_publish(PATIENCE)
            self.acknowledged = value


@contextmanager
def telemetry(port: int) -> Iterator[Telemetry]:
    sensor = Telemetry(port)
    try:
        yield sensor
    finally:
        sensor.stop()


class Story:
    """Alarms on an unsteady store, told in time, answered by one, followed up to both."""

    def __init__(self, place: Site) -> None:
        self._place = place
        self._smoke = SimulatedSlave(address=SMOKE, holding={SMOKE_REGISTER: 0})
        self.told: dict[str, float] = {}
        place.field.call(lambda: place.field.bus.slaves.update({SMOKE: self._smoke}))

    def gas(self, device: str) -> None:
        """Gas over MQTT."""
        self._alarm(device, lambda: self._place.publish(device, 99))

    def smoke(self) -> None:
        """Smoke over Modbus."""
        self._alarm("smoke", lambda: self._smoke.holding.update({SMOKE_REGISTER: 1}))

    def _alarm(self, device: str, begin: Any) -> None:  # noqa: ANN401 - whatever makes it alarm
        since = time.monotonic()
        begin()
        wait(lambda: {toml.LI, ZHAO} <= {m.number.removeprefix("+86") for m in self.asked(device)})
        self.told[device] = time.monotonic() - since

    def asked(self, device: str) -> list[Any]:
        """Return the messages that ask about a device."""
        return [
            message for message in self._place.field.sent if f" {device}，" in message.text and "回复" in message.text
        ]

    def unsteady(self, what: str) -> int:
        """Return how often the disk has stalled or failed."""
        path = self._place.folder / "unsteady"
        return path.read_text(encoding="ascii").split().count(what) if path.exists() else 0

    def stalls(self) -> None:
        """Wait until the disk has begun to stall."""
        before = self.unsteady("stall")
        self._place.plan(STALLING)
        wait(lambda: self.unsteady("stall") > before)
        self._place.plan(UNSTEADY)

    def answer(self, device: str) -> None:
        """Let the squad leader answer; both are told of it."""
        found = CODE.search(self.asked(device)[0].text)
        assert found, self.asked(device)
        code = found[1]
        self._place.field.call(lambda: self._place.field.modem.receive(f"+86{toml.LI}", code))
        wait(lambda: len(self.follow_ups(code)) >= 2)

    def follow_ups(self, code: str) -> list[tuple[str, str]]:
        """Return (number, text) of what was told after an answer."""
        sent = [(m.number.removeprefix("+86"), m.text) for m in self._place.field.sent]
        return [(number, text) for number, text in sent if f"码{code} " in text and "回复" not in text]

    def codes(self) -> dict[str, str]:
        """Return device → code."""
        found = {device: CODE.search(self.asked(device)[0].text) for device in self.told}
        return {device: match[1] for device, match in found.items() if match}


def test_the_whole_path_on_a_store_that_is_slow_stalls_and_fails(tmp_path: Path) -> None:
    with site(tmp_path) as place:
        place.write(EXTRA + toml.bus(tmp_path), {"reopen": "3500ms", "commit_deadline": "2s", "open_deadline": "500ms"})
        place.start()
        with telemetry(place.port) as sensor:
            story = Story(place)
            place.plan(UNSTEADY)
            story.gas("g0")
            story.answer("g0")
            story.stalls()
            story.gas("g1")
            story.smoke()
            story.answer("smoke")
            restart(place)
            story.answer("g1")
            story.gas("slow")
            story.stalls()
            story.gas("g2")
            story.answer("g2")
            story.answer("slow")
        check_told(story)
        wait(lambda: not place.volatile() and len(counted(place)) >= sensor.acknowledged)
        assert place.daemon is not None
        assert place.daemon.stop() == 0
    check_store(place, sensor.acknowledged)


def restart(place: Site) -> None:
    """Kill the daemon once it has everything on its disk, while the alarm of g1 waits for an answer."""
    wait(lambda: not place.volatile())
    wait(lambda: set(open_alarms(place)) >= {"g0", "g1", "smoke"})
    wait(lambda: not under_way(place))  # else it would come again, marked
    assert place.daemon is not None
    place.publish("slow", 99)  # its on-delay runs over the kill
    wait(lambda: bool(values(place, "slow")))
    place.daemon.kill()
    place.start()


def open_alarms(place: Site) -> dict[str, AlarmState]:
    with Reader(place.store) as reader:
        return {entry.body.device: entry.body.state for entry in reader.alarms() if entry.body.device != "@gateway"}


def under_way(place: Site) -> list[Notification]:
    """Return the messages of which the store does not know that they left."""
    with Reader(place.store) as reader:
        return [entry.body for entry in reader.notifications() if entry.body.state.open]


def values(place: Site, device: str) -> list[float]:
    with Reader(place.store) as reader:
        found: list[float] = reader.readings(reader.points()[f"{device}.v"]).value.tolist()
    return found


def counted(place: Site) -> list[float]:
    return values(place, "load")


def check_told(story: Story) -> None:
    """In time, also behind a stall; each person asked once and told once what became of it."""
    timely = {device: seconds for device, seconds in story.told.items() if device != "slow"}
    assert max(timely.values()) <= TOLD_WITHIN, timely
    assert story.unsteady("stall") >= 2
    assert story.unsteady("failure") >= 1
    for device, code in story.codes().items():
        assert len(story.asked(device)) == 2, (device, story.asked(device))
        assert Counter(number for number, _ in story.follow_ups(code)) == {toml.LI: 1, ZHAO: 1}, story.follow_ups(code)


def check_store(place: Site, count: int) -> None:
    """Every reading once, every alarm once and acknowledged; the delayed one is stamped its delay after its reading."""
    assert counted(place) == list(range(1, count + 1))
    assert open_alarms(place) == dict.fromkeys(("g0", "g1", "g2", "smoke", "slow"), AlarmState.ACKED)
    with Reader(place.store) as reader:
        raised = [entry for entry in reader.transitions() if entry.body.after is AlarmState.UNACK]
        assert len([entry for entry in raised if entry.body.rule != ""]) >= 5
        (late,) = [entry for entry in raised if entry.body.rule == "slow"]
        arrived = int(reader.readings(reader.points()["slow.v"]).arrival[0])
        stamped = reader.clock().wall(late.boot, late.body.at)
        assert stamped is not None
        assert abs(stamped - arrived - ON_DELAY * SECOND) <= SECOND
