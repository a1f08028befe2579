"""Points of a profile compiled for reports: where each is looked for in a message, and what is found there means.

Pure, beside `_report.py`. Keeps house section 6: a code or word that the profile does not know is BAD or kept raw.

`decode` of a point:

| key | meaning |
|---|---|
| path | in the decoded fields (default: the point's name, unless `bytes` or `extra` is given) |
| bytes | table, see `Bytes`: where it stands in the raw payload; used where the fields do not have it |
| extra | what the server says beside the payload: battery, margin, external_power, rssi, snr, gateways |
| words | the sender's words or code numbers → raw numbers; other codes of raw bytes are unknown |
| skip | words or codes that say nothing about this point: no reading |
| absent | raw number that a left-out field means, where the message has fields at all |
| scale, offset | of what stands at `path`; `bytes` has its own |
| events | of a text point: words or codes → names of event codes (fire, test, fault, restore, info …) |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from drivers._byte_layout import Bytes, Raw, View, layout
from drivers._json_events import field_text
from drivers._json_path import MISSING, Find, finder, steps
from drivers._values import Reading, object_reader
from gateway.model.batch import Event, EventCode
from gateway.model.point import Kind, PointSpec

EXTRAS = frozenset({"battery", "margin", "external_power", "rssi", "snr", "gateways"})
_word_of = field_text("$")


class _Decode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: str = ""
    bytes: Bytes | None = None
    extra: str = ""
    words: dict[str, float] = {}
    skip: tuple[str, ...] = ()
    absent: float | None = None
    scale: float = 1.0
    offset: float = 0.0
    events: dict[str, str] = {}


@dataclass(slots=True, kw_only=True)
class Report:
    """One message. `time` in ns since 1970, 0 if none.

    Attributes:
        fields: decoded by the server or the device, MISSING without.
        times: field → its own time in ns.
        series: field → several (time, value), oldest first.
        data: raw payload, None without; `port`: LoRaWAN port.
        extra: what the server says beside it, see `EXTRAS`.
        message: the whole message, as evidence.
    """

    message: bytes
    time: int = 0
    fields: object = MISSING
    times: Mapping[str, int] = field(default_factory=dict)
    series: Mapping[str, Sequence[tuple[int, object]]] = field(default_factory=dict)
    data: bytes | None = None
    port: int = 0
    extra: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """One point: where it is looked for and how what is found is judged (None: it says nothing)."""

    point: int
    path: Find | None
    first: str  # top member of the path, empty for the whole message
    find: Callable[[View, bytes], object] | None
    record: bool
    extra: str
    absent: float | None
    read: Callable[[object], Reading | None]
    read_raw: Callable[[object], Reading | None]
    events: Mapping[str, EventCode] | None
    skip: frozenset[str]


class Moments(NamedTuple):
    """The message's time, samples of its fields and records of its bytes, each with its own; all in ns.

    `elements` is None where the profile says nothing of samples.
    """

    time: int
    elements: list[tuple[int, object]] | None
    records: list[tuple[int, bytes]]


Found = list[tuple[int, object, bool]]  # time, value, whether it is out of raw bytes


def found(place: Place, report: Report, view: View, moments: Moments) -> Found:
    """Return what a message says of a point: out of its fields, else its bytes, else beside it; oldest first."""
    many = _in_fields(place, report, moments) or _in_bytes(place, view, moments)
    if many or not (place.extra in report.extra or place.absent is not None):
        return many
    if place.extra in report.extra:
        return [(report.time, report.extra[place.extra], False)]
    return [(moments.time, place.absent, False)] if isinstance(report.fields, dict) else []


def _in_fields(place: Place, report: Report, moments: Moments) -> Found:
    if place.path is None:
        return []
    samples = moments.elements or ()
    many: Found = [(at, value, False) for at, entry in samples if (value := place.path(entry)) is not MISSING]
    if many:
        return many
    if place.first in report.series:
        parts = [(at, place.path({place.first: value})) for at, value in report.series[place.first]]
        return [(at, value, False) for at, value in parts if value is not MISSING]
    of_samples = moments.elements is not None and not place.first  # the whole message is no sample of itself
    value = MISSING if of_samples else place.path(report.fields)
    return [] if value is MISSING else [(report.times.get(place.first, moments.time), value, False)]


def _in_bytes(place: Place, view: View, moments: Moments) -> Found:
    if place.find is None:
        return []
    windows = moments.records if place.record else [(moments.time, b"")]
    return [(at, value, True) for at, record in windows if (value := place.find(view, record)) is not MISSING]


def events_of(place: Place, raw: object, time: int, message: bytes, problems: list[str]) -> list[Event]:
    word = _word_of(raw)
    if not word or word.casefold() in place.skip or place.events is None:
        return []
    code = place.events.get(word.casefold())
    if code is None:
        problems.append("unknown_code")
    return [Event(place.point, "", EventCode.INFO if code is None else code, word, time, message)]


def place_of(point: int, spec: PointSpec, whole: Raw) -> Place | None:
    """Compile a point, None for one of text without events. Raises ValueError."""
    decode = msgspec.convert(spec.decode, _Decode, strict=False)
    if decode.extra and decode.extra not in EXTRAS:
        raise ValueError(f"point {spec.name}: extra = {decode.extra!r}; known: {', '.join(sorted(EXTRAS))}")
    text = spec.kind is Kind.TEXT
    if text and not decode.events:
        return None
    path = decode.path or ("" if decode.bytes or decode.extra else spec.name)
    way = steps(path) if path else ()
    raw = decode.bytes or Bytes()
    if raw.channel and raw.channel not in whole.channels:
        raise ValueError(
            f"point {spec.name}: channel {raw.channel} is not among raw.channels, so its length is unknown"
        )
    if raw.record and whole.records is None:
        raise ValueError(f"point {spec.name}: it stands in each record, but raw.records does not say what these are")
    skip = frozenset(word.casefold() for word in decode.skip)
    words = {word.casefold(): number for word, number in decode.words.items()}
    return Place(
        point,
        finder(path) if path else None,
        way[0] if way and isinstance(way[0], str) else "",
        layout(raw) if decode.bytes else None,
        raw.record,
        decode.extra,
        decode.absent,
        _judge(object_reader(spec, scale=decode.scale, offset=decode.offset), words, skip, coded=False),
        _judge(object_reader(spec, scale=raw.scale, offset=raw.offset), words, skip, coded=bool(words)),
        _codes(spec.name, decode.events) if text else None,
        skip,
    )


def _judge(
    read: Callable[[object], Reading], words: Mapping[str, float], skip: frozenset[str], *, coded: bool
) -> Callable[[object], Reading | None]:
    """Return the reader of a point's words and codes; `coded`: a number that is no known code is unknown."""
    if not words and not skip:
        return read

    def judge(raw: object) -> Reading | None:
        word = _word_of(raw).casefold()
        if word in skip:
            return None
        known = words.get(word)
        return read(f"code {word}" if known is None and coded else raw if known is None else known)

    return judge


def _codes(name: str, events: Mapping[str, str]) -> dict[str, EventCode]:
    for code in events.values():
        if code.upper() not in EventCode.__members__:
            raise ValueError(f"point {name}: event code {code!r}; known: {', '.join(EventCode.__members__).lower()}")
    return {word.casefold(): EventCode[code.upper()] for word, code in events.items()}
