"""Frames of a protocol without knowing the device: bytes → messages with the fields that stand in them.

Pure; beside `drivers._decode_device`, which reads the same bytes with a profile. Every codec of `gateway.protocols`
that has a splitter (`feed`, `drop`) is read by one class, `Frames`; what is special to a protocol is one function
here. A driver of another distribution has no entry: its frames are read with a profile. Keeps house section 11.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from drivers import _decode_gb26875, _decode_hj212, _decode_sl651
from drivers._decode_bus import Bus, Passed
from drivers._decode_modbus import frames_of
from drivers._decode_said import Said, error, fields_of, message, plain
from drivers._panel_device import dialect_of, dialects
from gateway.errors import ProtocolViolation
from gateway.protocols import gb26875, hj212, sl651, sl651_frames, smspdu, uart
from gateway.protocols.modbus_framing import Ascii, Framing, Mbap
from gateway.protocols.panel_words import Heard, Stream

MODBUS = ("modbus_rtu", "modbus_ascii", "modbus_tcp")
_LONGEST_PDU = 180  # bytes: service centre, head and 140 bytes of text


class Splitter(Protocol):
    """What the codecs have in common."""

    @property
    def pending(self) -> object:
        """Whether (or which) bytes wait for the rest of their frame."""

    def feed(self, data: bytes) -> Sequence[object]:
        """Take bytes; return frames and refusals, in order."""

    def drop(self) -> Sequence[object]:
        """Give up a half frame."""


class Frames:
    """One stream of a protocol as messages. Never raises on foreign bytes."""

    def __init__(self, split: Splitter, say: Callable[[Any], list[Said]]) -> None:
        self._split = split
        self._say = say

    def hear(self, data: bytes) -> list[Said]:
        """Return what some bytes of the stream complete."""
        return [said for one in self._split.feed(data) for said in self._say(one)]

    def flush(self) -> list[Said]:
        """Return what is left when nothing more comes: what hides behind a half frame, and the half frame as error."""
        said: list[Said] = []
        while self._split.pending:
            said += [line for one in self._split.drop() for line in self._say(one)]
        return said


class _Pdu:
    """A short message's PDU, given whole."""

    pending = False

    def feed(self, data: bytes) -> list[object]:
        if len(data) > _LONGEST_PDU:
            return [ProtocolViolation("too long for a PDU")]
        try:
            return [smspdu.decode(data)]
        except ProtocolViolation as why:
            return [why]

    def drop(self) -> list[object]:
        return []


class Turned:
    """A bus whose frames wear other clothes."""

    def __init__(self, framing: Framing) -> None:
        self._framing = framing
        self._bus = Bus()
        self._lost = False

    @property
    def pending(self) -> bool:
        """Whether bytes wait for the rest of their frame."""
        return self._bus.pending or bool(self._framing.waiting)

    def feed(self, data: bytes) -> list[Passed]:
        """Take bytes; return what they complete."""
        if self._lost:
            return [Passed("noise", data)]
        whole = self._framing.waiting + data
        try:
            turned = self._framing.unpack(data)
        except ProtocolViolation:
            self._lost = True  # nothing says where the next frame begins
            lost, self._framing.waiting = self._framing.waiting, b""
            before = self._framing.unpack(whole[: len(whole) - len(lost)])
            return [*(self._bus.feed(before) if before else []), Passed("noise", lost)]
        return [Passed("noise", data)] if turned == data else self._bus.feed(turned) if turned else []

    def drop(self) -> list[Passed]:
        """Give up a half frame."""
        lost, self._framing.waiting = self._framing.waiting, b""
        return [*self._bus.drop(), *([Passed("noise", lost)] if lost else [])]


def frames(protocol: str) -> Frames | None:
    """Return the reader of a protocol's frames; None for a protocol that is read with a profile only."""
    made = _MAKERS.get(protocol)
    return None if made is None else made()


