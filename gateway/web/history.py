"""The history of one point for its chart: readings or aggregates, gaps, and when it was in alarm.

Asked by the chart's script, answered by a reader of its own in a thread, two at a time: never on the loop (house
section 4). Short spans come from readings, long ones from the rollups with the readings of the last minutes behind
them; a silence longer than the device's limit is a gap, and a reading that is BAD draws nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from starlette.responses import JSONResponse, Response

from gateway.clock import DAY, HOUR, SECOND
from gateway.errors import StoreError
from gateway.model.alarm import AlarmEvent
from gateway.model.batch import Ints
from gateway.model.quality import LEVEL_SHIFT, Level
from gateway.store.read import Reader, Series
from gateway.store.rollup import WIDTHS
from gateway.transport.offload import offload
from gateway.web.facts import Facts
from gateway.web.routes import BadRequestError, Desk, Visit

SPANS = {"hour": HOUR, "day": DAY, "week": 7 * DAY, "month": 30 * DAY, "year": 366 * DAY}
TABLES = {"day": "minute", "week": "minute", "month": "hour", "year": "hour"}
MOST_ROWS = 1_500  # of a chart: more than a screen has columns
AT_ONCE = 2
Rows = NDArray[np.float64]  # float64[n, 4]: time (s since 1970), mean, low, high; NaN where there is no value


class Asked(NamedTuple):
    """One chart: of the store at `path`, of point `number`, `span` back from `now` (ns since 1970).

    `silence`: s after which nothing heard is a gap; `open_since`: begin of what is in alarm now, ns since 1970.
    """

    path: str
    number: int
    span: str
    now: int
    silence: float
    open_since: tuple[int, ...]


class History:
    """Charts of one station."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def answer(self, desk: Desk, visit: Visit) -> Response:
        """Answer `/history/<device.point>?span=hour`: JSON {t, mean, low, high, bands}, times in s since 1970."""
        del desk
        name, span = visit.request.path_params["argument"], visit.request.query_params.get("span", "hour")
        if name not in self._facts.ids or span not in SPANS:
            raise BadRequestError(404, "not_found")
        now = self._facts.clock.mono() + self._facts.state.axis.offset
        number = self._facts.ids[name]
        open_since = tuple(
            alarm.since + self._facts.state.axis.offset
            for alarm in self._facts.state.book.alarms.rows.values()
            if alarm.point == number and alarm.condition
        )
        asked = Asked(self._facts.station.store.path, number, span, now, self._silence(number), open_since)
        async with self._turn:
            try:
                found = await offload(partial(chart, asked), "page-history")
            except StoreError:  # volatile: what was before cannot be read now
                found = {"t": [], "mean": [], "low": [], "high": [], "bands": []}
        return JSONResponse({"from": (now - SPANS[span]) / SECOND, "to": now / SECOND, **found})

    def _silence(self, number: int) -> float:
        device = self._facts.devices.get(self._facts.points[number].device)
        return device.silence_limit if device else 100.0


def chart(asked: Asked) -> dict[str, object]:
    """Read everything: columns `t`, `mean`, `low`, `high` and `bands`. Blocking. Raises StoreError."""
    number, now = asked.number, asked.now
    begin = now - SPANS[asked.span]
    with Reader(asked.path) as reader:
        table = TABLES.get(asked.span)
        rows = _aggregated(reader, table, number, begin, now) if table else _readings(reader, number, begin, now)
        bands = list(_bands(reader, number, begin, now, asked.open_since))
    width = WIDTHS[table] / SECOND if table else 0.0
    rows = thinned(rows, begin / SECOND, now / SECOND)
    step = (now - begin) / SECOND / MOST_ROWS
    rows = with_gaps(rows, max(asked.silence, 2.5 * width, 2.5 * step))
    columns = [[None if value != value else value for value in column] for column in rows.T.tolist()]  # noqa: PLR0124 - NaN
    return {**dict(zip(("t", "mean", "low", "high"), columns, strict=True)), "bands": bands}


