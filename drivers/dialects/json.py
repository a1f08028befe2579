"""The `json` dialect: whatever publishes JSON or plain text under a topic → readings and events.

Between the `mqtt` driver and the intake; pure (house rule 2). One bad message or field never costs the good ones beside
it. Everything is compiled at load; the path of a message is: topic → the readers of its devices → rows.

Keys of `options` in a profile, and of a `[[device]]` (the device's win):

| key | meaning |
|---|---|
| topic | pattern with +, # and named levels `{unit}`; needed |
| match | `{ unit = "p1" }` or `{ "$.id" = "p1" }`: only messages whose named level or field says so are this device's |
| time, time_unit, zone | path of the time stamp; auto, s, ms, us, ns; zone of times without one (default +08:00) |
| samples | path of an array: each element is read like a message, oldest first |
| newest_first | the array begins with the newest (elements with times are ordered by those) |
| event | table, see `EventOptions` |
| addresses | keys of events that are installed: others are "not registered" |
| availability | `{ topic = "~/LWT", path = "$", offline = ["offline"] }`: these words make all points BAD offline |

`decode` of a point: `path` (default: its name), `topic` (default the device's; `~` stands for that), `words` (the
sender's words → raw numbers), `scale`, `offset`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from drivers._installing import install
from drivers._json_events import Place
from drivers._json_path import MISSING
from drivers._json_reader import Options, Reader, readers_of
from drivers._payload import Plain, Unreadable, message_of
from drivers._values import OFFLINE, as_retained
from gateway.model.batch import Event
from gateway.model.point import Device
from gateway.model.ports import Decoded, DialectSetup

_ROUTES_KEPT = 4096  # topics of wildcard filters are made by others: the memory of them is bounded


OPTIONS = Options


def create(setup: DialectSetup) -> JsonDialect:
    """Build the dialect. Raises ConfigError that names every device and key that is wrong."""
    return JsonDialect(setup)


_Routes = tuple[tuple[Reader, Mapping[str, str]], ...]


class JsonDialect:
    """All json devices of one source (port `Dialect`)."""

    def __init__(self, setup: DialectSetup) -> None:
        self._readers = install(setup, readers_of)
        self._exact: dict[str, list[Reader]] = {}
        self._wild: list[Reader] = []
        self._routes: dict[str, _Routes] = {}
        self._plain: set[str] = set()  # topics with one reader of nothing but readings: most messages of a flood
        self._stranger = setup.source_events
        for reader in (reader for readers in self._readers.values() for reader in readers):
            if reader.pattern.exact:
                self._exact.setdefault(reader.pattern.filter, []).append(reader)
            else:
                self._wild.append(reader)

    def filters(self, device: Device) -> Sequence[str]:
        """Return the MQTT filters of all topics of the device."""
        return tuple(dict.fromkeys(reader.pattern.filter for reader in self._readers[device.id]))

    def ask(self, device: Device) -> Sequence[tuple[str, bytes]]:  # noqa: ARG002 - the port names it
        """Nothing: plain JSON has no common way to be asked."""
        return ()

    def decode(self, topic: str, payload: bytes, *, retained: bool, into: Decoded) -> bool:
        """Append what the message says; False when the topic is nobody's."""
        routes = self._routes.get(topic)
        if routes is None:
            routes = self._route(topic)
        if not routes:
            return False
        message = message_of(payload)
        if isinstance(message, Unreadable):
            into.problems.append(message.value)
            return True
        known = False
        if topic in self._plain and type(message) is dict and not retained:
            before = len(into.rows)
            routes[0][0].read(message, 0, into.rows)
            if len(into.rows) > before:
                return True
        for reader, parts in routes:
            if not reader.where or reader.mine(message, parts):
                known = True
                _take(reader, message, payload, parts, retained=retained, into=into)
        if not known:
            self._strange(routes, message, payload, retained=retained, into=into)
        return True

    def _route(self, topic: str) -> _Routes:
        if len(self._routes) >= _ROUTES_KEPT:
            self._routes.clear()
            self._plain.clear()
        found = [
            (reader, parts)
            for reader in (*self._exact.get(topic, ()), *self._wild)
            if (parts := reader.pattern.parts(topic)) is not None
        ]
        if len(found) == 1 and found[0][0].plain:
            self._plain.add(topic)
        return self._routes.setdefault(topic, tuple(found))

    def _strange(self, routes: _Routes, message: object, payload: bytes, *, retained: bool, into: Decoded) -> None:
        """A device that no configuration knows: its events are alarms "not registered", its readings are counted."""
        into.problems.append("unknown_device")
        for reader, parts in routes:
            if reader.events is not None and not retained:
                said = [parts[name] if find is None else find(message) for name, find, _ in reader.where]
                place = Place(self._stranger, prefix="/".join([*said, ""]), registered=False)
                into.events.extend(reader.events.read(message, payload, parts, place, into.problems))
                return


