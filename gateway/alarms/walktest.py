"""Which devices are under test now, and which of them have spoken or alarmed.

Flow: the book asks here before it lets an alarm call people (suppression BY_DESIGN while the test lasts); the step
tells here what was heard. One test at a time, one durable row that stays until the next test begins. Pure, writes
through the step's delta. House sections 6 and 10: what is no device of the test stays real; a test whose rest
nobody knows after a restart is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from gateway.alarms.refusal import Refusal
from gateway.model.alarm import Alarm, AlarmEvent, AlarmFacts, AlarmState, OperatorAct, Suppression
from gateway.model.batch import Event, EventCode
from gateway.model.delta import Delta, Table
from gateway.model.moment import Moment, shifted
from gateway.model.point import AlarmClass
from gateway.model.quality import Level
from gateway.model.verdict import NEVER, Cause, Change
from gateway.model.walktest import WalkEnd, Walktest

_ROW: Final = "now"
_NO_TEST: Final = (AlarmClass.FAULT, AlarmClass.MAINTENANCE)  # a detector that falls silent has not been tested
_ALWAYS_REAL: Final = (Cause.UNREGISTERED, Cause.ESCALATED)  # an address that nobody registered, or one more of such


class Walktests:
    """The walk test of a station (durable table `walktest`)."""

    def __init__(self) -> None:
        self.table: Table[Walktest] = Table("walktest")
        self._indexed: Walktest | None = None
        self._devices: dict[int, str] = {}  # point → device, of `_indexed`

    def load(self, rows: Mapping[str, Any]) -> None:
        """Take the row of the store in place of everything here."""
        self.table.rows = dict(rows)

    @property
    def latest(self) -> Walktest | None:
        """The test that runs, else the last one."""
        return self.table.get(_ROW)

    @property
    def running(self) -> Walktest | None:
        """The test that runs, or None."""
        test = self.latest
        return test if test is not None and not test.ended else None

    def admit(self, alarm: Alarm, facts: AlarmFacts, change: Change, delta: Delta) -> Alarm:
        """Return an alarm that is about to be raised, kept from calling people where its device is under test.

        One that calls already stays real, and one under test becomes real by an address that nobody registered.
        """
        test = self.running
        if test is None or change.cause in _ALWAYS_REAL or all(one.device != facts.device for one in test.subjects):
            return real(alarm)
        if facts.alarm_class not in _NO_TEST:
            self._alarmed(facts.device, change.at, delta)
        if alarm.suppression is not Suppression.NONE or alarm.state.unacknowledged:
            return alarm
        return replace(alarm, suppression=Suppression.BY_DESIGN, test=True, test_siren=test.siren)

    def begin(self, act: OperatorAct, delta: Delta) -> Refusal | None:
        """Begin a test; refused while another runs or when it would have no end or no devices."""
        test = self.running
        if test is not None:
            words = f"{test.who} 的巡检测试尚未结束", f"a walk test of {test.who} is still going on"
        elif act.until <= act.at:
            words = "巡检测试必须有将来的结束时间", "a walk test needs an end in the future"
        elif not act.subjects:
            words = "这些网格中没有设备", "there are no devices in these cells"
        else:
            fresh = Walktest(
                number=1 + (self.latest.number if self.latest is not None else 0),
                who=act.who,
                cells=act.cells,
                subjects=act.subjects,
                began=act.at,
                until=act.until,
                siren=act.siren,
            )
            self.table.put(delta, _ROW, fresh)
            return None
        return Refusal(alarm=0, zh=words[0], en=words[1])

    def finish(self, end: WalkEnd, at: int, delta: Delta, who: str = "") -> Refusal | None:
        """End the test that runs; refused when none does."""
        test = self.running
        if test is None:
            return Refusal(alarm=0, zh="没有正在进行的巡检测试", en="no walk test is going on")
        self.table.put(delta, _ROW, replace(test, ended=at, end=end, ended_by=who))
        return None

    def over(self, before: Walktest | None) -> Walktest | None:
        """Return the report of a test that has ended since the row was `before`."""
        test = self.latest
        if test is None or not test.ended or (before is not None and before.ended and before.number == test.number):
            return None
        return test

    def due(self) -> int:
        """Return when the test ends by itself, NEVER if none runs."""
        test = self.running
        return NEVER if test is None else test.until

    def read(self, moment: Moment, delta: Delta) -> None:
        """Tick off the devices of good or uncertain readings and of signs of life; an error of the link is no word."""
        if self.running is not None:
            spoken = moment.point[moment.quality >> 6 < Level.BAD].tolist()
            self._hear((*spoken, *moment.heard), moment.at, delta)

    def told(self, events: Iterable[Event], at: int, delta: Delta) -> None:
        """Tick off the devices of events; a device that says that it is being tested has done what it must."""
        if self.running is None:
            return
        self._hear([event.point for event in events], at, delta)
        for event in events:
            if event.code is EventCode.TEST and event.point in self._devices:
                self._alarmed(self._devices[event.point], at, delta)

    def _alarmed(self, device: str, at: int, delta: Delta) -> None:
        """Note that a device under test has alarmed."""
        test = self.running
        if test is not None and device not in test.alarmed:
            heard = {device: at} | test.heard
            self.table.put(delta, _ROW, replace(test, heard=heard, alarmed={**test.alarmed, device: at}))

    def rebase(self, shift: int | None, at: int, delta: Delta) -> None:
        """Bring times to this boot's axis; where time spent down is unknown the test ends."""
        test = self.latest
        if test is None:
            return
        moved: dict[str, Any] = {name: shifted(getattr(test, name), shift, at) for name in ("began", "until", "ended")}
        for name in ("heard", "alarmed"):
            moved[name] = {device: shifted(t, shift, at) for device, t in getattr(test, name).items()}
        self.table.put(delta, _ROW, replace(test, **moved))
        if shift is None and not test.ended:
            self.finish(WalkEnd.RESTART, at, delta)

    def _hear(self, points: Iterable[int], at: int, delta: Delta) -> None:
        test = self.running
        if test is None or at < test.began:
            return
        if self._indexed is None or self._indexed.subjects is not test.subjects:
            self._indexed = test
            self._devices = {point: one.device for one in test.subjects for point in one.points}
        fresh = {device: at for point in points if (device := self._devices.get(point)) and device not in test.heard}
        if fresh:
            self.table.put(delta, _ROW, replace(test, heard={**test.heard, **fresh}))


def real(alarm: Alarm) -> Alarm:
    """Return an alarm as it is without its test: nothing keeps it from calling people but what a person decided."""
    tried = alarm.test and alarm.suppression is Suppression.BY_DESIGN
    return replace(untested(alarm), suppression=Suppression.NONE) if tried else untested(alarm)


def untested(alarm: Alarm) -> Alarm:
    """Return an alarm without the mark of a test."""
    return replace(alarm, test=False, test_siren=False) if alarm.test else alarm


def closing(alarm: Alarm) -> tuple[AlarmEvent, ...]:
    """Return the moves that end an alarm of a test whose condition has returned; one that is still true has none."""
    if alarm.condition:
        return ()
    match alarm.state:
        case AlarmState.RTN_UNACK:
            return (AlarmEvent.ACK,)
        case AlarmState.LATCHED_UNACK:
            return AlarmEvent.ACK, AlarmEvent.RESET
        case AlarmState.LATCHED_ACKED:
            return (AlarmEvent.RESET,)
    return ()
