"""A station as the Home Assistant sink is given it, and what stands at the broker afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from gateway.model.point import AlarmClass, AlarmSpec, Kind, Point, PointSpec
from gateway.model.ports import SinkSetup
from gateway.model.quality import Doubt, Level, quality
from tests.mqtt_clients import ours
from tests.sinks.portions import facts
from tests.sinks.portions import setup as setup_of

SHOWN = ("hall/smoke", "hall/temperature", "pump/mode")
BAD = quality(Level.BAD, Doubt.NO_COMMS)
FIRE = AlarmSpec(when='value == "alarm"', alarm_class=AlarmClass.FIRE)
POINTS = {
    1: Point(
        1,
        "hall",
        PointSpec(name="smoke", kind=Kind.STATE, title="烟雾报警", labels={"normal": 0, "alarm": 1}, alarms=(FIRE,)),
        "",
    ),
    2: Point(2, "hall", PointSpec(name="temperature", unit="Cel"), ""),
    3: Point(3, "hall", PointSpec(name="events", kind=Kind.TEXT), ""),
    4: Point(4, "pump", PointSpec(name="mode", kind=Kind.STATE, labels={"off": 0, "auto": 1, "manual": 2}), ""),
    5: Point(5, "gone", PointSpec(name="was"), ""),
}


def setup(port: int = 1, points: Iterable[int] = POINTS, instance: str = "i1", **options: Any) -> SinkSetup:  # noqa: ANN401
    one = setup_of("homeassistant", instance=instance, host="127.0.0.1", port=port, **options)
    return replace(one, points={number: POINTS[number] for number in points}, facts=facts)


async def retained(port: int, *filters: str) -> dict[str, Any]:
    """Return what stands at the broker."""
    got: list[Any] = []
    session = await ours(port, "looks", got, session_expiry=0)
    for _ in range(2):
        await session.subscribe([(pattern, 1) for pattern in filters])
    await session.close()
    return {topic: json.loads(payload) for topic, payload, kept, *_ in got if kept and payload}


async def states(port: int) -> dict[str, Any]:
    return {topic.removeprefix("firegrid-ha/jc-07/point/"): said for topic, said in (await retained(port, "#")).items()}
