"""A walk test: the devices of some cells are tried one after the other, and nobody is called for what they say.

From the control socket through an `OperatorAct` to the alarm book, which keeps one row; ended, the same row is the
report in the record. Times are ns on the station axis.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum

import msgspec

from gateway.model.station import Station
from gateway.model.words import nearest


class Subject(msgspec.Struct, frozen=True):
    """A device to be tried: its points, and whether it must alarm (fire, gas, flood) or it is enough that it speaks."""

    device: str
    cell: str
    points: tuple[int, ...]
    must_alarm: bool


class WalkEnd(StrEnum):
    """Why a walk test ended."""

    TIME_OUT = "time_out"
    ACT = "act"
    RESTART = "restart"  # and nobody knows how long the station was down


class Walktest(msgspec.Struct, frozen=True, kw_only=True):
    """One walk test, the `number`th of its station.

    `heard` and `alarmed`: device → when it first did; `ended` 0 and `end` None while it runs.
    """

    number: int
    who: str
    cells: tuple[str, ...]
    subjects: tuple[Subject, ...]
    began: int
    until: int
    siren: bool = False
    heard: dict[str, int] = {}
    alarmed: dict[str, int] = {}
    ended: int = 0
    end: WalkEnd | None = None
    ended_by: str = ""

    @property
    def tested(self) -> list[str]:
        """Return the devices that did what they must."""
        return [one.device for one in self.subjects if one.device in (self.alarmed if one.must_alarm else self.heard)]


def subjects_of(
    station: Station, ids: Mapping[str, int], life: Collection[str], cells: Collection[str]
) -> tuple[Subject, ...]:
    """Return the devices of some cells and of all below them. `ids`: of points; `life`: devices that must alarm.

    Raises LookupError: there is no such cell.
    """
    parents = {cell.id: cell.parent for cell in station.cells}
    known = {*parents, *(device.cell for device in station.devices if device.cell)}
    for cell in cells:
        if cell not in known:
            meant = nearest(cell, known)
            raise LookupError(f"no cell is called {cell!r}" + (f"; did you mean {meant!r}?" if meant else ""))
    found = []
    for device in station.devices:
        here = device.cell
        while here and here not in cells:
            here = parents.get(here, "")
        if here:
            points = tuple(ids[f"{device.id}.{spec.name}"] for spec in device.profile.points)
            found.append(Subject(device.id, device.cell, points, device.id in life))
    return tuple(found)
