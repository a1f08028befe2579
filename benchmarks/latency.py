"""From a sensor's message to the first byte of the SMS at the modem, with everything real between the two.

Every alarm is a gas alarm of its own point, told to a contact of its own, at a modem that is idle and answers at once,
while telemetry flows or floods in. `preemption` asks the other question: at a modem that takes seconds for every part
and has a queue, how long does a fire wait?
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import rig
from benchmarks.publisher import connect, packet
from tests import station_toml as toml
from tests.field import Field

_PATIENCE = 60.0  # s
_POLL = 0.001


def phone(number: int) -> str:
    """Return the phone of a place's contact."""
    return f"139{number:08d}"


def places(numbers: range, prefix: str, alarm_class: str) -> str:
    """Return the lines of cells with one contact and one detector each, and their rule."""
    text = "".join(
        toml.table("cell", id=f"c{n}", name=f"{n}号", parent="a")
        + toml.table("contact", id=f"k{n}", name=f"值班{n}", phone=phone(n), cell=f"c{n}", role="squad")
        + rig.device(f"{prefix}{n}", f"{prefix}/{n}", ["v"], cell=f"c{n}")
        for n in numbers
    )
    return text + toml.rule(prefix, f"{prefix}*.v", "value > 10", class_=alarm_class)


class Sensors:
    """Detectors that publish alarms with QoS 1."""

    def __init__(self, port: int) -> None:
        self._link = connect(port, "sensors")
        self._id = 0

    def alarm(self, topic: str) -> int:
        """Publish an alarm value; returns when it left (ns, boot-time clock)."""
        self._id += 1
        name = len(topic).to_bytes(2, "big") + topic.encode()
        left = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self._link.sendall(packet(name, self._id, b'{"v":50}'))
        self._link.recv(64)  # the broker's PUBACK
        return left

    def close(self) -> None:
        """Close the link."""
        self._link.close()


def measure(folder: Path, *, alarms: int, rate: float, topics: int = 500) -> dict[str, Any]:
    """Return the figures of `alarms` alarms while `rate` messages/s of telemetry come in; times in milliseconds."""
    own, _ = rig.cores()
    with rig.elsewhere(), Field(folder) as field, rig.broker(folder) as broker:
        text = rig.head(folder, broker.port, modem=field.modem_path)
        text += rig.load(topics, rig.CALM_POINTS) + places(range(alarms), "gas", "gas")
        config = rig.station(folder, text)
        with rig.daemon(config, own):
            rig.wait_subscribed(broker, topics + alarms)
            # Longer than any run lasts: it is ended with the last alarm.
            flood = rig.publisher(broker.port, topics=topics, seconds=3600.0, rate=rate)
            try:
                time.sleep(1.0)
                waits = _told(field, Sensors(broker.port), alarms)
            finally:
                flood.kill()
                flood.communicate()
    return {"alarms": len(waits), "rate": rate, "told": len(waits) == alarms, "ms": rig.percentiles(waits)}


def _told(field: Field, sensors: Sensors, alarms: int) -> list[float]:
    """Raise one alarm after the other, each at an idle modem; returns seconds to the first byte of each SMS."""
    waits = []
    for number in range(alarms):
        left = sensors.alarm(f"gas/{number}")
        told = _wait(partial(_first, field, number))
        waits.append((told - left) / 1e9)
    sensors.close()
    return waits


def _first(field: Field, number: int) -> int:
    """Return when the first SMS to a place's contact began (ns), 0 while there is none; newest first."""
    for message in reversed(field.modem.sent):
        if message.number.endswith(phone(number)):
            return message.at
    return 0


def _wait(found: Callable[[], int]) -> int:
    end = time.monotonic() + _PATIENCE
    while not (at := found()):
        if time.monotonic() > end:
            raise TimeoutError("an alarm was not told")
        time.sleep(_POLL)
    return at


def preemption(folder: Path, *, queued: int = 20, seconds_per_sms: float = 4.0) -> dict[str, Any]:
    """Queue `queued` gas alarms at a slow modem, then raise a fire; returns how long its first SMS waited."""
    own, _ = rig.cores()
    with (
        rig.elsewhere(),
        Field(folder, seconds_per_sms=seconds_per_sms) as field,
        rig.broker(folder) as broker,
    ):
        text = rig.head(folder, broker.port, modem=field.modem_path)
        text += places(range(queued), "gas", "gas") + places(range(queued, queued + 1), "fire", "fire")
        config = rig.station(folder, text)
        with rig.daemon(config, own):
            rig.wait_subscribed(broker, queued + 1)
            sensors = Sensors(broker.port)
            for number in range(queued):
                sensors.alarm(f"gas/{number}")
            _wait(lambda: sum(command.startswith("AT+CMGS") for command in field.modem.commands))
            time.sleep(seconds_per_sms / 4)  # a part is on its way
            left = sensors.alarm(f"fire/{queued}")
            told = _wait(lambda: _first(field, queued))
            before = len(field.modem.sent)
            sensors.close()
    waited = (told - left) / 1e9
    return {
        "queued": queued,
        "seconds_per_part": seconds_per_sms,
        "fire_waited_seconds": round(waited, 2),
        "told_before_it": before - 1,
        "at_most_one_part": waited <= seconds_per_sms + 0.1,
    }
