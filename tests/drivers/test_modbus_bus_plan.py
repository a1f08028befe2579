"""The bus scheduler on a simulated line: silent devices cost the others nothing, and a full line stays full."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers._bus_plan import BusPlan, Patience, Poll, Turn, Urgency
from gateway.model.time import HOUR, MILLISECOND, SECOND

COST = 30 * MILLISECOND
WORST = 300 * MILLISECOND
DELAY = 10 * MILLISECOND

COSTS = st.integers(24 * MILLISECOND, 60 * MILLISECOND)  # one register at once, to 13 registers after 20 ms

Silent = Callable[[int], Collection[int]]


@dataclass
class Line:
    """Plays turns on a line without a clock: who was asked when, who answered, who waited longest."""

    plan: BusPlan
    now: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    asked: list[tuple[int, Turn]] = field(default_factory=list)
    busy: int = 0

    def run(self, until: int, silent: Silent = lambda _: ()) -> None:
        """Drive the plan to `until`; `silent(now)` names the devices that do not answer then."""
        while self.now < until:
            turn = self.plan.next(self.now)
            if not isinstance(turn, Turn):
                assert turn > self.now, "a plan that asks again without time passing spins"
                self.now = turn
                continue
            self.asked.append((self.now, turn))
            cost = self.plan.polls[turn.poll].cost if turn.poll >= 0 else COST
            if turn.device in silent(self.now):
                self.now += cost // 2 + turn.deadline
                self.plan.missed(turn, self.now)
            else:
                self.now += cost
                self.busy += cost
                self.answers[turn.device] += 1
                self.plan.answered(turn, self.now, DELAY)


def _bus(
    devices: int, load: float, urgency: Callable[[int], Urgency] = lambda _: Urgency.NORMAL, cost: int = COST
) -> BusPlan:
    period = round(devices * cost / load)
    polls = [Poll(device=n, period=period, cost=cost, urgency=urgency(n)) for n in range(devices)]
    return BusPlan([Patience(worst=WORST)] * devices, polls, 0)


@given(silent=st.integers(0, 7), load=st.floats(0.1, 0.6), start=st.integers(0, 5 * SECOND), cost=COSTS)
@settings(max_examples=30, deadline=None)
def test_one_silent_device_costs_the_others_no_poll(silent: int, load: float, start: int, cost: int) -> None:
    plan = _bus(8, load, cost=cost)
    period = plan.polls[0].period
    line = Line(plan)
    line.run(30 * SECOND, lambda now: [silent] if now >= start else [])
    for device in set(range(8)) - {silent}:
        assert line.answers[device] >= line.now // period, f"device {device} lost a poll"
    assert plan.lost == 0


@given(
    silent=st.sets(st.integers(0, 7), min_size=4, max_size=4),
    load=st.floats(0.1, 0.6),
    start=st.integers(0, 5 * SECOND),
    cost=COSTS,
)
@settings(max_examples=30, deadline=None)
def test_four_silent_devices_cost_the_others_at_most_one_period(
    silent: set[int], load: float, start: int, cost: int
) -> None:
    plan = _bus(8, load, cost=cost)
    period = plan.polls[0].period
    line = Line(plan)
    line.run(30 * SECOND, lambda now: silent if now >= start else ())
    for device in set(range(8)) - silent:
        assert line.answers[device] >= line.now // period - 1, f"device {device} lost more than one poll"


@given(load=st.floats(1.05, 5.0), devices=st.integers(2, 16))
@settings(max_examples=30, deadline=None)
def test_at_saturation_the_line_never_idles_and_everybody_has_a_share(load: float, devices: int) -> None:
    line = Line(_bus(devices, load))
    line.run(20 * SECOND)
    assert line.busy >= 0.99 * line.now
    shares = [line.answers[device] for device in range(devices)]
    assert min(shares) >= 0.8 * max(shares)


@given(load=st.floats(1.5, 3.0))
@settings(max_examples=10, deadline=None)
def test_at_saturation_a_silent_device_is_still_asked(load: float) -> None:
    line = Line(_bus(8, load))
    line.run(120 * SECOND, lambda now: [3] if now > SECOND else [])
    tries = [at for at, turn in line.asked if turn.device == 3 and at > SECOND]
    assert max(b - a for a, b in pairwise(tries)) <= 40 * SECOND
    assert line.busy >= 0.9 * line.now


def test_after_three_misses_it_is_asked_every_10_s_then_every_30_s() -> None:
    line = Line(BusPlan([Patience(worst=WORST)], [Poll(device=0, period=SECOND, cost=COST)], 0))
    line.run(200 * SECOND, lambda _: [0])
    times = [at for at, _ in line.asked]
    gaps = [round((b - a) / SECOND) for a, b in pairwise(times)]
    assert gaps[:2] == [1, 1]
    assert gaps[2:5] == [10, 10, 10]
    assert set(gaps[5:]) == {30}


def test_back_at_once_when_it_answers() -> None:
    plan = BusPlan(
        [Patience(worst=WORST)],
        [Poll(device=0, period=SECOND, cost=COST), Poll(device=0, period=SECOND, cost=COST)],
        0,
    )
    line = Line(plan)
    line.run(90 * SECOND, lambda now: [0] if now < 40 * SECOND else [])
    back = next(at for at, turn in line.asked if at >= 40 * SECOND)
    polled = Counter(turn.poll for at, turn in line.asked if back <= at < back + 10 * SECOND)
    assert polled[0] >= 10
    assert polled[1] >= 10


def test_a_silent_register_block_does_not_take_its_device_along() -> None:
    plan = BusPlan(
        [Patience(worst=WORST)],
        [Poll(device=0, period=SECOND, cost=COST, urgency=Urgency.ALARM), Poll(device=0, period=SECOND, cost=COST)],
        0,
    )
    now, good, bad = 0, 0, 0
    while now < 100 * SECOND:
        turn = plan.next(now)
        if not isinstance(turn, Turn):
            now = turn
        elif turn.poll == 1:
            now, bad = now + COST + turn.deadline, bad + 1
            plan.missed(turn, now)
        else:
            now, good = now + COST, good + 1
            plan.answered(turn, now, DELAY)
    assert good >= 95
    assert bad <= 12


def test_alarm_points_go_before_normal_and_slow_and_a_command_before_all() -> None:
    order = [Urgency.SLOW, Urgency.NORMAL, Urgency.ALARM]
    line = Line(_bus(3, 0.5, lambda n: order[n]))
    line.run(SECOND)
    start = line.now
    line.now = line.now + 10 * SECOND  # the loop was held up: everything is due
    line.plan.command(0, "siren on")
    line.run(line.now + SECOND)
    later = [turn for at, turn in line.asked if at >= start + 10 * SECOND]
    assert later[0].command == "siren on"
    assert list(dict.fromkeys(turn.device for turn in later[1:])) == [2, 1, 0]


def test_alarm_points_keep_their_period_on_a_full_line() -> None:
    polls = [Poll(device=n, period=100 * MILLISECOND, cost=COST) for n in range(6)]
    polls += [Poll(device=n, period=SECOND, cost=COST, urgency=Urgency.ALARM) for n in (6, 7)]
    polls += [Poll(device=8, period=SECOND, cost=COST, urgency=Urgency.SLOW)]
    line = Line(BusPlan([Patience(worst=WORST)] * 9, polls, 0))
    line.run(120 * SECOND)
    assert line.answers[6] >= 119
    assert line.answers[7] >= 119
    assert line.answers[8] >= 3, "slow polls starve"


def test_a_command_waits_for_a_late_answer_but_not_for_a_back_off() -> None:
    plan = BusPlan([Patience(worst=WORST)], [Poll(device=0, period=SECOND, cost=COST)], 0)
    turn = plan.next(0)
    assert isinstance(turn, Turn)
    plan.missed(turn, WORST)
    plan.command(0, "off")
    assert not isinstance(plan.next(WORST), Turn)
    assert isinstance(plan.next(2 * WORST + COST), Turn)
    line = Line(BusPlan([Patience(worst=WORST)], [Poll(device=0, period=SECOND, cost=COST)], 0))
    line.run(100 * SECOND, lambda _: [0])
    line.plan.command(0, "off")
    assert isinstance(line.plan.next(line.now), Turn)


def test_deadlines_follow_what_the_device_needs_and_give_it_time_after_a_miss() -> None:
    line = Line(BusPlan([Patience(worst=WORST)], [Poll(device=0, period=SECOND, cost=COST)], 0))
    line.run(10 * SECOND, lambda now: [0] if now > 5 * SECOND else [])
    deadlines = [turn.deadline // MILLISECOND for _, turn in line.asked]
    assert deadlines[:9] == [100] * 7 + [200, 300]


def test_two_requests_to_one_device_keep_its_gap() -> None:
    polls = [Poll(device=0, period=SECOND, cost=COST) for _ in range(2)]
    line = Line(BusPlan([Patience(worst=WORST, gap=500 * MILLISECOND)], polls, 0))
    line.run(20 * SECOND)
    times = [at for at, _ in line.asked]
    assert min(b - a for a, b in pairwise(times)) >= 500 * MILLISECOND


def test_the_planned_load_is_the_share_of_the_line() -> None:
    assert _bus(8, 0.6).load == pytest.approx(0.6)


def test_polls_that_cannot_be_caught_up_are_counted() -> None:
    line = Line(_bus(2, 0.5))
    line.run(SECOND)
    line.now += 10 * SECOND
    line.run(line.now + SECOND)
    assert line.plan.lost > 100


def test_what_is_asked_hourly_is_asked_again_soon_after_a_miss_or_refusal() -> None:
    plan = BusPlan([Patience(worst=WORST)], [Poll(device=0, period=HOUR, cost=COST)], 0)
    line = Line(plan)
    line.run(20 * SECOND, lambda now: [0] if now < SECOND else [])
    assert [round(at / SECOND) for at, _ in line.asked] == [0, 10]
    again = plan.next(HOUR + 20 * SECOND)
    assert isinstance(again, Turn)
    plan.answered(again, HOUR + 20 * SECOND, DELAY, retry=30 * SECOND)
    assert isinstance(plan.next(HOUR + 50 * SECOND), Turn)
