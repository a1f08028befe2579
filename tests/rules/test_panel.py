"""Panel events as levels: raised once per key, reset by the device, collective past the limit, never by a test."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.batch import Event, EventCode
from gateway.model.delta import Delta
from gateway.model.point import AlarmClass, Kind, Point, PointSpec
from gateway.model.station import Limits
from gateway.model.verdict import Cause, Change
from rules.compile import compile_rules
from rules.compiled import Level
from rules.engine import Engine
from rules.panel import COLLECTIVE
from tests.rules.building import SECOND, device, points_of, rule, station

PANEL = device("panel", PointSpec(name="events", kind=Kind.TEXT))
SOURCE = Point(7, "@bus1", PointSpec(name="events", kind=Kind.TEXT), "jc/9")
C = EventCode


def _engine(keys: int = 4096) -> Engine:
    made, problems = compile_rules(station((PANEL,), (), limits=Limits(keys=keys)), [*points_of((PANEL,)), SOURCE])
    assert problems == []
    made.rebase(0, 0, 0, Delta())
    return made


def _say(made: Engine, *events: tuple[EventCode, str], point: int = 1, registered: bool = True) -> list[Change]:
    said = [Event(point, key, code, registered=registered) for code, key in events]
    return made.events(said, 5 * SECOND, Delta())


def _short(changes: list[Change]) -> list[tuple[int, str, str, bool, Cause]]:
    return [(c.position, c.rule, c.key, c.up, c.cause) for c in changes]


def test_a_fire_raises_once_and_the_reset_of_the_device_makes_it_false() -> None:
    made = _engine()
    assert _short(_say(made, (C.FIRE, "3/17"), (C.FIRE, "3/17"), (C.FAULT, "3/17"))) == [
        (0, "event:fire", "3/17", True, Cause.EVENT),
        (2, "event:fault", "3/17", True, Cause.EVENT),
    ]
    assert _short(_say(made, (C.FIRE, "3/17"))) == []
    assert _short(_say(made, (C.RESET, ""))) == [
        (0, "event:fire", "3/17", False, Cause.EVENT_RESET),
        (0, "event:fault", "3/17", False, Cause.EVENT_RESET),
    ]
    assert _short(_say(made, (C.FIRE, "3/17")))[0][3]


def test_restore_means_its_key_only() -> None:
    made = _engine()
    _say(made, (C.FIRE, "1"), (C.FIRE, "2"), (C.FAULT, ""))
    assert _short(_say(made, (C.RESTORE, "2"))) == [(0, "event:fire", "2", False, Cause.EVENT_RESET)]
    assert _short(_say(made, (C.RESTORE, ""))) == [(0, "event:fault", "", False, Cause.EVENT_RESET)]
    assert made.active() == {("event:fire", 1, "1")}


def test_the_reset_of_one_panel_is_that_of_everything_below_it() -> None:
    made = _engine()
    _say(made, (C.FIRE, "1/1/3/17"), (C.FAULT, "1/1"), (C.FIRE, "1/10/3/17"), (C.FIRE, "2/1/3/17"))
    assert _short(_say(made, (C.RESET, "1/1"))) == [
        (0, "event:fire", "1/1/3/17", False, Cause.EVENT_RESET),
        (0, "event:fault", "1/1", False, Cause.EVENT_RESET),
    ]
    assert made.active() == {("event:fire", 1, "1/10/3/17"), ("event:fire", 1, "2/1/3/17")}
    assert _short(_say(made, (C.RESET, "1/10/3/17"))) == [(0, "event:fire", "1/10/3/17", False, Cause.EVENT_RESET)]


def test_a_call_point_is_a_fire_and_a_test_is_none() -> None:
    made = _engine()
    assert _short(_say(made, (C.TEST, "1"), (C.FEEDBACK, "1"), (C.INFO, "1"), (C.ENABLED, "1"))) == []
    assert [c.rule for c in _say(made, (C.MANUAL, "1"))] == ["event:fire"]


def test_a_press_of_a_key_is_another_call_and_what_a_call_point_says_again_is_none() -> None:
    """The press before it is over: what is acknowledged calls anew, and what nobody has answered goes on calling."""
    made = _engine(keys=1)
    press = Event(1, "device", C.MANUAL, ends=C.MANUAL)

    def say(event: Event) -> list[tuple[str, bool, Cause]]:
        return [(c.key, c.up, c.cause) for c in made.events([event], 5 * SECOND, Delta())]

    again = [("device", False, Cause.EVENT_RESET), ("device", True, Cause.EVENT)]
    assert [say(press), say(press), say(msgspec.structs.replace(press, ends=None))] == [again[1:], again, []]
    assert say(msgspec.structs.replace(press, key="1/1")) == [(COLLECTIVE, True, Cause.EVENT)]
    assert say(msgspec.structs.replace(press, key="2/1")) == [(COLLECTIVE, True, Cause.ESCALATED)]
    assert [up for _, up, _ in say(msgspec.structs.replace(press, key="1/1"))] == [False, True]
    assert made.active() == {("event:fire", 1, "device"), ("event:fire", 1, COLLECTIVE)}


def test_every_code_has_its_class() -> None:
    made = _engine()
    codes = [C.FIRE, C.GAS, C.FLOOD, C.PRE_ALARM, C.SUPERVISORY, C.FAULT, C.DISABLED]
    changes = _say(made, *((code, "1") for code in codes))
    classes = [made.facts(c.rule, c.point, c.key).alarm_class for c in changes]
    assert classes == [
        AlarmClass.FIRE,
        AlarmClass.GAS,
        AlarmClass.FLOOD,
        AlarmClass.SUPERVISORY,
        AlarmClass.SUPERVISORY,
        AlarmClass.FAULT,
        AlarmClass.SUPERVISORY,
    ]
    assert [made.facts(c.rule, c.point, c.key).latch for c in changes[:4]] == [True, True, True, False]
    assert _short(_say(made, (C.ENABLED, "1"))) == [(0, "event:disabled", "1", False, Cause.EVENT_RESET)]


def test_an_address_nobody_registered_raises_at_the_cell_of_its_source() -> None:
    made = _engine()
    changes = _say(made, (C.FIRE, "9/9"), point=7, registered=False)
    assert _short(changes) == [(0, "event:fire", "9/9", True, Cause.UNREGISTERED)]
    facts = made.facts("event:fire", 7, "9/9")
    assert (facts.device, facts.cell, facts.alarm_class) == ("@bus1", "jc/9", AlarmClass.FIRE)
    assert made.facts("event:fire", 12345, "x").alarm_class is AlarmClass.FIRE


def test_past_the_limit_every_new_address_is_told_again_under_one_key() -> None:
    made = _engine(keys=2)
    changes = _say(made, *((C.FIRE, str(n)) for n in range(5)), (C.FIRE, "3"), (C.FIRE, "0"))
    assert _short(changes) == [
        (0, "event:fire", "0", True, Cause.EVENT),
        (1, "event:fire", "1", True, Cause.EVENT),
        (2, "event:fire", COLLECTIVE, True, Cause.EVENT),
        (3, "event:fire", COLLECTIVE, True, Cause.ESCALATED),
        (4, "event:fire", COLLECTIVE, True, Cause.ESCALATED),
    ]
    assert _short(_say(made, (C.FIRE, "x"), point=7, registered=False))[0][2] == "x"
    assert len(_say(made, (C.RESET, ""))) == 3
    assert _short(_say(made, (C.FIRE, "4"))) == [(0, "event:fire", "4", True, Cause.EVENT)]


def test_the_first_fire_past_the_limit_is_told_even_unregistered() -> None:
    made = _engine(keys=0)
    changes = _say(made, (C.FIRE, "9"), point=7, registered=False)
    assert _short(changes) == [(0, "event:fire", COLLECTIVE, True, Cause.UNREGISTERED)]


def test_only_alarm_false_with_a_reason_switches_events_off() -> None:
    off = rule(id="off", points=("panel.events",), alarm=False, reason="being rebuilt")
    made, problems = compile_rules(station((PANEL,), (off,)), points_of((PANEL,)))
    assert [(p.rule, p.note) for p in problems] == [("off", True)]
    assert made.switched_off == (("panel.events", "off", "being rebuilt"),)
    assert _say(made, (C.FIRE, "1")) == []


# -- what ends, and what comes too late to end anything

WALL = 1_790_000_000 * SECOND
LIVE = 0  # s before `WALL`


def _at(made: Engine, code: EventCode, ago: float | None, *, key: str = "1", wall: int = WALL) -> list[Change]:
    """Say something at `wall` with the device's own time so many seconds ago; None: without a time."""
    time = 0 if ago is None else WALL - round(ago * SECOND)
    return made.events([Event(1, key, code, time=time)], 5 * SECOND, Delta(), wall)


