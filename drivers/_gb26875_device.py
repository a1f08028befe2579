"""Installed GB/T 26875.3 devices: their options and points, and whose a frame is. Pure.

Made at load by `drivers/gb26875.py`, read by `_gb26875_events.py` and `_gb26875_talk.py`. Keeps house section 6: what
an address says that no configuration knows is an alarm "not registered", never nothing.

`decode` of a point is one of:

| decode | meaning |
|---|---|
| analog | analog type (table 6) of any place, of the place `at`, or of components of the type `component` |
| scale, offset | value = raw * scale + offset; `scale` is by default the step that the standard gives the type |
| bit | one bit of the status word of the place `at`, as a state |
| command | an output: `set_time` and `initialise` (1), `duty_check` (minutes), `request` |
| type | of `request`: the unit type 61 to 88, about the place `at`; set to 1, or the number of records (64, 84) |

Places are keys of events: `1/1` a system (type/address), `1/1/2/10` a component (…/loop/point, or the whole number
with `component_address = "whole"`), `device` the transmission device itself.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import msgspec

from drivers._gb26875_keys import DeviceOptions, address_of, key_of, place_of, same_key, written
from drivers._gb26875_words import AGAIN_WITHIN, Words
from drivers._installing import options_of
from drivers._times import zone_of
from drivers._values import Reading, number_reader
from gateway.errors import ConfigError
from gateway.model.point import Device, Kind, PointSpec
from gateway.model.verdict import NEVER
from gateway.protocols.gb26875 import Frame
from gateway.protocols.gb26875_tables import QUANTITIES
from gateway.protocols.gb26875_units import LIMITS

OWN = "device"  # the key of the transmission device itself
STRANGERS = 256  # addresses without a place in the configuration that are told apart
_PLACES = 64  # of each of them, whose last words are remembered: anybody may be a stranger
_SERIALS = 32  # of frames that a device sends in one second
RECORDS = 102  # most that a request may ask for
_Byte = Annotated[int, msgspec.Meta(ge=0, le=255)]


_STRANGER = DeviceOptions(ask_state=False, set_time=False, check=0)


class Decode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`decode` of a point, see above."""

    analog: _Byte | None = None
    bit: Annotated[int, msgspec.Meta(ge=0, le=15)] | None = None
    command: Literal["", "set_time", "initialise", "duty_check", "request"] = ""
    at: str = ""
    component: _Byte | None = None
    scale: float | None = None
    offset: float = 0.0
    type: _Byte = 0


@dataclass(slots=True, frozen=True)
class Measured:
    """A point that analog values or status bits feed."""

    point: int
    decode: Decode
    read: Callable[[float], Reading]


@dataclass(slots=True, eq=False)
class Speaker:
    """Who sends frames: a configured device, or an address that none knows. Below `words`: what is known by now.

    Attributes:
        id: of the device, or a stranger's address.
        number: its address in frames, None where any will do.
        offset: s its clock is east of UTC.
        events: the point of its events; their keys begin with `prefix`.
        known: keys that are installed, None: any.
        any_point: a point for signs of life, -1: a stranger has none.
        described: what it calls its components, by their keys.
        us: what it calls us; `them`: what it calls itself (both from its last frame).
        sent: newest sending time, serial numbers of the frames that had it within a minute, arrival of the first.
        stands: its clock stands still: that time came more than a minute later with another serial number.
        duty: ns when the time for the answer to a duty check is over.
        home: the conversation in which it spoke last.
    """

    id: str
    options: DeviceOptions
    number: int | None
    offset: int
    events: int
    prefix: str = ""
    registered: bool = True
    known: frozenset[str] | None = None
    any_point: int = -1
    analogs: dict[int, list[Measured]] = field(default_factory=dict)
    bits: dict[str, list[Measured]] = field(default_factory=dict)
    outputs: dict[str, Decode] = field(default_factory=dict)
    words: Words = field(default_factory=Words)
    systems: dict[tuple[int, int], None] = field(default_factory=dict)
    unmapped: set[tuple[str, int]] = field(default_factory=set)
    described: dict[str, str] = field(default_factory=dict)
    us: int = 0
    them: int = 0
    main: int = 1
    user: int = 1
    heard: int = 0
    sent: tuple[bytes, tuple[int, ...], int] = (b"", (), 0)
    stands: bool = False
    duty: int = NEVER
    home: object = None

    def met(self, frame: Frame, now: int) -> None:
        """Learn from a frame of its how it wants to be spoken to."""
        self.us, self.them, self.main, self.user = frame.destination, frame.source, frame.main, frame.user
        self.heard = now
        sent, serials, since = self.sent
        if frame.sent != sent:
            self.sent, self.stands = (frame.sent, (frame.serial,), now), False
        elif frame.serial in serials:
            return  # one of these once more
        elif now - since > AGAIN_WITHIN:
            self.stands = True
        else:
            self.sent = sent, (*serials, frame.serial)[-_SERIALS:], since

    def component(self, system: int, address: int, place: int) -> str:
        """Return the key of a component."""
        return key_of((system, address, place), self.options.component_address)

    def place(self, key: str) -> tuple[int, int, int] | None:
        """Return (system, address, component address) of a key, 0 for the last of a system's; None: no place."""
        return place_of(key, self.options.component_address)


