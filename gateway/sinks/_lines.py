"""Readings, events and alarms as lines of the InfluxDB line protocol: stable, documented in `docs/time-series.md`.

Pure, below `influx`. The layout is a promise to dashboards: measurements, tags and fields are never renamed. Two notes
of one time never overwrite each other: the last three digits of a note's nanoseconds are those of its number in the
record, which never changes, so that sending again overwrites exactly itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from gateway.model.alarm import AlarmFacts, AlarmState, Suppression, Transition
from gateway.model.batch import EventSeen
from gateway.model.distinct import distinct
from gateway.model.point import Point
from gateway.model.portion import Note, Portion
from gateway.model.quality import LEVEL_SHIFT, Doubt, Level, quality

STATES = {
    AlarmState.NORMAL: 0,
    AlarmState.UNACK: 1,
    AlarmState.ACKED: 2,
    AlarmState.RTN_UNACK: 3,
    AlarmState.LATCHED_UNACK: 4,
    AlarmState.LATCHED_ACKED: 5,
}  # stored at far ends: numbers are never reused
SUPPRESSIONS = {
    Suppression.NONE: 0,
    Suppression.SHELVED: 1,
    Suppression.BY_DESIGN: 2,
    Suppression.OUT_OF_SERVICE: 3,
}  # likewise
_ACKNOWLEDGED = (AlarmState.ACKED, AlarmState.LATCHED_ACKED)
_LONGEST_TEXT = 4_000  # characters of a field; InfluxDB takes 64 KiB
_SILENT = [quality(Level.BAD, why) for why in (Doubt.NO_COMMS, Doubt.OFFLINE)]  # nothing was read: no raw value either
_MICROSECOND = 1_000
_BREAKS = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")
_AMBIGUOUS = re.compile(r"\\(?=[,= \\]|$)")  # a backslash that would escape what follows
_SPECIAL = re.compile(r"([,= ])")


class Lines:
    """Renders portions for one station."""

    def __init__(self, station: str, points: Mapping[int, Point], facts: Callable[[str, int, str], AlarmFacts]) -> None:
        self._station = station
        self._points = points
        self._facts = facts
        self._heads: dict[int, str] = {}

    def of(self, portion: Portion) -> list[str]:
        """Return one line a reading and event, two a transition; notes first."""
        lines = [line for note in portion.notes for line in self._note(note)]
        bad = (portion.quality >> LEVEL_SHIFT) >= Level.BAD
        finite = np.isfinite(portion.value)
        # 2: value, 1: raw, 0: quality alone
        form = np.where(finite & ~bad, 2, np.where(finite & ~np.isin(portion.quality, _SILENT), 1, 0))
        heads = {point: self._head(point) for point in distinct(portion.point).tolist()}
        columns = (portion.point, portion.time, portion.value, portion.quality, form)
        for point, time, value, mark, kind in zip(*(column.tolist() for column in columns), strict=True):
            if kind == 2:
                lines.append(f"{heads[point]} value={value!r},quality={mark}i {time}")
            elif kind:
                lines.append(f"{heads[point]} raw={value!r},quality={mark}i {time}")
            else:
                lines.append(f"{heads[point]} quality={mark}i {time}")
        return lines

    def _head(self, number: int) -> str:
        head = self._heads.get(number)
        if head is None:
            point = self._points.get(number)
            device, name = _place(number, point)
            tags = {"station": self._station, "device": device, "point": name}
            if point is not None:
                tags |= {"cell": point.cell, "unit": point.spec.unit}
            head = self._heads[number] = "firegrid_reading" + tagged(tags)
        return head

    def _note(self, note: Note) -> Sequence[str]:
        time = note.time // _MICROSECOND * _MICROSECOND + note.n % _MICROSECOND
        if isinstance(note.body, EventSeen):
            return [f"{self._event(note.n, note.body)} {time}"]
        return [f"{body} {time}" for body in self._transition(note.n, note.body)]

    def _event(self, n: int, event: EventSeen) -> str:
        device, _ = _place(event.point, self._points.get(event.point))
        tags = {"station": self._station, "device": device, "code": event.code.name.lower(), "key": event.key}
        strange = "" if event.registered else ",registered=0i"
        return f"firegrid_event{tagged(tags)} n={n}i,text={quoted(event.text)}{strange}"

    def _transition(self, n: int, move: Transition) -> tuple[str, str]:
        facts = self._facts(move.rule, move.point, move.key)
        device, name = _place(move.point, self._points.get(move.point))
        tags = {
            "station": self._station,
            "rule": move.rule,
            "device": device,
            "point": name,
            "key": move.key,
            "cell": facts.cell,
            "class": facts.alarm_class.word,
            "severity": facts.severity.word,
        }
        words = quoted(move.reason or move.evidence.text or facts.title)
        active = int(move.after is not AlarmState.NORMAL)
        state = (
            f"firegrid_alarm{tagged(tags)} state={STATES[move.after]}i,active={active}i,"
            f"acknowledged={int(move.after in _ACKNOWLEDGED)}i,suppression={SUPPRESSIONS[move.suppression]}i,"
            f"id={move.alarm}i,text={words}"
        )
        history = (
            f"firegrid_transition{tagged(tags | {'cause': move.cause.value})} from={quoted(move.before.value)},"
            f"to={quoted(move.after.value)},suppression={quoted(move.suppression.value)},who={quoted(move.who)},text={words},"
            f"id={move.alarm}i,n={n}i"
        )
        return state, history


def tagged(tags: Mapping[str, str]) -> str:
    """Return a tag set with its leading comma; empty values have no place in the protocol and are left out."""
    return "".join(f",{key}={escaped(value)}" for key, value in tags.items() if value)


def escaped(text: str) -> str:
    """Return a tag value: separators escaped; line breaks, which it cannot hold, become blanks."""
    clean = _BREAKS.sub(" ", text).encode(errors="replace").decode()
    return _SPECIAL.sub(r"\\\1", _AMBIGUOUS.sub("/", clean))


def quoted(text: str) -> str:
    """Return a string field; line breaks become blanks, because not every server reads them inside quotes."""
    clean = _BREAKS.sub(" ", text[:_LONGEST_TEXT]).encode(errors="replace").decode()
    return '"' + clean.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _place(number: int, point: Point | None) -> tuple[str, str]:
    """Return device and point as tags name them."""
    return ("", f"#{number}") if point is None else (point.device, point.spec.name)
