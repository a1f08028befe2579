"""A station for tests of the sink `gb26875_uplink`: points, what the sink is given, and what its journal says."""

from __future__ import annotations

from typing import Any

from gateway.clock import Clock
from gateway.model.alarm import Alarm, AlarmEvent, AlarmFacts, AlarmState, Evidence, Suppression, Transition
from gateway.model.batch import EventCode, EventSeen
from gateway.model.inventory import EVENTS
from gateway.model.point import AlarmClass, AlarmSpec, Kind, Point, PointSpec, Severity
from gateway.model.portion import Note
from gateway.model.ports import SinkSetup
from gateway.model.station import SinkSpec
from gateway.model.time import SECOND
from gateway.model.verdict import Cause
from tests.drivers.gb26875_centre import WALL

FIRE = AlarmSpec(when='value == "alarm"', alarm_class=AlarmClass.FIRE)
SMOKE, TANK, PANEL, OWN, MAINS, HEAT, SOURCE = range(1, 8)
POINTS = {
    SMOKE: Point(SMOKE, "hall", PointSpec(name="smoke", kind=Kind.STATE, title="烟雾报警", alarms=(FIRE,)), "jc/1"),
    TANK: Point(TANK, "tank", PointSpec(name="level", unit="m"), "jc/2"),
    PANEL: Point(PANEL, "panel", EVENTS, "jc"),
    OWN: Point(OWN, "@gateway", EVENTS, ""),
    MAINS: Point(MAINS, "gateway", PointSpec(name="mains", kind=Kind.STATE), ""),
    SOURCE: Point(SOURCE, "@bus", EVENTS, ""),
    HEAT: Point(HEAT, "hall", PointSpec(name="heat", kind=Kind.STATE, alarms=(FIRE,)), "jc/1"),
}
CLASSES = {
    SMOKE: AlarmClass.FIRE,
    TANK: AlarmClass.FLOOD,
    PANEL: AlarmClass.FIRE,
    HEAT: AlarmClass.FIRE,
    SOURCE: AlarmClass.FIRE,
}


def facts(rule: str, point: int, key: str) -> AlarmFacts:
    """Return what a configuration would say; rule `fault` is of that class wherever it is."""
    del key
    known = AlarmClass.FAULT if rule == "fault" else CLASSES.get(point, AlarmClass.SUPERVISORY)
    return AlarmFacts(
        device=POINTS[point].device,
        point_name=POINTS[point].name,
        cell="jc",
        alarm_class=known,
        severity=Severity.CRITICAL,
        latch=False,
        title="",
    )


def setup(clock: Clock, *, points: dict[int, Point] = POINTS, **options: Any) -> SinkSetup:  # noqa: ANN401 - TOML values
    """Return what the sink is given."""
    spec = SinkSpec(id="far", kind="gb26875_uplink", options={"host": "127.0.0.1", "port": 1, **options})
    return SinkSetup(
        spec=spec, station="jc-07", instance="i1", points=points, facts=facts, clock=clock, names={"hall": "大厅"}
    )


def move(
    n: int,
    event: AlarmEvent = AlarmEvent.RAISE,
    *,
    point: int = SMOKE,
    key: str = "",
    rule: str = "fire",
    second: float = 0,
    before: AlarmState | None = None,
    after: AlarmState | None = None,
    suppression: Suppression = Suppression.NONE,
    who: str = "",
    text: str = "",
    cause: Cause = Cause.CONDITION,
    own: float | None = None,
) -> Note:
    """Return a transition; states that are not given are those of an alarm that does not latch.

    `own`: second at which it was by the device's own clock.
    """
    usual = {
        AlarmEvent.RAISE: (AlarmState.NORMAL, AlarmState.UNACK),
        AlarmEvent.CLEAR: (AlarmState.ACKED, AlarmState.NORMAL),
        AlarmEvent.ACK: (AlarmState.UNACK, AlarmState.ACKED),
        AlarmEvent.RESET: (AlarmState.LATCHED_ACKED, AlarmState.NORMAL),
    }.get(event, (AlarmState.UNACK, AlarmState.UNACK))
    time = WALL + round(second * SECOND)
    body = Transition(
        alarm=hash((rule, point, key)) & 0xFFFF,
        rule=rule,
        point=point,
        key=key,
        event=event,
        before=before or usual[0],
        after=after or usual[1],
        suppression=suppression,
        cause=cause,
        at=time - WALL,
        who=who,
        evidence=Evidence(text=text, time=0 if own is None else WALL + round(own * SECOND)),
    )
    return Note(n, time, body)


def event(n: int, code: EventCode, *, point: int = OWN, second: float = 0) -> Note:
    """Return an event."""
    time = WALL + round(second * SECOND)
    return Note(
        n, time, EventSeen(point=point, key="", code=code, text="", time=0, at=time - WALL, source="s", raw=b"")
    )


def alarm(number: int, *, point: int = SMOKE, key: str = "", rule: str = "fire", **fields: Any) -> Alarm:  # noqa: ANN401
    """Return an open alarm."""
    return Alarm(
        id=number,
        rule=rule,
        point=point,
        key=key,
        device=POINTS[point].device,
        point_name=POINTS[point].name,
        cell="jc",
        alarm_class=facts(rule, point, key).alarm_class,
        severity=Severity.CRITICAL,
        latch=False,
        **{"state": AlarmState.UNACK, **fields},
    )
