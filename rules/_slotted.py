"""A rule kind whose places are slots with a condition and delays: what threshold and rate have in common.

Between the engine and `rules._hold`: finds the slots of a moment's readings, asks the kind for verdicts, hands them
to the hold. A subclass says only what its verdicts are and what more it keeps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gateway.model.delta import Delta
from gateway.model.moment import Moment
from gateway.model.verdict import ALWAYS_AGO, Change, Delay
from rules import _carry
from rules._conditions import Conditions
from rules._hold import ACTIVE, Hold
from rules._slots import Index, PointMap
from rules.compiled import KindSetup, PlaceId, Restarted

VERSION = 1


class Slotted(ABC):
    """All rules of one kind; `columns` are the names its conditions may use."""

    def __init__(self, setup: KindSetup, columns: Sequence[str]) -> None:
        self.hold = Hold(setup.places, setup.tables)
        self.map = PointMap([place.point for place in setup.places], setup.points)
        pairs = [(place.when, place.clear) for place in setup.places if place.when is not None]
        self.conditions = Conditions([(w, c) for w, c in pairs if c is not None], columns)

    @abstractmethod
    def apply(self, pairs: tuple[Index, Index], moment: Moment, delta: Delta) -> list[Change]:
        """Judge the readings `pairs[1]` at the slots `pairs[0]`, in order."""

    def judge(self, moment: Moment, delta: Delta) -> list[Change]:
        """Apply the readings of one moment."""
        slot, position = self.map.pairs(moment.point)
        return self.apply((slot, position), moment, delta) if len(slot) else []

    def judge_fresh(self, moment: Moment, delta: Delta) -> list[Change]:
        """Apply readings only to slots that never had one."""
        slot, position = self.map.pairs(moment.point)
        fresh = np.flatnonzero(self.hold.newest[slot] == ALWAYS_AGO)
        return self.apply((slot[fresh], position[fresh]), moment, delta) if len(fresh) else []

    def fire(self, until: int, delta: Delta) -> list[Change]:
        """Fire every delay due at or before `until` (ns)."""
        return self.hold.fire(until, delta)

    def due(self) -> int:
        """Return a lower bound of the earliest due moment."""
        return int(self.hold.earliest[0])

    def lose(self, delta: Delta) -> None:
        """Its readings cannot be judged."""
        self.hold.lose(delta)

    def snapshot(self) -> Mapping[str, Any]:
        """Return every slot's state."""
        return {"version": VERSION, "hold": _carry.snapshot(self.hold)}

    def restore(self, columns: Mapping[str, Any]) -> None:
        """Take a snapshot; ValueError or KeyError when other code wrote it."""
        if columns["version"] != VERSION:
            raise ValueError(f"snapshot version {columns['version']}, this code reads {VERSION}")
        _carry.restore(self.hold, columns["hold"])

    def resume(self, delays: Sequence[Delay], conditions: frozenset[PlaceId]) -> None:
        """Take delays and conditions as the durable rows have them."""
        _carry.resume(self.hold, delays, conditions)

    def rebase(self, start: Restarted, delta: Delta) -> None:
        """Move all times to the axis of this boot."""
        _carry.rebase(self.hold, start, delta)

    def active(self) -> list[PlaceId]:
        """Return the places whose condition holds."""
        return [self.hold.places[slot].id for slot in np.flatnonzero(np.isin(self.hold.state, ACTIVE)).tolist()]
