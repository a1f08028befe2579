"""The body of a journal row: the steps of one commit, each with its `now` and its inputs, in order.

Pure codec. The readings of all batches of a commit stand side by side in five columns, what is sparse is MessagePack.
Frames, raw bytes of events, redelivery marks and acknowledgements are not journalled: raw evidence stands in the record
rows, marks in a table of their own. Reading a body back gives the step exactly the inputs that it saw, which is what
makes replay equal to live (house section 3).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from gateway.errors import StoreCorrupt
from gateway.model.alarm import OperatorAct
from gateway.model.batch import Batch, Bytes, Event, EventCode, Floats, Ints, Points
from gateway.model.moment import Epoch, Found, Input, Start
from gateway.model.notification import ChannelState, Receipt, Reply
from gateway.store.columns import (
    pack_bytes,
    pack_floats,
    pack_ints,
    unpack_bytes,
    unpack_floats,
    unpack_ints,
)

Steps = Sequence[tuple[int, Sequence[Input]]]

_PLAIN, _DEFLATED = b"\x01", b"\x02"  # first byte of a body: format of what follows
_SMALL = 120  # bytes below which compressing costs more than it saves

# Numbers are stored and never reused. 0 is a batch.
_TYPES: dict[int, type[msgspec.Struct]] = {
    1: OperatorAct,
    2: Receipt,
    3: Reply,
    4: ChannelState,
    5: Start,
    6: Epoch,
    7: Found,
}
_NUMBERS = {kind: number for number, kind in _TYPES.items()}
_BATCH = 0
_MOST = 1 << 24  # readings a body can hold: damaged bytes must not ask for terabytes
DAMAGE = (msgspec.MsgspecError, zlib.error, struct.error, KeyError, IndexError, ValueError)  # what bad bytes raise


class _Told(msgspec.Struct, array_like=True):
    """An event without its raw bytes. `ends`: an EventCode, 0: none; former versions ended before it."""

    point: int
    key: str
    code: int
    text: str
    time: int
    registered: bool
    ends: int = 0


class _Rows(msgspec.Struct, array_like=True):
    """A batch without its columns: the next `n` rows of the commit's columns are its readings."""

    source: str
    n: int
    event_arrival: int
    waiting: bool
    heard: tuple[int, ...]
    events: tuple[_Told, ...]


class _Body(msgspec.Struct, array_like=True):
    """What is stored. `columns`: point, time, arrival, value, quality of `n` readings."""

    steps: list[tuple[int, list[tuple[int, msgspec.Raw]]]]
    n: int
    columns: tuple[bytes, bytes, bytes, bytes, bytes]


@dataclass(frozen=True, slots=True)
class Readings:
    """Readings of one journal body: arrays of equal length; times as in `Batch`."""

    point: Points
    time: Ints
    arrival: Ints
    value: Floats
    quality: Bytes

    def __len__(self) -> int:
        return len(self.point)


_pack = msgspec.msgpack.Encoder().encode
_unpack_body = msgspec.msgpack.Decoder(_Body)
_unpack_rows = msgspec.msgpack.Decoder(_Rows)
_unpack_other = {number: msgspec.msgpack.Decoder(kind) for number, kind in _TYPES.items()}


def encode(steps: Steps) -> bytes:
    """Return the body of a journal row."""
    batches = [item for _, inputs in steps for item in inputs if isinstance(item, Batch)]
    told = [(now, [_encode_input(item) for item in inputs]) for now, inputs in steps]
    n = sum(len(batch) for batch in batches)
    plain = _pack(_Body(told, n, _columns(batches) if n else (b"", b"", b"", b"", b"")))
    if len(plain) < _SMALL:
        return _PLAIN + plain
    deflated = zlib.compress(plain, 1)
    return _DEFLATED + deflated if len(deflated) < len(plain) else _PLAIN + plain


def decode(body: bytes) -> list[tuple[int, list[Input]]]:
    """Return the steps of a body; StoreCorrupt when the bytes are not what `encode` wrote."""
    try:
        told = _open(body)
        readings = _readings(told)
        place, steps = 0, []
        for now, inputs in told.steps:
            taken: list[Input] = []
            for number, raw in inputs:
                if number == _BATCH:
                    rows = _unpack_rows.decode(raw)
                    taken.append(_batch(rows, readings, place))
                    place += rows.n
                else:
                    taken.append(_unpack_other[number].decode(raw))  # type: ignore[arg-type]
            steps.append((now, taken))
    except DAMAGE as error:
        raise StoreCorrupt(f"a journal row cannot be read: {error}") from error
    return steps


def decode_readings(body: bytes) -> Readings:
    """Return only the readings of a body, in order; StoreCorrupt as `decode`."""
    try:
        return _readings(_open(body))
    except DAMAGE as error:
        raise StoreCorrupt(f"a journal row cannot be read: {error}") from error


def _columns(batches: Sequence[Batch]) -> tuple[bytes, bytes, bytes, bytes, bytes]:
    return (
        pack_ints(np.concatenate([batch.point for batch in batches]).astype(np.int64)),
        pack_ints(np.concatenate([batch.time for batch in batches])),
        pack_ints(np.concatenate([batch.arrival for batch in batches])),
        pack_floats(np.concatenate([batch.value for batch in batches])),
        pack_bytes(np.concatenate([batch.quality for batch in batches])),
    )


def _encode_input(item: Input) -> tuple[int, msgspec.Raw]:
    if not isinstance(item, Batch):
        return _NUMBERS[type(item)], msgspec.Raw(_pack(item))
    events = tuple(
        _Told(e.point, e.key, int(e.code), e.text, e.time, e.registered, int(e.ends or 0)) for e in item.events
    )
    rows = _Rows(item.source, len(item), item.event_arrival, item.waiting, item.heard, events)
    return _BATCH, msgspec.Raw(_pack(rows))


def _open(body: bytes) -> _Body:
    kind, rest = body[:1], body[1:]
    if kind not in (_PLAIN, _DEFLATED):
        raise ValueError(f"unknown format {kind!r}")
    told = _unpack_body.decode(zlib.decompress(rest) if kind == _DEFLATED else rest)
    if not 0 <= told.n <= _MOST:
        raise ValueError(f"{told.n} readings")
    return told


def _readings(told: _Body) -> Readings:
    n, (point, time, arrival, value, marks) = told.n, told.columns
    if not n:
        empty = np.empty(0, dtype=np.int64)
        return Readings(
            empty.astype(np.int32), empty, empty, np.empty(0, dtype=np.float64), np.empty(0, dtype=np.uint8)
        )
    return Readings(
        point=unpack_ints(point, n).astype(np.int32),
        time=unpack_ints(time, n),
        arrival=unpack_ints(arrival, n),
        value=unpack_floats(value, n),
        quality=unpack_bytes(marks, n),
    )


def _batch(rows: _Rows, readings: Readings, place: int) -> Batch:
    part = slice(place, place + rows.n)
    return Batch(
        source=rows.source,
        point=readings.point[part],
        time=readings.time[part],
        arrival=readings.arrival[part],
        value=readings.value[part],
        quality=readings.quality[part],
        events=tuple(
            Event(
                point=one.point,
                key=one.key,
                code=EventCode(one.code),
                text=one.text,
                time=one.time,
                registered=one.registered,
                ends=EventCode(one.ends) if one.ends else None,
            )
            for one in rows.events
        ),
        event_arrival=rows.event_arrival,
        heard=rows.heard,
        waiting=rows.waiting,
    )
