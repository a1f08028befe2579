"""Single promises of the step: who may stop a timer, the order of timers, what fails alone, what replay agrees on."""

from __future__ import annotations

import pytest

from gateway.model.alarm import OperatorAct, Verb
from gateway.model.batch import EventCode, make_batch
from gateway.model.delta import Delta
from gateway.model.moment import Moment
from gateway.model.notification import Notification
from gateway.model.time import SECOND
from gateway.model.verdict import Cause, Change
from gateway.pipeline.step import step
from gateway.testing import BOOTED, WALL, Life, Scenario
from tests.step_station import STATION


def ns(at: float) -> int:
    """Return a scenario second on the first life's clock."""
    return BOOTED + round(at * SECOND)


def test_an_act_taken_first_lets_no_timer_pass_a_reading_that_still_waits() -> None:
    house = Scenario(STATION).start()
    house.read(10.0, "gas.ch4", 33.0)  # due at 13
    act = OperatorAct(verb=Verb.ACK, alarms=(9,), who="li", via="cli", at=ns(14.0))
    _, first = step(house.state, [act], ns(12.9) - 1)  # a reading that arrived at 12.9 waits in a lower class
    normal = make_batch("s", ns(12.9), [(house.ids["gas.ch4"], 0, 1.0, 0)])
    _, effects = step(house.state, [normal], ns(20.0))
    assert first.transitions + effects.transitions == []


def test_timers_fire_in_the_order_of_their_due_times_however_late_the_step_is() -> None:
    house = Scenario(STATION).start()
    house.event(10.0, "panel", EventCode.FAULT, "1/1")
    house.act(11.0, Verb.SHELVE, [1], until=100.0, reason="检修")
    house.event(20.0, "panel", EventCode.FAULT, "1/2")
    _, effects = step(house.state, [], ns(500.0))
    planned = [body.planned_at for _, body in effects.records if isinstance(body, Notification) and not body.attempts]
    assert planned == sorted(planned)
    assert [house.seconds(t.at) for t in effects.transitions if t.cause is Cause.SHELF_ENDED] == [100.0]


def test_evidence_of_a_delayed_alarm_is_the_reading_it_began_with() -> None:
    house = Scenario(STATION).start()
    point = house.ids["gas.ch4"]
    for at, value in ((10.0, 33.0), (11.0, 12.0), (12.0, 13.0)):
        house.give(at, make_batch("s", ns(at), [(point, 0, value, 0)], frames=[b"%d" % value], frame=[0]))
    house.until(14.0)
    (raised,) = house.seen.transitions
    assert (raised.evidence.frame, raised.evidence.value) == (b"33", 33.0)


def fails(moment: Moment, delta: Delta) -> list[Change]:
    """Stand in for a rule kind with a bug."""
    del moment, delta
    raise ZeroDivisionError("planted")


@pytest.mark.parametrize("kept", ["snapshot", "rows"])
def test_a_rule_kind_that_raises_costs_itself_alone_and_its_fault_outlives_a_restart(
    kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = Scenario(STATION).start()
    kind = house.state.engine.kinds["rate"]
    with monkeypatch.context() as patch:
        patch.setattr(kind, "judge", fails)
        house.read(10.0, "gas.ch4", 60.0)
    assert {(a.rule, a.key) for a in house.alarms()} == {("now", ""), ("event:fault", "rule kind rate")}
    if kept == "snapshot":
        house.snapshot()
    again = house.restarted(12.0)
    assert again.remarks == []
    assert ("event:fault", "rule kind rate") in {(a.rule, a.key) for a in again.alarms()}
    again.read(80.0, "gas.ch4", 60.0)
    (fault,) = [a for a in again.alarms() if a.key == "rule kind rate"]
    assert not fault.condition
    assert fault.text.startswith("rule kind rate failed: ZeroDivisionError: planted")


def test_replay_judges_the_tail_by_the_time_that_was_believed_then() -> None:
    house = Scenario(STATION, life=Life(wall=60 * SECOND, trusted=False)).start()
    house.read(5.0, "gas.ch4", 1.0)
    house.snapshot()
    house.read(10.0, "gas.ch4", 33.0, time=WALL + 9 * SECOND)  # nobody believes it: since 10
    house.epoch(11.0, wall=WALL)
    again = house.restarted(11.5)
    assert again.remarks == []
    again.until(20.0)
    (raised,) = [t for t in again.seen.transitions if t.rule == "leak"]
    assert again.seconds(raised.at) == 13.0


def test_replay_believes_source_times_where_they_were_believed() -> None:
    house = Scenario(STATION).start()
    house.read(5.0, "gas.ch4", 1.0)
    house.snapshot()
    house.read(10.0, "gas.ch4", 33.0, time=WALL + 9 * SECOND)
    again = house.restarted(11.5)
    assert again.remarks == []
    again.until(20.0)
    assert [again.seconds(t.at) for t in again.seen.transitions] == [12.0]


def test_windows_survive_as_snapshot_and_tail() -> None:
    whole, cut = Scenario(STATION).start(), Scenario(STATION).start()
    for at in range(0, 40, 2):
        whole.read(at + 1.0, "temp.t", 20.0 + max(0, at - 20))
    for at in range(0, 40, 2):
        if at == 10:
            cut.snapshot()
        if at == 22:
            cut = cut.restarted(22.5)
            assert cut.remarks == []
        cut.read(at + 1.0, "temp.t", 20.0 + max(0, at - 20))
    rising = [[(t.at, t.value) for t in h.seen.transitions if t.rule == "rising"] for h in (whole, cut)]
    assert rising[0] == rising[1] != []


def test_a_snapshot_nobody_can_read_costs_windows_alone() -> None:
    house = Scenario(STATION).start()
    house.read(10.0, "gas.ch4", 33.0)
    house.until(20.0)
    house.snapshot()
    house.store.connection.execute("UPDATE snapshot SET body = (SELECT body FROM snapshot WHERE name = 'latest')")
    again = house.restarted(30.0)
    assert len(again.remarks) == 1
    assert [a.condition for a in again.alarms()] == [True]
    again.read(40.0, "gas.ch4", 1.0)
    again.until(101.0)
    assert [again.seconds(t.at) for t in again.seen.transitions if t.cause is Cause.RETURNED] == [100.0]
