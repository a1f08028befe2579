"""Properties over any history: equal to a plain loop however it is cut, undone, stopped and carried over."""

from __future__ import annotations

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.delta import Delta
from gateway.model.moment import Moment
from gateway.model.point import AlarmClass
from gateway.model.quality import Doubt, Level, quality
from gateway.model.station import RuleSpec
from gateway.model.verdict import Cause, Change
from rules.engine import Engine
from tests.rules.building import SECOND, Row, device, engine, moment, rule
from tests.rules.reference import Flip, Slot, slope

GONE = (Doubt.NO_COMMS, Doubt.OFFLINE)
QUALITIES = (0, quality(Level.UNCERTAIN, Doubt.OVER_RANGE), *(quality(Level.BAD, why) for why in GONE))
DEVICES = (device("a", silence=40.0), device("b", silence=15.0))
RULES: tuple[RuleSpec, ...] = (
    rule(id="r1", clear="value < 5", on_delay=3.0, off_delay=4.0),
    rule(id="r2", clear="value < 5", on_delay=0.0, off_delay=0.0, alarm_class=AlarmClass.SUPERVISORY),
    rule(id="r3", clear="value < 5", on_delay=2.0, off_delay=0.0, alarm_class=AlarmClass.SUPERVISORY),
    rule(id="r4", points=("b.*",), clear="value < 5", on_delay=0.0, off_delay=6.0, alarm_class=AlarmClass.FIRE),
    rule(id="r5", kind="rate", when="rate > 0.5", clear="rate < 0.2", on_delay=1.0, options={"window": 8.0}),
)
History = list[tuple[int, list[Row]]]


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Draw moments in order of arrival whose readings have times up to their arrival, late ones among them."""
    at, found = 0, []
    for _ in range(draw(st.integers(1, 14))):
        at += draw(st.sampled_from([0, 1, 1, 2, 3, 5, 9]))
        rows = []
        for _ in range(draw(st.integers(0, 4))):
            back = draw(st.sampled_from([0, 0, 0, 1, 2, 6]))
            value = draw(st.sampled_from([0.0, 4.0, 7.0, 7.0, 12.0, 20.0]))
            rows.append((draw(st.integers(1, 2)), float(max(at - back, 0)), value, draw(st.sampled_from(QUALITIES))))
        found.append((at, rows))
    return found


def fresh(*rules: RuleSpec) -> Engine:
    """Return a started engine."""
    made = engine(DEVICES, *(rules or RULES))
    made.rebase(0, 0, 0, Delta())
    return made


def feed(made: Engine, history: History, delta: Delta | None = None, *, idle: bool = False) -> list[Change]:
    """Step through moments as the pipeline does; `idle`: the clock also wakes the step in between."""
    delta = delta or Delta()
    changes: list[Change] = []
    for at, rows in history:
        if idle:
            changes += made.fire(at * SECOND - SECOND // 2, delta)
        changes += made.fire(at * SECOND - 1, delta)
        changes += made.judge(moment(at, rows), delta)
    return changes


def finish(made: Engine, history: History) -> list[Change]:
    """Let every timer run out."""
    return made.fire((history[-1][0] + 1000) * SECOND, Delta())


def plain(change: Change) -> tuple[object, ...]:
    """Return a change without its place in the moment."""
    return tuple(change)[1:]


def slots_of(changes: list[Change]) -> dict[tuple[str, int], list[tuple[object, ...]]]:
    """Group changes by slot."""
    found: dict[tuple[str, int], list[tuple[object, ...]]] = {}
    for change in changes:
        found.setdefault((change.rule, change.point), []).append(plain(change))
    return found


@settings(max_examples=100, deadline=None)
@given(histories())
def test_equals_a_plain_loop(history: History) -> None:
    made = fresh()
    changes = feed(made, history) + finish(made, history)
    for order, spec in enumerate(RULES[:4], start=1):
        for point in (1, 2) if spec.id != "r4" else (2,):
            on, off = round(spec.on_delay * SECOND), round(spec.off_delay * SECOND)
            slot = Slot(point, order, 10.0, 5.0, on, off, spec.alarm_class.life_safety)
            for at, rows in history:
                slot.fire(at * SECOND - 1)
                for which, time, value, doubt in rows:
                    if which == point:
                        slot.read(round(time * SECOND), value, doubt, at * SECOND)
            slot.fire((history[-1][0] + 1000) * SECOND)
            got: list[Flip] = [
                (c.point, c.order, c.up, c.at, c.since, c.cause)
                for c in changes
                if c.rule == spec.id and c.point == point
            ]
            assert got == slot.flips


@settings(max_examples=60, deadline=None)
@given(histories(), st.data())
def test_any_cut_gives_the_same_changes(history: History, data: st.DataObject) -> None:
    whole = fresh()
    expected = feed(whole, history) + finish(whole, history)
    cut: History = []
    for at, rows in history:
        place = data.draw(st.integers(0, len(rows)))
        cut += [(at, rows[:place]), (at, rows[place:])]
    pieces = fresh()
    got = feed(pieces, cut, idle=True) + finish(pieces, history)
    assert slots_of(got) == slots_of(expected)
    woken = fresh()
    assert feed(woken, history, idle=True) + finish(woken, history) == expected


@settings(max_examples=50, deadline=None)
@given(histories(), st.integers(0, 14))
def test_a_snapshot_anywhere_changes_nothing(history: History, place: int) -> None:
    whole = fresh()
    expected = feed(whole, history) + finish(whole, history)
    first, second = fresh(), engine(DEVICES, *RULES)
    changes = feed(first, history[:place])
    blob = msgspec.msgpack.encode(first.snapshot())
    assert second.restore(msgspec.msgpack.decode(blob)) == []
    assert second.tables.delays.rows == first.tables.delays.rows
    assert second.tables.heard.rows == first.tables.heard.rows
    assert changes + feed(second, history[place:]) + finish(second, history) == expected


@settings(max_examples=50, deadline=None)
@given(histories(), st.integers(0, 14), st.integers(0, 14))
def test_undone_is_never_happened(history: History, place: int, length: int) -> None:
    whole, other = fresh(), fresh()
    expected = feed(whole, history) + finish(whole, history)
    changes = feed(other, history[:place])
    one, two = Delta(), Delta()
    lost = history[place : place + length]
    feed(other, lost[::2], one)
    other.fire((history[-1][0] + 100) * SECOND, one)
    feed(other, [(history[-1][0] + 101, rows) for _, rows in lost[1::2]], two)
    two.undo()
    one.undo()
    assert changes + feed(other, history[place:]) + finish(other, history) == expected
    assert other.tables.delays.rows == whole.tables.delays.rows


@settings(max_examples=50, deadline=None)
@given(histories())
def test_nothing_but_a_good_false_on_time_clears(history: History) -> None:
    made = fresh(*RULES[:4])
    delta = Delta()
    newest: dict[int, int] = {}
    last_false: dict[int, int] = {}
    for at, rows in history:
        for change in made.fire(at * SECOND - 1, delta):
            assert change.up or change.cause is Cause.HEARD or last_false[change.point] == change.since
        changes = made.judge(moment(at, rows), delta)
        for position, (point, seconds, value, doubt) in enumerate(rows):
            time = round(seconds * SECOND)
            good = value < 5.0 and doubt == 0 and time >= newest.get(point, 0)
            for change in changes:
                if change.position == position and not change.up and change.cause is not Cause.HEARD:
                    assert good or last_false.get(point) == change.since
            if good and last_false.get(point) is None:
                last_false[point] = time
            elif time >= newest.get(point, 0) and (value > 10.0 or doubt):
                last_false.pop(point, None)
            newest[point] = max(time, newest.get(point, 0))


@settings(max_examples=50, deadline=None)
@given(histories())
def test_delay_rows_follow_the_running_delays(history: History) -> None:
    made = fresh(*RULES[:4])
    feed(made, history)
    again = engine(DEVICES, *RULES[:4])
    again.resume(list(made.tables.delays), made.active(), heard=made.tables.heard.rows)
    assert again.tables.delays.rows == made.tables.delays.rows
    assert again.active() == made.active()
    until = (history[-1][0] + 14) * SECOND
    ours = [c for c in made.fire(until, Delta()) if c.rule != "silence"]
    assert [c for c in again.fire(until, Delta()) if c.rule != "silence"] == ours


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.floats(-50, 50)), min_size=1, max_size=40))
def test_rate_is_the_slope_of_a_plain_loop(steps: list[tuple[int, float]]) -> None:
    limit = 1.5
    made = fresh(rule(id="r", kind="rate", when=f"rate > {limit}", options={"window": 8.0}))
    time, rows = 100, []
    up = False
    for step, value in steps:
        time += step
        rows.append((float(time), value))
        changes = [c for c in made.judge(moment(time, [(1, time, value, 0)]), Delta()) if c.rule == "r"]
        expected = slope(rows, 8.0)
        if expected is not None and abs(expected - limit) > 1e-6:
            assert [c.up for c in changes] == ([] if up == (expected > limit) else [expected > limit])
        up = changes[-1].up if changes else up


def test_what_the_look_up_skips_would_change_nothing() -> None:
    made = fresh(RULES[0])
    hold = made.kinds["threshold"].hold  # type: ignore[attr-defined]
    from rules import _hold

    for state in range(6):
        for code in range(4):
            hold.state[0], hold.due[0], hold.newest[0] = state, 50, 0
            before = [array.copy() for array in (hold.state, hold.since, hold.due, hold.value, hold.quality)]
            changes: list[Change] = []
            reading = _hold._Reading(0, code, 10, 1.0, 0)  # noqa: SLF001 - the table's own test
            hold._take(0, reading, 10, Delta(), changes)  # noqa: SLF001 - as above
            after = (hold.state, hold.since, hold.due, hold.value, hold.quality)
            same = not changes and all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
            assert same == bool(_hold._INERT[state, code]), (state, code)  # noqa: SLF001 - as above


def test_two_stations_in_turn_are_two_stations() -> None:
    history: History = [(1, [(1, 1.0, 20.0, 0)]), (5, [(1, 5.0, 0.0, 0), (2, 5.0, 20.0, 0)])]
    alone = fresh()
    expected = feed(alone, history)
    one, two = fresh(), fresh()
    got: tuple[list[Change], list[Change]] = ([], [])
    for step in history:
        got[0].extend(feed(one, [step]))
        got[1].extend(feed(two, [step]))
    assert got == (expected, expected)


def test_readings_of_points_nobody_configured_touch_nothing() -> None:
    made = fresh()
    odd = Moment(
        SECOND,
        np.array([-1, 0, 99, 2**31 - 1], dtype=np.int32),
        np.full(4, SECOND, dtype=np.int64),
        np.full(4, 50.0),
        np.zeros(4, dtype=np.uint8),
        (99, -1),
    )
    assert made.judge(odd, Delta()) == []
