"""Portions and set-ups for tests of sinks, without a store."""

from __future__ import annotations

from typing import Any

import numpy as np

from gateway.clock import SECOND, SystemClock
from gateway.model.alarm import AlarmEvent, AlarmFacts, AlarmState, Evidence, Suppression, Transition
from gateway.model.batch import EventCode, EventSeen
from gateway.model.point import AlarmClass, Kind, Point, PointSpec, Severity
from gateway.model.portion import Note, Portion
from gateway.model.ports import SinkSetup
from gateway.model.station import SinkSpec
from gateway.model.verdict import Cause

WALL = 1_790_000_000 * SECOND
POINTS = {
    1: Point(1, "kitchen", PointSpec(name="ch4", unit="%[LEL]"), "jc/3/14"),
    2: Point(2, "panel", PointSpec(name="events", kind=Kind.TEXT), "jc"),
    3: Point(3, 'café 3, "A"=B', PointSpec(name="t\nx", unit="Cel"), ""),
}


def facts(rule: str, point: int, key: str) -> AlarmFacts:
    """Return what the configuration says of any place."""
    del rule, point, key
    return AlarmFacts(
        device="kitchen",
        point_name="kitchen.ch4",
        cell="jc/3/14",
        alarm_class=AlarmClass.GAS,
        severity=Severity.CRITICAL,
        latch=True,
        title="燃气",
    )


def setup(kind: str, *, station: str = "jc-07", instance: str = "i1", **options: Any) -> SinkSetup:  # noqa: ANN401
    """Return the set-up of a sink with these options."""
    spec = SinkSpec(id="far", kind=kind, options=options)
    return SinkSetup(spec=spec, station=station, instance=instance, points=POINTS, facts=facts, clock=SystemClock())


def portion(*rows: tuple[int, int, float, int], notes: tuple[Note, ...] = ()) -> Portion:
    """Return a portion of rows (point, ns, value, quality)."""
    points, times, values, marks = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Portion(
        np.array(points, dtype=np.int32),
        np.array(times, dtype=np.int64),
        np.array(values, dtype=np.float64),
        np.array(marks, dtype=np.uint8),
        notes,
    )


def readings(number: int, *, first: int = 0) -> Portion:
    """Return so many good readings of one point, a second apart, whose values count from `first`."""
    return portion(*((1, WALL + place * SECOND, float(first + place), 0) for place in range(number)))


def event(n: int, text: str = "火警", *, key: str = "3/17", time: int = WALL, registered: bool = True) -> Note:
    """Return a fire event."""
    body = EventSeen(
        point=2,
        key=key,
        code=EventCode.FIRE,
        text=text,
        time=0,
        at=time - WALL,
        source="bus",
        raw=b"\x40",
        registered=registered,
    )
    return Note(n, time, body)


def move(n: int, *, after: AlarmState = AlarmState.UNACK, reason: str = "", who: str = "", time: int = WALL) -> Note:
    """Return a transition of an alarm."""
    body = Transition(
        alarm=5,
        rule="gas leak",
        point=1,
        key="",
        event=AlarmEvent.RAISE,
        before=AlarmState.NORMAL,
        after=after,
        suppression=Suppression.NONE,
        cause=Cause.CONDITION,
        at=time - WALL,
        who=who,
        reason=reason,
        evidence=Evidence(),
    )
    return Note(n, time, body)
