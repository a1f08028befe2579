"""Retained states that are hours old, over restarts: they raise and say so, never clear, and are no sign of life."""

from __future__ import annotations

import pytest

from gateway.model.alarm import Alarm, AlarmState, Verb
from gateway.model.batch import make_batch
from gateway.model.notification import NotifyReason
from gateway.model.quality import GOOD, Doubt, Level, quality
from gateway.model.time import SECOND
from gateway.pipeline.step import Effects
from gateway.testing import WALL, Scenario
from tests.step_station import STATION, with_limits

RETAINED = quality(Level.UNCERTAIN, Doubt.RETAINED)
HOURS_OLD = WALL - 5 * 3600 * 1_000_000_000
FIRE, CALM = 90.0, 1.0  # of `gas.ch4`, watched by a rule of class fire that latches


def say(house: Scenario, at: float, value: float, mark: int = GOOD, time: int = 0) -> Effects:
    """Let the sensor's broker say something, with its bytes."""
    row = (house.ids["gas.ch4"], time, value, mark)
    frame = f'{{"ch4":{value:g}}}'.encode()
    return house.give(at, make_batch("s", house.ns(at), [row], frames=[frame], frame=[0]))


def fire(house: Scenario) -> Alarm | None:
    """Return the fire alarm, None if there is none."""
    return next((alarm for alarm in house.alarms() if alarm.rule == "now"), None)


def raised(house: Scenario) -> list[str]:
    """Return the rules over the gas sensor that have an alarm."""
    return sorted(alarm.rule for alarm in house.alarms() if alarm.device == "gas")


def calls(house: Scenario) -> list[str]:
    """Return what people were told of new alarms of the rule."""
    return [text for _, contact, text in house.told(NotifyReason.RAISED) if contact]


@pytest.mark.parametrize("time", [0, HOURS_OLD])
def test_a_fire_from_before_raises_once_says_so_and_outlives_restarts(time: int) -> None:
    house = Scenario(STATION).start()
    say(house, 10, FIRE, RETAINED, time)
    first = fire(house)
    assert first is not None
    assert first.from_before_start
    assert first.state is AlarmState.UNACK
    house.until(90)
    told = len(calls(house))
    assert told == 2, "this one, and that of the rule with a delay"
    assert all("启动前状态" in text for text in calls(house))
    for life in range(1, 4):
        house = house.restarted(100.0 * life)
        say(house, 100.0 * life + 5, FIRE, RETAINED, time)
        again = fire(house)
        assert again is not None
        assert (again.id, again.state, again.occurrence) == (first.id, AlarmState.UNACK, first.occurrence)
    assert len(calls(house)) == told, "nobody is called anew"


@pytest.mark.parametrize("time", [0, HOURS_OLD])
@pytest.mark.parametrize("restart", [False, True])
def test_a_calm_from_before_ends_nothing(time: int, restart: bool) -> None:  # noqa: FBT001 - a case
    house = Scenario(STATION).start()
    say(house, 10, FIRE)
    house = house.restarted(30) if restart else house
    say(house, 40, CALM, RETAINED, time)
    house.until(400)
    alarm = fire(house)
    assert alarm is not None
    assert alarm.condition
    assert not alarm.from_before_start, "what is known of it came live"
    say(house, 410, CALM)
    alarm = fire(house)
    assert alarm is not None
    assert not alarm.condition


def closed() -> Scenario:
    """Return a house where a person has closed what a retained state raised."""
    house = Scenario(STATION).start()
    say(house, 10, FIRE, RETAINED)
    alarm = fire(house)
    assert alarm is not None
    say(house, 20, CALM)
    house.until(200)
    number = [one.id for one in house.alarms()]
    house.act(210, Verb.ACK, number)
    house.act(211, Verb.RESET, number)
    assert fire(house) is None
    return house


@pytest.mark.parametrize("how", ["as it was", "restarted", "from a snapshot"])
def test_what_a_person_closed_is_not_raised_by_the_same_bytes_but_by_a_live_word(how: str) -> None:
    def again(at: float) -> Scenario:
        if how == "from a snapshot":
            house.snapshot()
        return house if how == "as it was" else house.restarted(at)

    house = closed()
    house = again(250)
    say(house, 300, FIRE, RETAINED)
    assert not raised(house.until(305))
    told = len(calls(house))
    house = again(310)
    say(house, 320, FIRE)
    alarm = fire(house)
    assert alarm is not None, "a live word is a new fire"
    assert not alarm.from_before_start
    house.until(330)
    assert raised(house) == ["leak", "now"], "of the rule with a delay too"
    assert len(calls(house)) == told + 2


@pytest.mark.parametrize(
    "words",
    [
        [(300, FIRE, RETAINED, 0), (300, FIRE, GOOD, 0)],  # of one read, so of one moment
        [(300, FIRE, RETAINED, 0), (310, FIRE, GOOD, 295)],  # by a clock that is late
        [(300, FIRE, RETAINED, 0), (301, FIRE, GOOD, 0)],  # while the delay of the one rule still runs
        [(300, FIRE, RETAINED, 0), (310, CALM, GOOD, 0), (320, FIRE, GOOD, 0)],  # while it clears
        [(300, FIRE, RETAINED, 0), (310, FIRE, RETAINED, 0), (311, FIRE, GOOD, 0)],
    ],
)
def test_however_the_live_word_comes_both_rules_raise(words: list[tuple[float, float, int, float]]) -> None:
    house = closed()
    for at in sorted({at for at, *_ in words}):
        rows = [
            (house.ids["gas.ch4"], WALL + round(time * SECOND) if time else 0, value, mark)
            for when, value, mark, time in words
            if when == at
        ]
        frames = [f'{{"ch4":{value:g}}}'.encode() for _, _, value, _ in rows]
        house.give(at, make_batch("s", house.ns(at), rows, frames=frames, frame=range(len(rows))))
    house.until(350)
    assert raised(house) == ["leak", "now"]
    assert not any(alarm.from_before_start for alarm in house.alarms())


def test_a_detector_that_is_dead_stays_silent_whatever_its_broker_keeps() -> None:
    house = Scenario(with_limits(settle=0.0)).start()
    house.read(10, "mute.x", 20.0)
    for at in range(50, 400, 50):
        house.read(at, "mute.x", 20.0, quality=RETAINED)
    house = house.restarted(400)
    house.read(405, "mute.x", 20.0, quality=RETAINED)
    (silence,) = [alarm for alarm in house.alarms() if alarm.rule == "silence"]
    assert silence.condition
    house.read(410, "mute.x", 20.0)
    assert not any(alarm.condition for alarm in house.alarms() if alarm.rule == "silence")
