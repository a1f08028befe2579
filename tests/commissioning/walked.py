"""A station with a walk test on: begun and ended as people do, and what the record says of it."""

from __future__ import annotations

from msgspec.structs import replace

from gateway.model.alarm import OperatorAct, Verb
from gateway.model.quality import Doubt, Level, quality
from gateway.model.station import Station
from gateway.model.walktest import Walktest, subjects_of
from gateway.pipeline.step import Effects
from gateway.testing import Scenario
from tests.step_station import STATION

LOST = quality(Level.BAD, Doubt.NO_COMMS)
ALL_LIFE = frozenset({"gas", "panel"})
QUIET = replace(STATION, devices=STATION.devices[:3])  # without the device that falls silent


def begin(house: Scenario, at: float, cell: str, *, until: float = 600.0, siren: bool = False) -> Effects:
    """Let Li begin a test."""
    act = OperatorAct(
        verb=Verb.WALKTEST,
        alarms=(),
        who="li",
        via="cli",
        at=house.ns(at),
        until=house.ns(until),
        request="r",
        cells=(cell,),
        subjects=subjects_of(house.station, house.ids, ALL_LIFE, (cell,)),
        siren=siren,
    )
    return house.give(at, act)


def end(house: Scenario, at: float) -> Effects:
    """Let Chen end it."""
    return house.act(at, Verb.END_WALKTEST, [], who="chen")


def walk(house: Scenario) -> Walktest:
    """Return the test that runs or ran last."""
    test = house.state.book.walktests.latest
    assert test is not None
    return test


def reports(house: Scenario) -> list[Walktest]:
    """Return the reports that went into the record."""
    bodies = (body for effects in house.seen.effects for kind, body in effects.records if kind == "walktest")
    return [body for body in bodies if isinstance(body, Walktest)]


def tried(cell: str, *, siren: bool = False, station: Station = QUIET) -> Scenario:
    """Return a station with a test since second 5 that would end at 600."""
    house = Scenario(station).start()
    begin(house, 5.0, cell, siren=siren)
    return house
