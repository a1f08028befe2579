"""What led to an alarm: the raw frame of the reading with which its delay began, kept while the delay runs.

Part of the step. A frame is taken when its delay begins, not looked for when it ends, so no chatty device can push out
what another device's alarm will need (house section 4, ADR 13). Bounded in bytes; what is past the bound is lost to the
alarm, never the alarm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from heapq import heapify, heappop, heappush

from gateway.model.alarm import Evidence
from gateway.model.batch import Batch
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
        self._longest: list[tuple[int, str, int]] = []  # heap of (-bytes, key, begin); may name what is gone already
        self._sharers: Counter[int] = Counter()  # how many entries hold a frame, by its identity
        self.size = 0  # bytes of frames, each counted once

    def keep(self, led: Iterable[tuple[str, int, int]], batch: Batch, offset: int) -> None:
        """Take the evidence of the delays that a moment began, which starts at row `offset` of the batch."""
        for key, since, position in led:
            self._drop(key, since)  # of a delay of this place that ended: it may have begun at the same time
            found = self._kept.setdefault(key, {})[since] = evidence_of(batch, offset + position)
            self.size += 0 if self._sharers[id(found.frame)] else len(found.frame)
            self._sharers[id(found.frame)] += 1
            heappush(self._longest, (-len(found.frame), key, since))
        while self.size > self._limit:  # the longest goes first: short frames say as much
            _, key, since = heappop(self._longest)
            self._drop(key, since)

    def settle(self, rows: Iterable[tuple[str, Delay | None]]) -> None:
        """Forget what led to delays that have ended or begun anew; `rows` are those a step touched."""
        for key, row in rows:
            for since in list(self._kept.get(key, ())):
                if row is None or row.since != since:
                    self._drop(key, since)
        if len(self._longest) > 64 + 4 * len(self._kept):
            self._longest = [(-len(one.frame), key, at) for key, kept in self._kept.items() for at, one in kept.items()]
            heapify(self._longest)

    def _drop(self, key: str, since: int) -> None:
        kept = self._kept.get(key, {})
        gone = kept.pop(since, None)
        if gone is None:
            return
        if not kept:
            del self._kept[key]
        self._sharers[id(gone.frame)] -= 1
        if not self._sharers[id(gone.frame)]:
            del self._sharers[id(gone.frame)]
            self.size -= len(gone.frame)

    def of(self, change: Change) -> Evidence:
        """Return the reading with which a delay began, with its raw frame; without it once that is lost."""
        kept = self._kept.get(name_of(change.rule, change.point, change.key), {}).get(change.since)
        return kept or Evidence(value=change.value, quality=change.quality)


def evidence_of(batch: Batch, row: int) -> Evidence:
    """Return the evidence of one row of a batch."""
    return Evidence(
        frame=batch.frame_of(row),
        value=float(batch.value[row]),
        quality=int(batch.quality[row]),
        time=int(batch.time[row]),
    )
