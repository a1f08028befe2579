"""Groups for tests of the store: readings and records whose content follows from their number."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.clock import SECOND
from gateway.model.alarm import Alarm, AlarmEvent, AlarmState, Evidence, Suppression, Transition
from gateway.model.batch import Event, EventCode, Mark, make_batch
from gateway.model.moment import Epoch, Input
from gateway.model.point import AlarmClass, Severity
from gateway.model.verdict import Cause
from gateway.store.shapes import Group

BOOT = "boot-1"
WALL = 1_790_000_000 * SECOND
EPOCH = Epoch(boot=BOOT, mono_from=0, wall_offset=WALL, source="ntp")
Row = tuple[int, int, float, int]


def group(
    number: int = 1,
    rows: Sequence[Row] = ((1, 0, 21.5, 0),),
    *,
    boot: str = BOOT,
    mono: int | None = None,
    more: Sequence[Input] = (),
    marks: tuple[Sequence[Mark], Sequence[Mark]] = ((), ()),
) -> Group:
    """Return the group of one step at `number` seconds with an event, an alarm's row and its transition."""
    at = number * SECOND if mono is None else mono
    event = Event(point=9, key=f"3/{number}", code=EventCode.FIRE, text="火警", raw=b"\x40\x40%d" % number)
    steps = [(at, [make_batch("bus", at, rows, events=[event]), *more])]
    return Group(
        boot=boot,
        mono=at,
        wall=WALL + at,
        steps=steps,
        records=[("event", event), ("transition", transition(number, at))],
        rows=[("alarm", str(number), alarm(number, at)), ("_alarm_id", "x", alarm(number, at))],
        marks=marks,
    )


def alarm(number: int, at: int) -> Alarm:
    """Return an unacknowledged fire alarm."""
    return Alarm(
        id=number,
        rule="smoke",
        point=9,
        key=f"3/{number}",
        device="hall",
        point_name="hall.smoke",
        cell="jc/3",
        alarm_class=AlarmClass.FIRE,
        severity=Severity.CRITICAL,
        latch=True,
        state=AlarmState.UNACK,
        since=at,
        evidence=Evidence(frame=b"\x03\x02\x00\x01"),
    )


def transition(number: int, at: int) -> Transition:
    """Return the raise of that alarm."""
    return Transition(
        alarm=number,
        rule="smoke",
        point=9,
        key=f"3/{number}",
        event=AlarmEvent.RAISE,
        before=AlarmState.NORMAL,
        after=AlarmState.UNACK,
        suppression=Suppression.NONE,
        cause=Cause.CONDITION,
        at=at,
        evidence=Evidence(frame=b"\x03\x02\x00\x01"),
    )
