"""What one message of a device behind a server says, and how a profile reads it: fields, raw bytes, or both.

Pure, shared by the dialects of LoRaWAN servers (chirpstack, ttn) and NB-IoT platforms (ctwing, onenet): each turns its
envelope into a `Report`, the `Plan` of the device turns that into rows and events. Keeps house section 6: what a
profile does not know is BAD or kept raw, never normal. `decode` of a point: see `_report_points.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping

import msgspec

from drivers._byte_layout import NOTHING, Raw, Records, record_times, viewed
from drivers._json_path import MISSING, finder
from drivers._report_points import Moments, Report, events_of, found, place_of
from drivers._times import Unit, source_time, zone_of
from drivers._values import as_retained
from gateway.config.quantities import duration
from gateway.model.batch import Event, EventCode
from gateway.model.point import Device, Kind
from gateway.model.ports import Decoded

Row = tuple[int, int, float, int]

_KINDS_KEPT = 64  # unknown kinds of messages kept raw once each
_MOST_SAMPLES = 4096
_MOST_EVENTS = 32  # of one message: each is kept with the whole message as evidence


class Reads(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options that all these dialects share.

    Attributes:
        raw: how raw payloads are built, see `Raw`.
        samples: path of an array of measurements inside the fields; points are looked for in each, then beside it.
        every: time between two of them where they have none, the newest is of the message's time.
        newest_first: the array begins with the newest.
        time: path of a time in the fields, or in each sample.
        time_unit: of that time; zone: where it has none.
        open: a device may bring points that the profile does not name (see `drivers._profiles`).
    """

    raw: Raw | None = None
    samples: str = ""
    every: str = ""
    newest_first: bool = False
    time: str = ""
    time_unit: Unit = "auto"
    zone: str = "+08:00"
    open: bool = False


class Recent:
    """The last messages of a device, to know a copy or a repetition again. Bounded."""

    def __init__(self) -> None:
        self._keys: deque[Hashable] = deque(maxlen=16)

    def again(self, key: Hashable, *, dated: bool = True) -> bool:
        """Whether the message came before; it is remembered.

        One without a time is a copy of the very last only: who always writes the same id says fire, normal, fire.
        """
        if key in self._keys if dated else self._keys and key == self._keys[-1]:
            return True
        self._keys.append(key)
        return False

    def forget(self) -> None:
        """Begin anew: the device joined again and counts from 0."""
        self._keys.clear()


class Plan:
    """The compiled profile of one device. Raises ValueError for a wrong path, layout, word or code."""

    def __init__(self, device: Device, options: Reads, ids: Mapping[str, int]) -> None:
        specs = {ids[f"{device.id}.{spec.name}"]: spec for spec in device.profile.points}
        if not specs:
            raise ValueError("it has no points: give some under [device.points]")
        self.point = min(specs)  # any, for a sign of life
        self.events = min((point for point, spec in specs.items() if spec.kind is Kind.TEXT), default=None)
        self.specs = specs
        self._raw = options.raw or Raw()
        self._records = self._raw.records or Records(at=0, size=1)
        self._records.spacing()
        self._places = [
            place for point, spec in specs.items() if (place := place_of(point, spec, self._raw)) is not None
        ]
        self._samples = finder(options.samples) if options.samples else None
        self._every = round(duration(options.every) * 1e9) if options.every else 0
        self._newest_first = options.newest_first
        self._time = finder(options.time) if options.time else None
        self._zone = zone_of(options.zone)
        self._unit = options.time_unit
        self._unknown: set[Hashable] = set()

    def tell(self, report: Report, *, retained: bool, into: Decoded) -> None:
        """Append what the report says: rows oldest first, events, or a sign of life."""
        view = NOTHING if report.data is None else viewed(self._raw, report.data, report.port, into.problems)
        time = self._time_in(report.fields, into.problems) or report.time
        records = list(zip(record_times(self._records, view.records, time), view.records, strict=True))
        moments = Moments(time, self._elements(report.fields, time, into.problems), records)
        rows: list[Row] = []
        events: list[Event] = []
        said = False
        for place in self._places:
            many = found(place, report, view, moments)
            said |= bool(many) and not place.extra
            for at, raw, bare in many:
                if place.events is None:
                    reading = (place.read_raw if bare else place.read)(raw)
                    rows += [] if reading is None else [(place.point, at, *reading)]
                else:
                    events += events_of(place, raw, at, report.message, into.problems)
        if len(events) > _MOST_EVENTS:
            into.problems.append("too_many_events")
        self._put(rows, events[-_MOST_EVENTS:], retained=retained, into=into)
        if not said and not retained and (report.data or report.fields is not MISSING):
            self._unread(report, time, into)
        if not (rows or events or retained):
            into.heard.append(self.point)

    def _put(self, rows: list[Row], events: list[Event], *, retained: bool, into: Decoded) -> None:
        if all(time for _, time, _, _ in rows):
            rows.sort(key=lambda row: row[1])
        if not retained:
            into.rows += rows
            into.events += events
            return
        into.rows += [(point, time, value, as_retained(told)) for point, time, value, told in rows]
        if events:
            into.problems.append("retained_event")

    def _unread(self, report: Report, time: int, into: Decoded) -> None:
        """Count a message of which the profile knows nothing; keep one of each kind."""
        into.problems.append("no_value")
        kind = (report.port, None if report.data is None else report.data[:2])
        if self.events is not None and kind not in self._unknown and len(self._unknown) < _KINDS_KEPT:
            self._unknown.add(kind)
            into.events.append(Event(self.events, "", EventCode.INFO, "unknown message", time, report.message))

    def _time_in(self, fields: object, problems: list[str]) -> int:
        raw = MISSING if self._time is None else self._time(fields)
        if raw is MISSING or raw is None:
            return 0
        read = source_time(raw, self._zone, self._unit)
        if read is None:
            problems.append("bad_time")
        return read or 0

    def _elements(self, fields: object, time: int, problems: list[str]) -> list[tuple[int, object]] | None:
        """Return the samples oldest first, each with its time, 0 where none can be said; None: there never are any."""
        if self._samples is None:
            return None
        entries = self._samples(fields)
        if not isinstance(entries, list):
            return []
        if len(entries) > _MOST_SAMPLES:
            problems.append("too_many_samples")
            entries = entries[:_MOST_SAMPLES] if self._newest_first else entries[-_MOST_SAMPLES:]
        if self._newest_first:
            entries = entries[::-1]
        if self._time is not None:
            timed = [(self._time_in(entry, problems), entry) for entry in entries]
            return sorted(timed, key=lambda pair: pair[0]) if all(at for at, _ in timed) else timed
        if not (self._every and time):
            return [(0 if len(entries) > 1 else time, entry) for entry in entries]
        return [(time - self._every * (len(entries) - 1 - number), entry) for number, entry in enumerate(entries)]
