"""States from before the start over any history: told again by the first live word, however it is cut or carried."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.delta import Delta
from gateway.model.quality import Doubt, Level, level_of, quality
from gateway.model.verdict import Cause
from tests.rules.building import SECOND, engine
from tests.rules.reference import Flip, Slot
from tests.rules.test_cuts import DEVICES, RULES, History, feed, finish, fresh, histories, slots_of

RETAINED = quality(Level.UNCERTAIN, Doubt.RETAINED)


def aged(history: History) -> History:
    """Make every uncertain reading of a history a state from before."""
    return [
        (at, [(p, t, v, RETAINED if level_of(mark) is Level.UNCERTAIN else mark) for p, t, v, mark in rows])
        for at, rows in history
    ]


AGED = histories().map(aged)


@dataclass
class Doubted(Slot):
    """A slot that remembers whether anything live has said what it holds for true."""

    stale: bool = False

    def read(self, time: int, value: float, quality: int, at: int) -> None:
        """Judge one reading."""
        self.fire(time)
        late = self.newest is not None and time < self.newest
        true, live = level_of(quality) is not Level.BAD and value > self.high, quality != RETAINED
        began, unsure = self.active or self.pending is not None, self.lost or self.overdue
        if self.stale and true and live and began:
            self.stale = False
            if self.active:
                cause = Cause.LATE_READING if late else Cause.CONDITION
                self.flips.append((self.point, self.order, True, at if late else time, time, cause))
        super().read(time, value, quality, at)
        begins = not began and (self.active or self.pending is not None)
        if true and (begins or (began and unsure and not late)):
            self.stale = not live


@settings(max_examples=25, deadline=None)
@given(AGED)
def test_equals_a_plain_loop(history: History) -> None:
    made = fresh()
    changes = feed(made, history) + finish(made, history)
    for order, spec in enumerate(RULES[:4], start=1):
        for point in (1, 2) if spec.id != "r4" else (2,):
            on, off = round(spec.on_delay * SECOND), round(spec.off_delay * SECOND)
            slot = Doubted(point, order, 10.0, 5.0, on, off, spec.alarm_class.life_safety)
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


@settings(max_examples=12, deadline=None)
@given(AGED, st.data())
def test_any_cut_gives_the_same_changes(history: History, data: st.DataObject) -> None:
    whole, pieces = fresh(), fresh()
    cut: History = []
    for at, rows in history:
        place = data.draw(st.integers(0, len(rows)))
        cut += [(at, rows[:place]), (at, rows[place:])]
    got = feed(pieces, cut) + finish(pieces, history)
    assert slots_of(got) == slots_of(feed(whole, history) + finish(whole, history))


@settings(max_examples=12, deadline=None)
@given(AGED, st.integers(0, 14))
def test_a_snapshot_anywhere_and_an_undone_step_change_nothing(history: History, place: int) -> None:
    whole = fresh()
    expected = feed(whole, history) + finish(whole, history)
    first, second = fresh(), engine(DEVICES, *RULES)
    changes = feed(first, history[:place])
    undone = Delta()
    feed(first, history[place:], undone)
    undone.undo()
    assert second.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(first.snapshot()))) == []
    assert changes + feed(second, history[place:]) + finish(second, history) == expected
