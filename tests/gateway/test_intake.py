"""The two lanes: what is taken first, in which order it is handed over, and what is dropped when it is too much."""

from __future__ import annotations

from gateway.model.alarm import OperatorAct, Verb
from gateway.model.batch import Batch, Event, EventCode, Mark, make_batch
from gateway.model.moment import Input
from gateway.model.verdict import NEVER
from gateway.pipeline.intake import (
    LANE_1_READINGS,
    LANE_2_READINGS,
    LOOSE,
    NO_CLASS,
    SHED,
    Intake,
    arrival_of,
    rank_points,
)

FIRE, GAS, FLOOD, OTHER = 1, 2, 3, 4
RANKS = rank_points({FIRE: 0, GAS: 1, FLOOD: 2}, 6)


def intake() -> Intake:
    """Return an empty intake."""
    return Intake(RANKS, lambda: None)


def rows(point: int, arrival: int, n: int = 1, source: str = "s", *, held: bool = True) -> Batch:
    """Return a batch of n readings; `held`: its source waits for the acknowledgement."""
    marks = [Mark("session", 1, b"x")] if held else []
    return make_batch(source, arrival, [(point, 0, 1.0, 0)] * n, marks=marks)


def act(at: int) -> OperatorAct:
    """Return a person's act."""
    return OperatorAct(verb=Verb.ACK, alarms=(1,), who="li", via="cli", at=at)


def points(taken: list[Input]) -> list[int]:
    """Return the first point of each batch."""
    return [int(item.point[0]) for item in taken if isinstance(item, Batch) and len(item)]


def test_ranks_are_classes_and_everything_else_is_lane_two() -> None:
    assert RANKS.tolist() == [NO_CLASS, 0, 1, 2, NO_CLASS, NO_CLASS]


def test_lane_two_waits_while_lane_one_holds_anything() -> None:
    waiting = intake()
    waiting.put(rows(OTHER, 1))
    waiting.put(rows(FLOOD, 2))
    waiting.put(make_batch("p", 3, events=[Event(5, "3/17", EventCode.FIRE)]))
    assert waiting.urgent()
    assert points(waiting.take()) == [FLOOD]
    assert not waiting.urgent()
    assert points(waiting.take()) == [OTHER]
    assert not waiting
    assert waiting.waiting == 0


def test_each_class_gives_a_thousand_readings_of_each_source() -> None:
    waiting = intake()
    for n in range(30):
        for source in ("a", "b"):
            waiting.put(rows(GAS, n, 99, source))
            waiting.put(rows(FIRE, n, 99, source))
    taken = [item for item in waiting.take() if isinstance(item, Batch)]
    for point in (FIRE, GAS):
        for source in ("a", "b"):
            found = [item for item in taken if item.source == source and item.point[0] == point]
            assert sum(len(item) + 1 for item in found) == LANE_1_READINGS
            assert [item.arrival[0] for item in found] == list(range(10))  # oldest first


def test_a_batch_larger_than_a_portion_goes_alone() -> None:
    waiting = intake()
    waiting.put(rows(FIRE, 1, LANE_1_READINGS * 3))
    waiting.put(rows(FIRE, 2))
    assert len(waiting.take()) == 1
    assert len(waiting.take()) == 1


def test_sources_share_a_portion_of_lane_two() -> None:
    waiting = intake()
    for n in range(60):
        for source in "abcde":
            waiting.put(rows(OTHER, n, 499, source))
    taken = [item for item in waiting.take() if isinstance(item, Batch)]
    assert sum(len(item) + 1 for item in taken) == LANE_2_READINGS
    assert {item.source for item in taken} == set("abcde")


def test_what_is_taken_is_handed_over_in_order_of_arrival() -> None:
    waiting = intake()
    waiting.put(act(30))
    for point, arrival in ((FIRE, 40), (GAS, 20), (FLOOD, 10)):
        waiting.put(rows(point, arrival))
    assert [arrival_of(item) for item in waiting.take()] == [10, 20, 30, 40]


def test_timers_may_not_pass_the_oldest_input_of_lane_one() -> None:
    waiting = intake()
    assert waiting.oldest() == NEVER
    waiting.put(rows(OTHER, 1))
    assert waiting.oldest() == NEVER
    waiting.put(rows(GAS, 20))
    waiting.put(act(15))
    assert waiting.oldest() == 15


def test_a_source_that_waits_for_its_acknowledgement_is_never_dropped() -> None:
    waiting = intake()
    for n in range(LOOSE // 1000 + 50):
        waiting.put(rows(OTHER, n, 1000))
    assert waiting.losses() == {}
    assert waiting.waiting > LOOSE


def test_overflow_takes_the_oldest_of_the_lowest_class_and_is_counted() -> None:
    waiting = intake()
    waiting.put(make_batch("panel", 0, events=[Event(5, "3/17", EventCode.FIRE)]))
    waiting.put(rows(GAS, 0, 999, "gas", held=False))
    waiting.put(rows(OTHER, 0, 999, "kept"))
    sent = 0
    while not (losses := waiting.losses()):
        waiting.put(rows(OTHER, sent, 999, "noise", held=False))
        sent += 1
        assert waiting.waiting <= LOOSE + 2_000
    assert losses.keys() == {"noise"}
    assert SHED * 0.99 <= losses["noise"] <= SHED + 1_000
    assert points(waiting.take()) == [GAS]
    left: list[Batch] = []
    while waiting:
        left += [item for item in waiting.take() if isinstance(item, Batch)]
    assert [item.source for item in left].count("kept") == 1
    noise = [int(item.arrival[0]) for item in left if item.source == "noise"]
    assert noise == list(range(sent - len(noise), sent))  # the oldest went
    assert waiting.waiting == 0