def _take(
    reader: Reader, message: object, payload: bytes, parts: Mapping[str, str], *, retained: bool, into: Decoded
) -> None:
    if reader.offline is not None:
        _availability(reader, message, retained=retained, into=into)
        return
    if type(message) is Plain and not reader.whole:
        into.problems.append("not_json")
        return
    before = len(into.rows)
    if reader.samples is None:
        time = 0 if reader.time is None else reader.time(message, into.problems)
        reader.read(message, time, into.rows)
    else:
        _samples(reader, message, into)
    if retained and len(into.rows) > before:
        into.rows[before:] = [(point, at, value, as_retained(told)) for point, at, value, told in into.rows[before:]]
    elif reader.gone:
        _back(reader, into, before)
    events: Sequence[Event] = ()
    if reader.events is not None:
        events = _events(reader, message, payload, parts, retained=retained, into=into)
    if len(into.rows) == before and not events and not retained:
        into.problems.append("no_value")
        into.heard.append(reader.point)


def _back(reader: Reader, into: Decoded, before: int) -> None:
    """Let what comes first after "offline" be of now: a broker tells a last will late, and many clocks are slow."""
    for place in reversed(range(before, len(into.rows))):  # of several readings of a point the newest
        point, _, value, told = into.rows[place]
        if point in reader.gone:
            reader.gone.discard(point)
            into.rows[place] = point, 0, value, told


def _events(
    reader: Reader, message: object, payload: bytes, parts: Mapping[str, str], *, retained: bool, into: Decoded
) -> list[Event]:
    if reader.events is None or reader.place is None:
        return []
    found = reader.events.read(message, payload, parts, reader.place, into.problems)
    if retained and found:
        into.problems.append("retained_event")
        return []
    into.events.extend(found)
    return found


def _samples(reader: Reader, message: object, into: Decoded) -> None:
    """Read an array of samples, oldest first: by their times where all have one, else as the profile says.

    Points that no sample has stand beside them, or alone: one measurement, or another topic of the device.
    """
    elements = reader.samples(message) if reader.samples is not None else MISSING
    before = len(into.rows)
    if isinstance(elements, list):
        _elements(reader, elements, into)
    if not reader.whole if isinstance(message, dict) else elements is MISSING:  # a table is no sample of itself
        told = {row[0] for row in into.rows[before:]}
        beside: list[tuple[int, int, float, int]] = []
        reader.read(message, 0 if reader.time is None else reader.time(message, into.problems), beside)
        into.rows += [row for row in beside if row[0] not in told]


def _elements(reader: Reader, elements: list[object], into: Decoded) -> None:
    timed = [(0 if reader.time is None else reader.time(element, into.problems), element) for element in elements]
    if reader.newest_first:
        timed.reverse()
    if all(time for time, _ in timed):
        timed.sort(key=lambda pair: pair[0])
    for time, element in timed:
        reader.read(element, time, into.rows)


def _availability(reader: Reader, message: object, *, retained: bool, into: Decoded) -> None:
    if reader.offline is None:
        return
    find, words, points = reader.offline
    said = find(message).casefold()
    if not said:  # of another form than the path expects: neither there nor gone
        into.problems.append("unknown_availability")
    elif said in words:
        into.rows.extend((point, 0, *OFFLINE) for point in points)
        reader.gone.update(points)
    elif not retained:
        into.heard.append(reader.point)
