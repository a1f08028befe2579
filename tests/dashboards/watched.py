"""Half an hour of a station as the sink's own renderer writes it, and the two servers that have it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gateway.care.own import POINTS as BOX_POINTS
from gateway.clock import MINUTE, SECOND
from gateway.model.alarm import AlarmEvent, AlarmFacts, AlarmState, Suppression, Transition
from gateway.model.batch import EventCode, EventSeen
from gateway.model.inventory import BOX
from gateway.model.notification import Notification, NotifyReason
from gateway.model.point import AlarmClass, Kind, Point, PointSpec, Severity
from gateway.model.portion import Note, Portion
from gateway.model.quality import Level, quality
from gateway.model.verdict import Cause
from gateway.pipeline.commit import Work
from gateway.pipeline.supervisor import Health
from gateway.sinks._lines import Lines
from gateway.web import metrics
from tests import real_tsdb
from tests.page_house import Lived, live
from tests.patience import until

STATION = "jc-07"
SAMPLES, EVERY = 30, MINUTE
WAITED = 300  # s from the fire to its acknowledgement
_EVENTS = 1
_PANEL = Point(_EVENTS, "panel", PointSpec(name="events", kind=Kind.TEXT), "jc/3")
_PLACES = [Point(2 + kind, f"hall {kind.word}", PointSpec(name="level", unit="%"), 'jc/3 "A"') for kind in AlarmClass]
_BATTERY = Point(20, "door", PointSpec(name="battery", unit="%"), "jc/3")
_BOX = [Point(100 + number, BOX, spec, "") for number, spec in enumerate(BOX_POINTS)]
POINTS = {point.id: point for point in (_PANEL, _BATTERY, *_PLACES, *_BOX)}


def _facts(rule: str, point: int, key: str) -> AlarmFacts:
    del key
    known = POINTS[point]
    kind = AlarmClass[rule.upper()]
    return AlarmFacts(
        device=known.device, point_name=known.name, cell=known.cell, alarm_class=kind, severity=Severity.CRITICAL,
        latch=True, title="报警",
    )  # fmt: skip


def _move(
    kind: AlarmClass, before: AlarmState, after: AlarmState, cause: Cause, kept: Suppression = Suppression.NONE
) -> Transition:
    return Transition(
        alarm=int(kind), rule=kind.word, point=2 + kind, key="1/2", event=AlarmEvent.RAISE, before=before, after=after,
        suppression=kept, cause=cause, at=0, who="" if cause is Cause.CONDITION else "li",
    )  # fmt: skip


def lines(now: int) -> list[str]:
    """Return the lines of half an hour that ends at `now` (ns): an alarm a class; fire is acknowledged, gas shelved."""
    rows = []
    for point, sample in itertools.product(POINTS.values(), range(SAMPLES)):
        if point.spec.kind is not Kind.TEXT:
            bad = point.id == 2 + AlarmClass.FAULT and sample > SAMPLES - 5
            rows.append((point.id, now - (SAMPLES - 1 - sample) * EVERY, float(sample % 2), 128 if bad else 0))
    columns = np.array(rows)
    marks = columns[:, 3].astype(np.uint8)
    marks[-1] = quality(Level.UNCERTAIN)  # one in doubt, among the newest
    numbers, raised = itertools.count(1), now - 20 * MINUTE
    moves = [_move(kind, AlarmState.NORMAL, AlarmState.UNACK, Cause.CONDITION) for kind in AlarmClass]
    notes = [Note(next(numbers), raised, move) for move in moves]
    answer = _move(AlarmClass.FIRE, AlarmState.UNACK, AlarmState.ACKED, Cause.ACKNOWLEDGED)
    notes.append(Note(next(numbers), raised + WAITED * SECOND, answer))
    shelved = _move(AlarmClass.GAS, AlarmState.UNACK, AlarmState.UNACK, Cause.SHELVED, Suppression.SHELVED)
    notes.append(Note(next(numbers), raised + WAITED * SECOND, shelved))
    event = EventSeen(
        point=_EVENTS, key="3/17", code=EventCode.FIRE, text='火警 "3/17"', time=0, at=0, source="bus", raw=b""
    )
    notes.append(Note(next(numbers), raised, event))
    portion = Portion(
        columns[:, 0].astype(np.int32),
        np.array([row[1] for row in rows], dtype=np.int64),
        columns[:, 2],
        marks,
        notes,
    )
    gateway = [f"firegrid_gateway,station={STATION},instance=i1 up=1i {now - step * MINUTE}" for step in range(5)]
    return [*Lines(STATION, POINTS, _facts).of(portion), *gateway]


def scraped(folder: Path) -> tuple[str, str]:
    """Return `/metrics` of a living house before and after its first fire, as the station of the lines."""
    found: list[str] = []

    async def scrape(lived: Lived) -> None:
        facts = lived.page.desk.facts
        known = facts.links
        far = Health(name="sink far", up=True, counters={"sent": 7, metrics.BACKLOG: 90})
        object.__setattr__(facts, "links", lambda: [*known(), far])
        with lived.page.metrics.listening():
            await until(lambda: lived.page.metrics.counts.commits > 0)
            found.append((await lived.caller.get("/metrics")).text)
            await lived.burning()
            done = lived.page.metrics.counts.commits
            lived.read(90.0)
            await until(lambda: lived.page.metrics.counts.commits > done)
            notice = Notification(
                id=1, alarm=lived.fire, alarm_class=AlarmClass.FIRE, contact="li", channel="sms", address="1",
                reason=NotifyReason.RAISED, text="",
            )  # fmt: skip
            lived.page.metrics.counts.heard(Work(sending=[notice], closed_at=lived.house.clock.mono()))
            found.append((await lived.caller.get("/metrics")).text)

    live(folder, scrape)
    before, after = (text.replace('station="page"', f'station="{STATION}"') for text in found)
    return before, after


@dataclass(frozen=True)
class Watched:
    """Both servers with the same half hour; `now` in s since 1970."""

    victoria: real_tsdb.Victoria
    influx: real_tsdb.Influx
    now: int


@contextmanager
def watched(folder: Path) -> Iterator[Watched]:
    """Run both servers and give them the half hour."""
    now = int(time.time()) // 60 * 60 - 60  # what is younger than half a minute is not shown by VictoriaMetrics
    body = "\n".join(lines(now * SECOND)).encode()
    with real_tsdb.victoria(folder) as victoria, real_tsdb.influx(folder) as influx:
        victoria.post("/write", body)
        influx.post("/write", body, db="firegrid", precision="ns")
        for text, second in zip(scraped(folder), (now - 60, now), strict=True):
            victoria.post("/api/v1/import/prometheus", text.encode(), timestamp=str(second * 1000))
        victoria.get("/internal/force_flush")
        yield Watched(victoria, influx, now)
