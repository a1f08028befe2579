"""A fire panel behind a JSON topic: from the bytes of a message to the end of its alarm, no `[[rule]]` in the file."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from msgspec.structs import replace

from drivers import _profiles as profiles
from drivers.dialects import json as dialect
from gateway.model.alarm import AlarmState, Verb
from gateway.model.batch import Event, EventCode, EventSeen, make_batch
from gateway.model.inventory import events_of
from gateway.model.notification import NotifyReason
from gateway.model.point import AlarmClass, Device
from gateway.model.ports import Decoded, DialectSetup
from gateway.model.time import SECOND
from gateway.model.verdict import Cause
from gateway.testing import WALL, Scenario
from tests.step_station import STATION

PANEL = Device(
    id="fas",
    source="s",
    profile=profiles.profile("json-panel"),
    cell="jc",
    silence=1e6,
    options={"topic": "fas/events", "addresses": ["3/17", "3/18"]},
)
HOUSE = replace(STATION, devices=(PANEL,), rules=())


class Panel:
    """The panel's adapter: publishes JSON, which goes through the dialect into the step."""

    def __init__(self, panel: Device = PANEL) -> None:
        self.house = Scenario(HOUSE).start()
        ids = self.house.ids
        self.dialect = dialect.create(DialectSetup(devices=[panel], point_ids=ids, source_events=ids[events_of("@s")]))

    def say(self, at: float, **message: object) -> None:
        """Publish one message."""
        self.say_all(at, message)

    def say_all(self, at: float, *messages: dict[str, object]) -> None:
        """Publish messages that arrive together."""
        into = Decoded()
        for message in messages:
            assert self.dialect.decode("fas/events", json.dumps(message).encode(), retained=False, into=into)
        assert into.problems == []
        self.house.give(at, make_batch("s", self.house.ns(at), into.rows, events=into.events, heard=into.heard))

    def events(self) -> list[EventSeen]:
        """Return what the record keeps of events."""
        records = (record for effects in self.house.seen.effects for record in effects.records)
        return [body for _, body in records if isinstance(body, EventSeen)]


FIRE = {"type": "fire", "loop": 3, "address": 17, "text": "3层走廊烟感"}
R = NotifyReason


def test_a_fire_of_an_address_is_an_alarm_with_its_key() -> None:
    panel = Panel()
    panel.say_all(10, FIRE)
    (alarm,) = panel.house.alarms()
    assert (alarm.rule, alarm.key, alarm.text) == ("event:fire", "3/17", "3层走廊烟感")
    assert (alarm.alarm_class, alarm.state, alarm.cause) == (AlarmClass.FIRE, AlarmState.UNACK, Cause.EVENT)
    assert json.loads(alarm.evidence.frame) == FIRE
    panel.house.until(11)
    ((at, contact, text),) = panel.house.told(R.RAISED, contact="li")
    assert (at, contact) == (10.0, "li")
    assert "3/17" in text
    assert "3层走廊烟感" in text


def test_reset_ends_an_acknowledged_alarm_after_its_latch_is_reset() -> None:
    panel = Panel()
    panel.say_all(10, FIRE)
    number = panel.house.alarms()[0].id
    panel.house.act(20, Verb.ACK, [number])
    panel.say(30, type="reset")
    (alarm,) = panel.house.alarms()
    assert (alarm.condition, alarm.state) == (False, AlarmState.LATCHED_ACKED)
    panel.house.act(40, Verb.RESET, [number])
    assert panel.house.alarms() == []
    panel.house.until(4000)
    assert panel.house.told(R.ESCALATED, R.REPEATED) == []


def test_reset_of_an_unanswered_alarm_silences_nobody() -> None:
    panel = Panel()
    panel.say_all(10, FIRE)
    panel.say(30, type="reset")
    (alarm,) = panel.house.alarms()
    assert (alarm.condition, alarm.state) == (False, AlarmState.LATCHED_UNACK)
    panel.house.until(1000)
    assert panel.house.told(R.ESCALATED)[0][:2] == (70.0, "chen")
    again = panel.house.told(R.REPEATED, contact="li")
    assert len(again) >= 4
    assert all("恢复" in text or "复归" in text or "正常" in text for _, _, text in again)
    assert panel.house.state.escalation.audit(panel.house.alarms(), panel.house.ns(1000)) == []