def line(protocol: str) -> Bus | Turned:
    """Return the ear for one of the Modbus protocols."""
    match protocol:
        case "modbus_ascii":
            return Turned(Ascii())
        case "modbus_tcp":
            return Turned(Mbap(asks=False))
    return Bus()


def names() -> list[str]:
    """Return the protocols whose frames can be read without a profile."""
    return sorted(_MAKERS)


def _refused(one: object) -> list[Said]:
    """Return why some bytes are no frame; codecs call the bytes `data`, `raw` or `frame`."""
    reason = getattr(one, "reason", None) or getattr(one, "what", "noise")
    data = next((getattr(one, name) for name in ("data", "raw", "frame") if hasattr(one, name)), b"")
    return [error(str(plain(reason)), raw=data)]


def _bus(one: Passed) -> list[Said]:
    if one.what == "noise":
        return _refused(one)
    try:
        return frames_of(
            one.frame if one.request is None or one.what == "request" else one.request.encode() + one.frame
        )[-1:]
    except ProtocolViolation as why:
        return [error(str(why), raw=one.frame)]


def _modbus(name: str) -> Frames:
    return Frames(line(name), _bus)


def _gb26875(one: gb26875.Frame | gb26875.Garbage) -> list[Said]:
    return _refused(one) if isinstance(one, gb26875.Garbage) else [_decode_gb26875.said_of(one)]


def _sl651(one: sl651.Frame | sl651_frames.Garbage) -> list[Said]:
    return _refused(one) if isinstance(one, sl651_frames.Garbage) else [_decode_sl651.said_of(one)]


def _hj212(one: hj212.Frame | hj212.Garbage) -> list[Said]:
    return _refused(one) if isinstance(one, hj212.Garbage) else [_decode_hj212.said_of(one)]


def _uart(sensor: str) -> Frames:
    def say(one: uart.Told | uart.Unfit) -> list[Said]:
        return [message(sensor, "frame", figures=one.figures)] if isinstance(one, uart.Told) else _refused(one)

    return Frames(uart.EARS[sensor](), say)


def _panel(name: str) -> Frames:
    def say(one: object) -> list[Said]:
        if not isinstance(one, Heard):
            return _refused(one)
        events = [{**fields_of(each), "code": each.code.name.lower()} for each in one.events]
        for event, told in zip(events, one.events, strict=True):
            del event["by_type"]  # for the driver alone
            if told.ends is not None:
                event["ends"] = told.ends.name.lower()
        return [message(name, "frame", panel=one.panel, events=events, unknown=one.unknown, raw=one.frame)]

    dialect = dialect_of(name)
    return Frames(Stream(dialect.read, dialect.BEGIN), say)


def _pdu(one: object) -> list[Said]:
    if isinstance(one, ProtocolViolation):
        return [error(str(one))]
    assert dataclasses.is_dataclass(one)  # noqa: S101 - narrows the type; the codec returns nothing else
    fields = {field.name: getattr(one, field.name) for field in dataclasses.fields(one)}
    user = fields.pop("user", None)
    said: Said = {"kind": "message", "protocol": "at-pdu", "what": type(one).__name__.lower()}
    for key, value in fields.items():
        if value not in (None, "", b""):
            said["protocol_id" if key == "protocol" else key] = plain(value)
    if user is not None:
        said["text"] = user.text
        if user.concatenation is not None:
            said["part"] = list(dataclasses.astuple(user.concatenation))
    if isinstance(one, smspdu.StatusReport):
        said["outcome"] = one.outcome.value
    return [said]


_MAKERS: Mapping[str, Callable[[], Frames]] = {
    **{name: partial(_modbus, name) for name in MODBUS},
    "gb26875": lambda: Frames(gb26875.Frames(), _gb26875),
    "sl651": lambda: Frames(sl651_frames.Frames(), _sl651),
    "hj212": lambda: Frames(hj212.Frames(), _hj212),
    "at-pdu": lambda: Frames(_Pdu(), _pdu),
    **{name: partial(_uart, name) for name in uart.EARS},
    **{name: partial(_panel, name) for name in dialects()},
}
