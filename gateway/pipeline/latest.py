"""The newest handled reading of every point, as arrays indexed by durable point id; what screens and rules look up."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from gateway.model.delta import Delta
from gateway.model.moment import Moment
from gateway.model.quality import Doubt, Level, quality
from gateway.model.verdict import ALWAYS_AGO

UNHEARD = quality(Level.BAD, Doubt.NO_COMMS)


class Latest:
    """Columns `value`, `quality`, `time` (slot time, ns, station axis) of length `points`."""

    def __init__(self, points: int) -> None:
        self.value = np.zeros(points)
        self.quality = np.full(points, UNHEARD, dtype=np.uint8)
        self.time = np.full(points, ALWAYS_AGO, dtype=np.int64)

    def take(self, moment: Moment, delta: Delta) -> None:
        """Write a moment's readings; one older than what stands is passed over."""
        index = moment.point.astype(np.intp)
        for array in (self.value, self.quality, self.time):
            delta.save(array, index)
        if len(index) == 1:
            if moment.time[0] >= self.time[index[0]]:
                self.value[index], self.quality[index], self.time[index] = moment.value, moment.quality, moment.time
            return
        newer = np.flatnonzero(moment.time >= self.time[index])
        self._write(index, newer, moment)
        if (self.time[index] < moment.time).any():  # a point came twice, the older reading last
            for row in newer[np.argsort(moment.time[newer], kind="stable")].tolist():
                self._write(index, np.array([row]), moment)

    def _write(self, index: NDArray[np.intp], rows: NDArray[np.intp], moment: Moment) -> None:
        places = index[rows]
        self.value[places] = moment.value[rows]
        self.quality[places] = moment.quality[rows]
        self.time[places] = moment.time[rows]

    def shift(self, by: int | None, at: int, delta: Delta) -> None:
        """Move every time to the axis of another boot; an unknown shift (None) makes it the start (`at`, ns)."""
        known = np.flatnonzero(self.time != ALWAYS_AGO)
        delta.save(self.time, known)
        self.time[known] = at if by is None else np.minimum(self.time[known] + by, at)

    def moment(self, at: int) -> Moment:
        """Return the newest reading of every point that has one, as one moment."""
        known = np.flatnonzero(self.time != ALWAYS_AGO)
        return Moment(
            at=at,
            point=known.astype(np.int32),
            time=np.minimum(self.time[known], at),
            value=self.value[known],
            quality=self.quality[known],
        )

    def snapshot(self) -> bytes:
        """Return a blob for `restore`."""
        moment = self.moment(0)
        columns = (moment.point, self.time[moment.point], moment.value, moment.quality)
        return msgspec.msgpack.encode([column.tobytes() for column in columns])

    def restore(self, blob: bytes) -> None:
        """Take what `snapshot` returned. Raises ValueError or msgspec.MsgspecError for anything else."""
        point, time, value, marks = msgspec.msgpack.decode(blob, type=tuple[bytes, bytes, bytes, bytes])
        index = np.frombuffer(point, dtype=np.int32).astype(np.intp)
        known = index < len(self.time)
        index = index[known]
        self.time[index] = np.frombuffer(time, dtype=np.int64)[known]
        self.value[index] = np.frombuffer(value, dtype=np.float64)[known]
        self.quality[index] = np.frombuffer(marks, dtype=np.uint8)[known]