def test_a_fire_of_an_unknown_address_is_an_alarm_not_registered() -> None:
    panel = Panel()
    panel.say(10, type="fire", loop=9, address=99, text="?")
    (alarm,) = panel.house.alarms()
    assert (alarm.key, alarm.cause, alarm.alarm_class) == ("9/99", Cause.UNREGISTERED, AlarmClass.FIRE)
    assert [event.registered for event in panel.events()] == [False]
    panel.house.until(11)
    assert panel.house.told(R.RAISED, contact="li") != []


def test_past_the_limit_of_keys_every_new_address_is_told_anew() -> None:
    panel = Panel()
    limit = HOUSE.limits.keys
    for address in range(limit):
        panel.say(10 + address, type="fire", loop=1, address=address)
    panel.house.until(30)
    assert len(panel.house.alarms()) == limit
    for number, address in enumerate((900, 901)):
        before = len(panel.house.told(R.RAISED, contact="li"))
        panel.say(40 + 10 * number, type="fire", loop=1, address=address)
        panel.house.until(45 + 10 * number)
        assert len(panel.house.alarms()) == limit + 1
        assert len(panel.house.told(R.RAISED, contact="li")) == before + 1
    shared = panel.house.alarms()[-1]
    assert (shared.key, shared.cause, shared.alarm_class) == ("…", Cause.ESCALATED, AlarmClass.FIRE)


def test_the_first_key_past_the_limit_may_be_one_that_nobody_knows() -> None:
    panel = Panel()
    for address in range(HOUSE.limits.keys):
        panel.say(10, type="fault", loop=1, address=address)
    panel.say(20, type="fire", loop=8, address=8)
    fires = [alarm for alarm in panel.house.alarms() if alarm.alarm_class is AlarmClass.FIRE]
    assert [(alarm.key, alarm.cause) for alarm in fires] == [("…", Cause.UNREGISTERED)]
    panel.house.until(21)
    assert panel.house.told(R.RAISED, contact="li")[-1][0] == 20.0


def test_two_events_of_one_address_in_the_same_second_are_both_kept() -> None:
    panel = Panel()
    second = "2026-11-22T03:00:00+08:00"
    panel.say_all(10, {**FIRE, "time": second}, {**FIRE, "time": second, "text": "3层走廊烟感 再次"})
    seen = panel.events()
    assert [event.text for event in seen] == ["3层走廊烟感", "3层走廊烟感 再次"]
    assert len({event.time for event in seen}) == 1
    assert len(panel.house.alarms()) == 1


def test_a_backlog_ends_no_fire_that_came_after_it_and_the_reset_of_now_does() -> None:
    panel = Panel()

    def at(seconds: float) -> str:
        return datetime.fromtimestamp(WALL / SECOND + seconds, UTC).isoformat()

    panel.say(4000, **FIRE, time=at(3999))
    panel.say(4010, type="restore", loop=3, address=17, time=at(1800))
    panel.say(4020, type="reset", time=at(3000))
    assert [alarm.condition for alarm in panel.house.alarms()] == [True]
    assert len(panel.events()) == 3
    panel.say(4500, type="reset", time=at(4499))
    assert [alarm.condition for alarm in panel.house.alarms()] == [False]


def test_a_key_that_is_pressed_again_calls_again_whoever_has_answered_the_first_press() -> None:
    """Nobody resets a transmission device after a press; three presses in a row are one call."""
    house = Panel().house
    event = Event(house.ids["fas.events"], "device", EventCode.MANUAL, ends=EventCode.MANUAL)

    def press(at: float) -> list[float]:
        house.give(at, make_batch("s", house.ns(at), [], events=[event]))
        house.until(at + 20)
        return [when for when, _, _ in house.told(R.RAISED, contact="li")]

    assert [press(10), press(31), press(52)] == [[10.0]] * 3
    [alarm] = house.alarms()
    house.act(100, Verb.ACK, [alarm.id])
    assert press(4000) == [10.0, 4000.0]
    assert [one.state for one in house.alarms()] == [AlarmState.UNACK]


def test_the_end_of_a_fault_ends_no_fire_at_its_place() -> None:
    options = {**PANEL.profile.options, "event": {**PANEL.profile.options["event"], "codes": {"ok": "restore fault"}}}
    panel = Panel(replace(PANEL, profile=replace(PANEL.profile, options=options)))
    panel.say_all(10, FIRE, {**FIRE, "type": "fault"}, {**FIRE, "type": "ok"})
    assert {alarm.rule: alarm.condition for alarm in panel.house.alarms()} == {"event:fire": True, "event:fault": False}
    assert [event.ends for event in panel.events()] == [None, None, EventCode.FAULT]