@pytest.mark.parametrize("code", [C.FAULT, C.SUPERVISORY, C.GAS, C.FLOOD, C.DISABLED])
def test_a_restore_of_one_thing_ends_nothing_else_there_whatever_was_heard_before(code: EventCode) -> None:
    made = _engine()
    _say(made, (C.FIRE, "1"), (C.FIRE, "2"), (code, "1"))
    assert made.events([Event(1, "1", C.RESTORE, ends=C.FEEDBACK)], 6 * SECOND, Delta()) == []
    ended = made.events([Event(1, "1", C.RESTORE, ends=code)], 6 * SECOND, Delta())
    assert [(c.rule, c.up) for c in ended] == [(f"event:{code.name.lower()}", False)]
    assert made.events([Event(1, "1", C.RESTORE, ends=code)], 6 * SECOND, Delta()) == []
    assert made.active() == {("event:fire", 1, "1"), ("event:fire", 1, "2")}


@pytest.mark.parametrize("code", [C.RESTORE, C.RESET])
@pytest.mark.parametrize("ago", [61, 1800, 2 * 86_400, 30 * 86_400])
def test_what_ended_before_the_fire_does_not_end_it(code: EventCode, ago: float) -> None:
    made = _engine()
    assert len(_at(made, C.FIRE, LIVE)) == 1
    assert _at(made, code, ago) == []
    assert made.active() == {("event:fire", 1, "1")}
    assert _at(made, C.RESTORE, LIVE, key="2") == []
    assert [c.up for c in _at(made, code, LIVE)] == [False]


