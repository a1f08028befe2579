"""Readings, events and transitions as JSON messages: what the `mqtt_uplink` sink publishes, see `docs/time-series.md`.

Pure. Times are RFC 3339 in UTC with nanoseconds, so that a receiver knows what came twice: a reading by device, point
and time, an event or transition by `n`, its number in the record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np

from gateway.model.alarm import AlarmFacts, Transition
from gateway.model.batch import EventSeen
from gateway.model.point import Point
from gateway.model.portion import Note, Portion
from gateway.model.quality import describe

READINGS = 500  # of one message: about 60 kB

_encode = msgspec.json.Encoder().encode


class Message(NamedTuple):
    """Last part of the topic, and payload."""

    topic: str
    payload: bytes


class Messages:
    """Renders portions."""

    def __init__(self, points: Mapping[int, Point], facts: Callable[[str, int, str], AlarmFacts]) -> None:
        self._points = points
        self._facts = facts

    def of(self, portion: Portion) -> Iterator[Message]:
        """Yield notes one by one, then readings in messages of at most `READINGS`."""
        for note, time in zip(portion.notes, rfc3339([note.time for note in portion.notes]), strict=True):
            if isinstance(note.body, EventSeen):
                yield Message("event", _encode(self._event(note, note.body, time)))
            else:
                yield Message("transition", _encode(self._transition(note, note.body, time)))
        for begin in range(0, len(portion.point), READINGS):
            yield Message("readings", _encode({"readings": self._rows(portion, slice(begin, begin + READINGS))}))

    def _rows(self, portion: Portion, part: slice) -> list[dict[str, Any]]:
        marks = {mark: describe(mark) for mark in np.flatnonzero(np.bincount(portion.quality[part])).tolist()}
        values = [value if np.isfinite(value) else None for value in portion.value[part].tolist()]
        columns = (
            portion.point[part].tolist(),
            rfc3339(portion.time[part].tolist()),
            values,
            portion.quality[part].tolist(),
        )
        return [
            {**self._place(point), "time": time, "value": value, "quality": marks[mark]}
            for point, time, value, mark in zip(*columns, strict=True)
        ]

    def _place(self, number: int) -> dict[str, str]:
        point = self._points.get(number)
        if point is None:
            return {"device": "", "point": f"#{number}", "unit": ""}
        return {"device": point.device, "point": point.spec.name, "unit": point.spec.unit}

    def _event(self, note: Note, event: EventSeen, time: str) -> dict[str, Any]:
        point = self._points.get(event.point)
        said = {
            "n": note.n,
            "time": time,
            "device": point.device if point else "",
            "key": event.key,
            "code": event.code.name.lower(),
            "text": event.text,
        }
        if event.ends is not None:
            said["ends"] = event.ends.name.lower()
        return said if event.registered else {**said, "registered": False}

    def _transition(self, note: Note, move: Transition, time: str) -> dict[str, Any]:
        facts = self._facts(move.rule, move.point, move.key)
        place = self._place(move.point)
        return {
            "n": note.n,
            "time": time,
            "alarm": move.alarm,
            "rule": move.rule,
            "device": place["device"],
            "point": place["point"],
            "key": move.key,
            "cell": facts.cell,
            "class": facts.alarm_class.word,
            "severity": facts.severity.word,
            "from": move.before.value,
            "to": move.after.value,
            "suppression": move.suppression.value,
            "cause": move.cause.value,
            "who": move.who,
            "text": move.reason or move.evidence.text or facts.title,
            "value": move.value if np.isfinite(move.value) else None,
        }


def rfc3339(times: list[int]) -> list[str]:
    """Return ns since 1970 as text."""
    stamps = np.array(times, dtype=np.int64).astype("datetime64[ns]")
    texts: list[str] = np.datetime_as_string(stamps, timezone="UTC").tolist()
    return texts