def _readings(reader: Reader, number: int, begin: int, now: int) -> Rows:
    return _rows(reader.readings(number, begin, now))


def _rows(series: Series) -> Rows:
    order = np.argsort(series.time, kind="stable")
    good = (series.quality >> LEVEL_SHIFT < Level.BAD) & np.isfinite(series.value)
    value = np.where(good, series.value, np.nan)[order]
    return np.column_stack([series.time[order] / SECOND, value, value, value])


def _aggregated(reader: Reader, table: str, number: int, begin: int, now: int) -> Rows:
    """Return the rollups, and behind them the readings that are not in them yet: what is in chunks is in rollups."""
    width = WIDTHS[table]
    found = reader.rollup(table, number, begin, now)
    mean = found.total / np.maximum(found.n, 1)
    rows = np.column_stack([(found.time + width // 2) / SECOND, mean, found.low, found.high])
    tail = _readings(reader, number, max(begin, int(found.time[-1]) + width if len(found) else begin), now)
    return np.concatenate([rows, _merged(tail, (tail[:, 0] * SECOND // width).astype(np.int64))])


def thinned(rows: Rows, begin: float, end: float) -> Rows:
    """Merge rows until a chart can hold them; extremes are kept, a part without a value stays a gap."""
    if len(rows) <= MOST_ROWS:
        return rows
    return _merged(rows, ((rows[:, 0] - begin) / (end - begin) * MOST_ROWS).astype(np.int64))


def _merged(rows: Rows, part: Ints) -> Rows:
    """Return one row for each run of rows of one part."""
    if not len(rows):
        return rows
    starts = np.flatnonzero(np.diff(part, prepend=part[0] - 1))
    some = np.isfinite(rows[:, 1])
    count = np.add.reduceat(some.astype(np.int64), starts)
    total = np.add.reduceat(np.where(some, rows[:, 1], 0.0), starts)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    low, high = np.fmin.reduceat(rows[:, 2], starts), np.fmax.reduceat(rows[:, 3], starts)
    return np.column_stack([rows[starts, 0], mean, low, high])


def with_gaps(rows: Rows, longest: float) -> Rows:
    """Put an empty row where nothing was heard for too long."""
    time = rows[:, 0]
    gaps = np.flatnonzero(np.diff(time) > longest) + 1
    empty = np.full((len(gaps), 4), np.nan)
    empty[:, 0] = (time[gaps - 1] + time[gaps]) / 2
    return np.insert(rows, gaps, empty, axis=0)


def _bands(
    reader: Reader, number: int, begin: int, now: int, open_since: tuple[int, ...]
) -> Iterator[tuple[float, float]]:
    """Yield (from, to) of every time in which a condition of the point was true."""
    begun: dict[tuple[str, str], int] = {}
    for move in reader.transitions_of(number, after=_first_move(reader, begin)):
        transition = move.body
        at = max(begin, min(now, move.time or begin))
        key = transition.rule, transition.key
        if transition.event is AlarmEvent.RAISE:
            begun.setdefault(key, at)
        elif transition.event in (AlarmEvent.CLEAR, AlarmEvent.REMOVE):
            yield begun.pop(key, begin) / SECOND, at / SECOND
    for since in open_since:
        yield max(begin, since) / SECOND, now / SECOND


def _first_move(reader: Reader, begin: int) -> int:
    """Return a number of the record before which no transition is younger than a moment; found by halving."""
    low, high = 0, 1
    while _is_before(reader, high, begin):
        low, high = high, high * 2
    while high - low > 500:
        middle = (low + high) // 2
        low, high = (middle, high) if _is_before(reader, middle, begin) else (low, middle)
    return low


def _is_before(reader: Reader, n: int, begin: int) -> bool:
    """Whether there is a transition after row `n` and the first of them is older than `begin`."""
    first = next(reader.transitions(after=n), None)
    return first is not None and (first.time or 0) < begin