class Directory:
    """Whose a frame is: by source address, by destination address, the one device of the source, or a stranger's.

    `offset`: of the clocks that replies to nobody in particular go by.
    """

    def __init__(self, speakers: Sequence[Speaker], source_events: int) -> None:
        self.speakers = {speaker.id: speaker for speaker in speakers}
        self._by: dict[str, dict[int, Speaker]] = {"source": {}, "destination": {}}
        self._sole = None
        for speaker in speakers:
            if speaker.number is None:
                self._sole = speaker
            else:
                self._by[speaker.options.address_in][speaker.number] = speaker
        self.offset = speakers[0].offset if speakers else _seconds(_STRANGER)
        self._source_events = source_events
        self._strangers: OrderedDict[int, Speaker] = OrderedDict()

    def find(self, frame: Frame) -> Speaker:
        """Return who sent it."""
        known = self._by["source"].get(frame.source) or self._by["destination"].get(frame.destination) or self._sole
        if known is not None:
            return known
        number = frame.source or frame.destination
        stranger = self._strangers.get(number)
        if stranger is None:
            if len(self._strangers) >= STRANGERS:
                self._strangers.popitem(last=False)
            stranger = self._strangers[number] = Speaker(
                id=str(number),
                options=_STRANGER,
                number=number,
                offset=_seconds(_STRANGER),
                events=self._source_events,
                prefix=f"{number}/",
                registered=False,
                words=Words(_PLACES),
            )
        return stranger


def install(device: Device, ids: Mapping[str, int], source_events: int) -> Speaker:
    """Compile a device; one without a point for events has them at its source. Raises ValueError, ConfigError."""
    options = _tidy(options_of(device, DeviceOptions))
    points = {spec.name: ids[f"{device.id}.{spec.name}"] for spec in device.profile.points}
    texts = [points[spec.name] for spec in device.profile.points if spec.kind is Kind.TEXT and not spec.decode]
    if not points:
        raise ValueError("it has no points: give some under [device.points]")
    number = None if options.address == "" else address_of(options.address)
    known = None if options.addresses is None else frozenset((*options.addresses, *options.names))
    made = Speaker(
        id=device.id,
        options=options,
        number=number,
        offset=_seconds(options),
        events=texts[0] if texts else source_events,
        prefix="" if texts else f"{device.id}/",
        known=known,
        any_point=min(points.values()),
        them=number or 0,
    )
    for key in (*(options.addresses or ()), *options.names):
        found = made.place(key)
        if found is not None:
            made.systems[found[:2]] = None
    problems: list[str] = []
    for spec in device.profile.points:
        try:
            if spec.decode:
                _add(made, spec, points[spec.name])
        except (ConfigError, ValueError) as error:
            problems.append(str(error))
    if problems:
        raise ValueError("\n".join(problems))
    return made


def _tidy(options: DeviceOptions) -> DeviceOptions:
    """Return options whose places are written as events have them: panels show "002-010"."""

    def key(place: str) -> str:
        return same_key(place, options.component_address) or place

    places = None if options.addresses is None else tuple(map(key, options.addresses))
    names = {key(place): name for place, name in options.names.items()}
    return msgspec.structs.replace(options, addresses=places, names=names)


def same_address(speakers: Sequence[Speaker]) -> list[str]:
    """Return what is wrong where devices of one source cannot be told apart."""
    problems: list[str] = []
    owners: dict[tuple[str, int | None], str] = {}
    for one in speakers:
        where = (one.options.address_in, one.number)
        other = owners.setdefault(where, one.id)
        if other != one.id:
            said = "no address, like" if one.number is None else f"address {one.number}, that of"
            problems.append(f"device {one.id}: {said} {other}")
    return problems


def _seconds(options: DeviceOptions) -> int:
    offset = zone_of(options.utc_offset).utcoffset(None)
    return round(offset.total_seconds())


def _add(made: Speaker, spec: PointSpec, point: int) -> None:
    try:
        decode = msgspec.convert(spec.decode, Decode, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"point {spec.name}: {error}") from error
    kinds = [decode.analog is not None, decode.bit is not None, bool(decode.command)]
    if sum(kinds) != 1:
        raise ValueError(f"point {spec.name}: decode needs one of analog, bit and command")
    if decode.command:
        _check_command(made, spec.name, decode)
        made.outputs[spec.name] = decode
        return
    decode = msgspec.structs.replace(decode, at=_place(made, spec.name, decode))
    if decode.analog is not None:
        made.analogs.setdefault(decode.analog, []).append(Measured(point, decode, _analog_reader(spec, decode)))
    else:
        made.bits.setdefault(decode.at, []).append(Measured(point, decode, number_reader(spec)))


def _place(made: Speaker, name: str, decode: Decode) -> str:
    """Return the place of a value or a bit as events have it. Raises ValueError: it can be none of this device's."""
    split = made.options.component_address
    key = OWN if decode.at == OWN and decode.bit is not None else same_key(decode.at, split)
    wanted = key is not None and (decode.bit is not None or key.count("/") > 1)
    if not wanted and (decode.at or decode.bit is not None):
        more = "" if decode.bit is None else '"device", "1/1" or '
        raise ValueError(f'point {name}: "{decode.at}" is no place; write {more}{written(split)}')
    return key or ""


def _analog_reader(spec: PointSpec, decode: Decode) -> Callable[[float], Reading]:
    quantity = QUANTITIES.get(decode.analog or 0)
    if quantity is not None and spec.valid_range is None and spec.over_range is None:
        spec = msgspec.structs.replace(spec, over_range=(quantity.low, quantity.high))
    step = 1.0 if quantity is None else quantity.step
    return number_reader(spec, scale=step if decode.scale is None else decode.scale, offset=decode.offset)


def _check_command(made: Speaker, name: str, decode: Decode) -> None:
    if decode.command != "request":
        return
    if decode.type not in LIMITS or not 61 <= decode.type <= 88:
        raise ValueError(f"point {name}: type {decode.type} is no request; known: 61 to 68, 81, 84, 85, 86, 88")
    if decode.type < 81 and made.place(decode.at) is None:
        how = written(made.options.component_address)
        raise ValueError(f'point {name}: "{decode.at}" is no place; write "1/1" or {how}')
