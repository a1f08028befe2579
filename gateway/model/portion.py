"""What a sink is given: dated readings as arrays, dated events and transitions, each once, in one order.

Between the store and the sinks, which may not know each other (house section 5). Times here are wall time: what cannot
be dated yet is held back before it gets this far (section 10).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from gateway.model.alarm import Transition
from gateway.model.batch import Bytes, EventSeen, Floats, Ints, Points


class Note(NamedTuple):
    """A row of the record. `n`: its number, never reused; `time`: ns since 1970 of what happened, always above 0."""

    n: int
    time: int
    body: EventSeen | Transition


@dataclass(frozen=True, slots=True)
class Portion:
    """Arrays of equal length: `point` int32 durable ids, `time` int64 ns since 1970, `value` float64 in the profile's
    unit, `quality` uint8 (see `quality`); rows of one point keep the order of the journal. `notes` in the order in
    which they are to leave.
    """  # noqa: D205 - the arrays are the summary

    point: Points = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    time: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    value: Floats = field(default_factory=lambda: np.empty(0, dtype=np.float64))
    quality: Bytes = field(default_factory=lambda: np.empty(0, dtype=np.uint8))
    notes: Sequence[Note] = ()

    def __len__(self) -> int:
        return len(self.point) + len(self.notes)


class Aside(NamedTuple):
    """One thing the far end refuses for good, shown as it was sent, with the far end's words."""

    what: str
    why: str
