"""A json device compiled: options and points of its profile → one reader per topic pattern.

Pure, made at load by `drivers/dialects/json.py`, which says what the keys mean. Raises ValueError for every path, topic
or word that is wrong, so that `check` can tell before anything runs (house section 8: `app.check`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from drivers._installing import options_of
from drivers._json_events import EventOptions, EventReader, FieldText, Place, ReadTime, field_text
from drivers._json_path import MISSING, Find, finder, steps
from drivers._mqtt_thing import specs_of
from drivers._times import Unit, source_time, zone_of
from drivers._topics import Pattern
from drivers._values import Reading, Spelling, good_as_sent
from gateway.model.point import Device, Kind, PointSpec
from gateway.model.quality import GOOD


class Availability(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A second channel that says whether the device is there."""

    topic: str
    path: str = "$"
    offline: tuple[str, ...] = ("offline", "false", "0")


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of a json device, see the table above. `open` belongs to `drivers._profiles`."""

    topic: str
    match: dict[str, str] = {}
    time: str = ""
    time_unit: Unit = "auto"
    zone: str = "+08:00"
    samples: str = ""
    newest_first: bool = False
    event: EventOptions | None = None
    addresses: tuple[str, ...] | None = None
    availability: Availability | None = None
    open: bool = False


@dataclass(slots=True)
class Reader:
    """What one device says by one topic pattern, compiled.

    Attributes:
        pattern: its topics.
        point: any point of the device, for a sign of life.
        where: (named level, field or None, word): the level, or the field if given, must say the word.
        keys: points at a top-level member, the common case, each with the range in which a number is GOOD as it was
            sent; `paths`: all others.
        whole: a point is the message itself: plain text is welcome.
        time: message → ns, 0 if it has none; notes a time that cannot be read.
        samples: where the array of samples is.
        events: what reads events, and their `place`.
        offline: where availability is said, the words that mean offline, and the points that are then BAD.
        gone: of the device's points those that were told to be BAD so, and nothing since; all its readers have it.
    """

    pattern: Pattern
    point: int
    where: tuple[tuple[str, FieldText | None, str], ...] = ()
    keys: list[tuple[str, int, Callable[[object], Reading], float, float]] = field(default_factory=list)
    paths: list[tuple[Find, int, Callable[[object], Reading]]] = field(default_factory=list)
    whole: bool = False
    time: Callable[[object, list[str]], int] | None = None
    samples: Find | None = None
    newest_first: bool = False
    events: EventReader | None = None
    place: Place | None = None
    offline: tuple[FieldText, frozenset[str], tuple[int, ...]] | None = None
    gone: set[int] = field(default_factory=set)

    @property
    def plain(self) -> bool:
        """Whether it is readings only, without time stamps, for one device."""
        return not (self.where or self.time or self.samples or self.events or self.offline)

    def mine(self, message: object, parts: Mapping[str, str]) -> bool:
        """Whether the message is this device's."""
        return all((parts[name] if find is None else find(message)) == word for name, find, word in self.where)

    def read(self, message: object, time: int, rows: list[tuple[int, int, float, int]]) -> None:
        """Append a row for every point that the message has."""
        if isinstance(message, dict):
            for key, point, read, low, high in self.keys:
                raw = message.get(key, MISSING)
                # Most readings are this; a call less each is what a flood of them needs. + 0.0 as in the scaling.
                if (type(raw) is float or type(raw) is int) and low <= raw <= high:
                    rows.append((point, time, raw + 0.0, GOOD))
                elif raw is not MISSING:
                    rows.append((point, time, *read(raw)))
        for find, point, read in self.paths:
            raw = find(message)
            if raw is not MISSING:
                rows.append((point, time, *read(raw)))


class _Decode(Spelling, frozen=True, forbid_unknown_fields=True):
    """`decode` of a point."""

    path: str = ""
    topic: str = "~"


def readers_of(device: Device, ids: Mapping[str, int]) -> list[Reader]:
    """Compile a device. `ids`: `device.point` → durable id. Raises ValueError."""
    options = options_of(device, Options)
    specs = specs_of(device, ids)
    read_time = _plain_time(options)
    fresh = _maker(options, min(specs), read_time)
    found: dict[str, Reader] = {}
    for point, spec in specs.items():
        if spec.kind is not Kind.TEXT:
            _add(found, fresh, point, spec)
    if options.event is not None:
        reader = found.setdefault(options.event.topic or "~", fresh(options.event.topic or "~"))
        reader.events = EventReader(options.event, read_time)
        known = None if options.addresses is None else frozenset(options.addresses)
        reader.place = Place(min((p for p, s in specs.items() if s.kind is Kind.TEXT), default=min(specs)), known=known)
    readers = list(found.values())
    if options.availability is not None:
        reader = fresh(options.availability.topic)
        words = frozenset(word.casefold() for word in options.availability.offline)
        values = tuple(point for point, spec in specs.items() if spec.kind is not Kind.TEXT)
        reader.offline = (field_text(options.availability.path), words, values)
        readers.append(reader)
        for one in readers:
            one.gone = reader.gone
    return readers


def _maker(options: Options, point: int, read_time: ReadTime) -> Callable[[str], Reader]:
    """Return what makes an empty reader for a topic of the device."""
    samples = finder(options.samples) if options.samples else None
    levels = Pattern(options.topic).names
    time = _time_of(finder(options.time), read_time) if options.time else None

    def fresh(topic: str) -> Reader:
        pattern = Pattern(topic.replace("~", options.topic, 1) if topic.startswith("~") else topic)
        # A topic of its own without the named level is the device's by that: nothing in it has to say so.
        match = [(name, word) for name, word in options.match.items() if name in pattern.names or name not in levels]
        where = tuple(_where(name, word, pattern) for name, word in match)
        return Reader(pattern, point, where, time=time, samples=samples, newest_first=options.newest_first)

    return fresh


def _where(name: str, word: str, pattern: Pattern) -> tuple[str, FieldText | None, str]:
    return (name, None, word) if name in pattern.names else (name, field_text(name), word)


def _add(found: dict[str, Reader], fresh: Callable[[str], Reader], point: int, spec: PointSpec) -> None:
    decode = msgspec.convert(spec.decode, _Decode, strict=False)
    reader = found.get(decode.topic) or found.setdefault(decode.topic, fresh(decode.topic))
    read = decode.reader(spec)
    path = decode.path or spec.name
    way = steps(path)
    reader.whole |= not way
    if len(way) == 1 and isinstance(way[0], str):
        reader.keys.append((way[0], point, read, *good_as_sent(spec, decode.scale, decode.offset)))
    else:
        reader.paths.append((finder(path), point, read))


def _plain_time(options: Options) -> ReadTime:
    zone = zone_of(options.zone)
    unit = options.time_unit
    return lambda raw: source_time(raw, zone, unit)


def _time_of(find: Find, read: ReadTime) -> Callable[[object, list[str]], int]:
    def time(message: object, problems: list[str]) -> int:
        raw = find(message)
        if raw is MISSING or raw is None:
            return 0
        found = read(raw)
        if found is None:
            problems.append("bad_time")
        return found or 0

    return time
