"""What led to an alarm is kept while its delay runs, whatever else comes in meanwhile, and within a bound."""

from __future__ import annotations

from gateway.model.batch import Batch, make_batch
from gateway.model.time import SECOND
from gateway.model.verdict import Cause, Change, Delay, Running
from gateway.pipeline.evidence import FRAME_BYTES, Begun
from gateway.testing import BOOTED, WALL, Scenario
from tests.step_station import STATION


def ns(at: float) -> int:
    """Return a scenario second on the first life's clock."""
    return BOOTED + round(at * SECOND)


def message(at: int, point: int, value: float, frame: bytes) -> Batch:
    """Return a batch of one reading."""
    return make_batch("s", at, [(point, 0, value, 0)], frames=[frame], frame=[0])


def test_a_flood_of_one_device_does_not_cost_another_its_evidence() -> None:
    house = Scenario(STATION).start()
    house.give(10.0, message(ns(10.0), house.ids["temp.t"], 60.0, b"hot"))
    for at in range(11, 29):  # the on-delay is 20 s
        for part in range(100):
            moment = at + part / 100
            house.give(moment, message(ns(moment), house.ids["mute.x"], 1.0, bytes(64 << 10)))
    house.until(31.0)
    (raised,) = house.seen.transitions
    assert (raised.rule, raised.evidence.frame, raised.evidence.value) == ("warm", b"hot", 60.0)


def began(key: str, at: int) -> Change:
    """Return a change whose delay began with the reading that came at `at`."""
    return Change(
        position=-1, order=0, rule="r", point=1, key=key, up=True, at=at, since=at, cause=Cause.CONDITION,
        value=1.0, quality=0, timed=True,
    )  # fmt: skip


def running(key: str, at: int) -> list[tuple[str, Delay | None]]:
    """Return the row of a delay that began at `at`; of one that ended (0)."""
    row = Delay(rule="r", point=1, key=key, running=Running.ON, since=at, due=at + 1, value=1.0)
    return [(f"r|1|{key}", row if at else None)]


def test_frames_are_bounded_in_bytes_and_the_longest_goes_first() -> None:
    begun = Begun()
    for at in range(1, 101):
        frame = bytes(10 if at == 1 else FRAME_BYTES // 4)
        begun.keep([(f"r|1|{at}", at, 0)], message(at, 1, 1.0, frame), 0)
    assert begun.size <= FRAME_BYTES
    held = [at for at in range(1, 101) if begun.of(began(str(at), at)).frame]
    assert (len(held), held[0]) == (4, 1)
    assert len(begun.of(began("1", 1)).frame) == 10


def test_a_delay_that_ended_gives_its_frame_back_and_one_that_began_anew_has_its_own() -> None:
    begun = Begun()
    for at, frame in ((5, b"first"), (7, b"then")):
        begun.keep([("r|1|", at, 0)], message(at, 1, 1.0, frame), 0)
        begun.settle(running("", at))
    assert begun.of(began("", 7)).frame == b"then"
    assert not begun.of(began("", 5)).frame
    begun.settle(running("", 0))
    assert begun.size == 0
    assert not begun.of(began("", 7)).frame


def test_a_delay_that_begins_and_ends_in_one_message_names_the_reading_that_began_it() -> None:
    for frames in (1, 2):  # one message with both readings, or each in its own
        house = Scenario(STATION).start()
        ch4, then = house.ids["gas.ch4"], WALL + 7 * SECOND
        rows, raw = [(ch4, then, 12.0, 0), (ch4, 0, 0.0, 0)], [b"over", b"calm"]
        if frames == 1:
            house.give(10.0, make_batch("s", ns(10.0), rows, frames=raw, frame=[0, 1]))
        else:
            for row, frame in zip(rows, raw, strict=True):
                house.give(10.0, make_batch("s", ns(10.0), [row], frames=[frame], frame=[0]))
        house.until(11.0)
        (raised,) = house.seen.transitions[:1]
        assert (raised.rule, raised.evidence.frame, raised.evidence.time) == ("leak", b"over", then)


def test_a_delay_that_begins_when_an_ended_one_of_its_place_did_has_its_own() -> None:
    begun = Begun()
    begun.keep([("r|1|", 5, 0)], message(5, 1, 1.0, b"over"), 0)
    begun.keep([("r|1|", 5, 0)], message(9, 1, 0.0, b"calm again, as of then"), 0)
    assert begun.of(began("", 5)).frame == b"calm again, as of then"
    assert begun.size == len(b"calm again, as of then")