@pytest.mark.parametrize(
    ("fire", "end", "wall"),
    [
        (LIVE, LIVE, WALL),
        (LIVE, None, WALL),  # it tells no time
        (None, 1800, WALL),
        (1800, 3600, WALL),  # a wrong clock, also when the fire came
        (-1800, 600, WALL),
        (LIVE, 59, WALL),  # it was set right meanwhile
        (LIVE, 30 * 86_400 + 1, WALL),  # it woke in 1970
        (LIVE, 1800, 0),  # our own clock is not to be trusted
        (LIVE, LIVE, WALL + 3600 * SECOND),  # it stands still
        (LIVE, -7200, WALL + 3600 * SECOND),
    ],
)
def test_a_reset_that_a_panel_sends_now_counts_whatever_its_clock_says(
    fire: float | None, end: float | None, wall: int
) -> None:
    made = _engine()
    _at(made, C.FIRE, fire)
    assert [c.up for c in _at(made, C.RESET, end, key="", wall=wall)] == [False]


def test_a_fire_behind_a_late_end_is_told_again_in_case_the_clock_was_wrong() -> None:
    made = _engine()
    _at(made, C.FIRE, LIVE)
    assert _at(made, C.FIRE, LIVE) == []
    _at(made, C.RESTORE, 1800)
    snapshot = made.snapshot()
    made = _engine()
    assert made.restore(snapshot) == []
    assert _short(_at(made, C.FIRE, 1700)) == [(0, "event:fire", "1", True, Cause.ESCALATED)]
    assert _at(made, C.FIRE, 1600) == []
    assert _at(made, C.RESTORE, 1500) == []


def test_what_was_said_last_counts_and_each_place_has_its_own_time() -> None:
    made = _engine(keys=2)
    _at(made, C.FIRE, 3600)  # a backlog
    _at(made, C.FIRE, 10, key="2")
    _at(made, C.FIRE, LIVE, key="3")
    assert [c.key for c in _at(made, C.RESET, 1800, key="")] == ["1"]
    later = WALL + 600 * SECOND
    assert [c.cause for c in _at(made, C.FIRE, -600, key="2", wall=later)] == [Cause.ESCALATED]
    assert _at(made, C.RESTORE, -300, key="2", wall=later) == []
    assert [c.key for c in _at(made, C.RESET, -600, key="", wall=later)] == ["2", COLLECTIVE]


def test_a_level_of_a_former_version_reads() -> None:
    former = {"rule": "event:fire", "point": 1, "key": "1", "seen": []}
    assert msgspec.convert(former, Level) == Level("event:fire", 1, "1")


_events = st.lists(
    st.tuples(st.sampled_from([C.FIRE, C.FAULT, C.RESET, C.RESTORE, C.TEST]), st.sampled_from(["", "1", "2", "3"])),
    max_size=20,
)


@settings(max_examples=80, deadline=None)
@given(_events, st.integers(0, 20))
def test_levels_survive_undo_and_snapshot(said: list[tuple[EventCode, str]], place: int) -> None:
    whole, other = _engine(keys=2), _engine(keys=2)
    expected = [_short(_say(whole, event)) for event in said]
    got = [_short(_say(other, event)) for event in said[:place]]
    delta = Delta()
    other.events([Event(1, key, code) for code, key in said], 5 * SECOND, delta)
    delta.undo()
    third = _engine(keys=2)
    assert third.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(other.snapshot()))) == []
    got += [_short(_say(third, event)) for event in said[place:]]
    assert got == expected
    assert third.active() == whole.active()
