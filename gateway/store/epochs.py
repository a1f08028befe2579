"""Wall time of stored moments, computed on reading: stored times are never changed (house section 10).

Pure. Within a boot the first trusted epoch also dates what stood before it, each later one dates from its `mono_from`
on. An epoch that only says "not trusted any more" dates nothing: the monotonic clock did not step, so the offset before
it stays the best there is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

import numpy as np

from gateway.model.batch import Ints
from gateway.model.moment import Epoch


class Epochs:
    """Offsets from the monotonic clock of each boot to wall time."""

    def __init__(self, epochs: Iterable[Epoch] = ()) -> None:
        self._offsets: dict[str, list[tuple[int, int]]] = {}
        for epoch in epochs:
            self.add(epoch)

    def add(self, epoch: Epoch) -> None:
        """Take one more; untrusted ones date nothing."""
        if epoch.trusted:
            known = self._offsets.setdefault(epoch.boot, [])
            known.append((epoch.mono_from, epoch.wall_offset))
            known.sort()

    def wall(self, boot: str, mono: int) -> int | None:
        """Return ns since 1970, or None when that boot never knew the time."""
        known = self._offsets.get(boot)
        if not known:
            return None
        place = bisect_right(known, mono, key=lambda pair: pair[0])
        return mono + known[max(0, place - 1)][1]

    def walls(self, boot: str, mono: Ints) -> Ints | None:
        """Return `wall` of a whole column."""
        known = self._offsets.get(boot)
        if not known:
            return None
        starts = np.array([start for start, _ in known], dtype=np.int64)
        offsets = np.array([offset for _, offset in known], dtype=np.int64)
        place = np.maximum(np.searchsorted(starts, mono, side="right") - 1, 0)
        return mono + offsets[place]

    def window(self, boot: str, t0: int, t1: int) -> tuple[int, int] | None:
        """Return a span of `mono` that holds everything of the boot with wall time in [t0, t1]; None as `wall`."""
        known = self._offsets.get(boot)
        if not known:
            return None
        offsets = [offset for _, offset in known]
        return t0 - max(offsets), t1 - min(offsets)
