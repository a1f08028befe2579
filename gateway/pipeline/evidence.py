"""What led to an alarm: the raw frame of the reading with which its delay began, kept while the delay runs.

Part of the step. A frame is taken when its delay begins, not looked for when it ends, so no chatty device can push out
what another device's alarm will need (house section 4, ADR 13). Bounded in bytes; what is past the bound is lost to the
alarm, never the alarm.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from gateway.model.alarm import Evidence
from gateway.model.batch import Batch
from gateway.model.moment import Moment
from gateway.model.verdict import Change, Delay
from rules.compiled import name_of

FRAME_BYTES = 4 << 20  # of all frames kept


class Begun:
    """Evidence of every running delay, by the key of its durable row. A cache: no delta, nothing is undone.

    An entry counts only for a delay that began at the same moment, so one that a failed step left is never used.
    """

    def __init__(self, limit: int = FRAME_BYTES) -> None:
        self._limit = limit
        self._kept: dict[str, dict[int, Evidence]] = {}  # key → begin of the delay, ns → evidence
        self.size = 0  # bytes of frames

    def keep(self, rows: Iterable[tuple[str, Delay | None]], heard: Heard) -> None:
        """Take from a moment the evidence of the delays that it began; `rows` are those it touched."""
        for key, row in rows:
            if row is not None and row.since not in self._kept.get(key, ()):
                found = heard.began(row)
                if found is not None:
                    self._kept.setdefault(key, {})[row.since] = found
                    self.size += len(found.frame)
        while self.size > self._limit:  # the longest goes first: short frames say as much
            self._forget(max(self._kept, key=self._bytes), None)

    def settle(self, rows: Iterable[tuple[str, Delay | None]]) -> None:
        """Forget what led to delays that have ended or begun anew; `rows` are those a step touched."""
        for key, row in rows:
            self._forget(key, row)

    def _bytes(self, key: str) -> int:
        return sum(len(evidence.frame) for evidence in self._kept[key].values())

    def _forget(self, key: str, running: Delay | None) -> None:
        if key in self._kept:
            before = self._bytes(key)
            kept = {since: one for since, one in self._kept.pop(key).items() if running and since == running.since}
            if kept:
                self._kept[key] = kept
            self.size -= before - sum(len(one.frame) for one in kept.values())

    def of(self, change: Change, heard: Heard | None = None) -> Evidence:
        """Return the reading with which a delay began, with its raw frame; without it once that is lost.

        `heard`: the moment that is being judged, in which the delay may have begun and ended.
        """
        kept = self._kept.get(name_of(change.rule, change.point, change.key), {}).get(change.since)
        if kept is None and heard is not None:
            kept = heard.began(change)
        return kept or Evidence(value=change.value, quality=change.quality)


class Heard(NamedTuple):
    """A moment and the batch it is cut from, whose row `offset` is its first."""

    batch: Batch
    offset: int
    moment: Moment

    def began(self, what: Change | Delay) -> Evidence | None:
        """Return the evidence of the first reading that can have begun it, the same however the batch was cut."""
        moment = self.moment
        at = np.flatnonzero((moment.point == what.point) & (moment.time == what.since))
        same = at[(moment.value[at] == what.value) & (moment.quality[at] == what.quality)]
        at = same if len(same) else at  # a rate is not the value of a reading
        return evidence_of(self.batch, self.offset + int(at[0])) if len(at) else None


def evidence_of(batch: Batch, row: int) -> Evidence:
    """Return the evidence of one row of a batch."""
    return Evidence(
        frame=batch.frame_of(row),
        value=float(batch.value[row]),
        quality=int(batch.quality[row]),
        time=int(batch.time[row]),
    )
