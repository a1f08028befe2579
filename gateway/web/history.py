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
from starlette.responses import JSONResponse, Response

from gateway.clock import DAY, HOUR, SECOND
from gateway.errors import StoreError
from gateway.model.alarm import AlarmEvent, Transition
from gateway.model.quality import LEVEL_SHIFT, Level
from gateway.store.read import Entry, Reader, Series
from gateway.store.rollup import WIDTHS
from gateway.transport.offload import offload
from gateway.web.facts import Facts
from gateway.web.routes import BadRequestError, Desk, Visit

SPANS = {"hour": HOUR, "day": DAY, "week": 7 * DAY, "month": 30 * DAY, "year": 366 * DAY}
TABLES = {"day": "minute", "week": "minute", "month": "hour", "year": "hour"}
MOST_ROWS = 1_500  # of a chart: more than a screen has columns
AT_ONCE = 2
Row = tuple[float, float | None, float | None, float | None]  # time (s since 1970), mean, low, high


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
    rows = list(with_gaps(rows, max(asked.silence, 2.5 * width, 2.5 * step)))
    columns = list(zip(*rows, strict=True)) if rows else [()] * 4
    return {**dict(zip(("t", "mean", "low", "high"), columns, strict=True)), "bands": bands}


def _readings(reader: Reader, number: int, begin: int, now: int) -> list[Row]:
    return _rows(reader.readings(number, begin, now))


def _rows(series: Series) -> list[Row]:
    order = np.argsort(series.time, kind="stable")
    good = (series.quality >> LEVEL_SHIFT < Level.BAD) & np.isfinite(series.value)
    times, values = (series.time[order] / SECOND).tolist(), series.value[order].tolist()
    return [
        (time, value, value, value) if fine else (time, None, None, None)
        for time, value, fine in zip(times, values, good[order].tolist(), strict=True)
    ]


def _aggregated(reader: Reader, table: str, number: int, begin: int, now: int) -> list[Row]:
    """Return the rollups, and behind them the readings that are not in them yet: what is in chunks is in rollups."""
    width = WIDTHS[table]
    buckets = reader.rollup(table, number, begin, now)
    rows: list[Row] = [
        ((bucket.time + width // 2) / SECOND, bucket.total / bucket.n if bucket.total is not None else None,
         bucket.low, bucket.high)
        for bucket in buckets
    ]  # fmt: skip
    tail = max(begin, buckets[-1].time + width if buckets else begin)
    return rows + _rows(reader.readings(number, tail, now))


def thinned(rows: list[Row], begin: float, end: float) -> list[Row]:
    """Merge rows until a chart can hold them; extremes are kept, a part without a value stays a gap."""
    if len(rows) <= MOST_ROWS:
        return rows
    merged: dict[int, list[Row]] = {}
    for row in rows:
        merged.setdefault(int((row[0] - begin) / (end - begin) * MOST_ROWS), []).append(row)
    return [_merged(part) for part in merged.values()]


def _merged(part: list[Row]) -> Row:
    means = [row[1] for row in part if row[1] is not None]
    lows = [row[2] for row in part if row[2] is not None]
    highs = [row[3] for row in part if row[3] is not None]
    if not means:
        return part[0][0], None, None, None
    return part[0][0], sum(means) / len(means), min(lows), max(highs)


def with_gaps(rows: list[Row], longest: float) -> Iterator[Row]:
    """Put an empty row where nothing was heard for too long."""
    before: float | None = None
    for row in rows:
        if before is not None and row[0] - before > longest:
            yield (before + row[0]) / 2, None, None, None
        yield row
        before = row[0]


def _bands(
    reader: Reader, number: int, begin: int, now: int, open_since: tuple[int, ...]
) -> Iterator[tuple[float, float]]:
    """Yield (from, to) of every time in which a condition of the point was true."""
    begun: dict[tuple[str, str], int] = {}
    clock = reader.clock()
    for move in _moves(reader, begin):
        transition = move.body
        if transition.point != number:
            continue
        at = max(begin, min(now, clock.wall(move.boot, transition.at) or begin))
        key = transition.rule, transition.key
        if transition.event is AlarmEvent.RAISE:
            begun.setdefault(key, at)
        elif transition.event in (AlarmEvent.CLEAR, AlarmEvent.REMOVE):
            yield begun.pop(key, begin) / SECOND, at / SECOND
    for since in open_since:
        yield max(begin, since) / SECOND, now / SECOND


def _moves(reader: Reader, begin: int) -> Iterator[Entry[Transition]]:
    """Yield the transitions since a moment; where they begin in the record is found by halving."""
    low, high = 0, 1
    while _is_before(reader, high, begin):
        low, high = high, high * 2
    while high - low > 500:
        middle = (low + high) // 2
        low, high = (middle, high) if _is_before(reader, middle, begin) else (low, middle)
    return reader.transitions(after=low)


def _is_before(reader: Reader, n: int, begin: int) -> bool:
    """Whether there is a transition after row `n` and the first of them is older than `begin`."""
    first = next(reader.transitions(after=n), None)
    return first is not None and (first.time or 0) < begin
