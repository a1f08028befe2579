"""Sparkplug B 3.0 payloads: protobuf bytes ↔ metrics, topics, the primary host's STATE.

Pure, both directions (house section 5): between `drivers/dialects/sparkplug.py` or a simulated edge node and the wire.
Follows the Sparkplug specification 3.0, chapters 4 (topics), 5 (STATE) and 6 (payload); `sparkplug.proto` has the field
numbers. What nobody here looks into (data sets, templates, arrays, files) stays bytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import NamedTuple

from google.protobuf.message import DecodeError

from gateway.protocols import sparkplug_pb2 as pb

NAMESPACE = "spBv1.0"
REBIRTH = "Node Control/Rebirth"
BD_SEQ = "bdSeq"
SEQUENCE = 256  # seq and bdSeq count modulo this
_QUALITY = "Quality"  # the property that says how far a value may be believed
_COMPRESSED = "SPBV1.0_COMPRESSED"
_MOST_MS = (1 << 63) // 10**6  # more would not be a time in ns


class DataType(IntEnum):
    """Types of metrics (6.4.16). 22 to 34 are arrays."""

    UNKNOWN = 0
    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    DATETIME = 13
    TEXT = 14
    UUID = 15
    DATASET = 16
    BYTES = 17
    FILE = 18
    TEMPLATE = 19


_SIGNED = {DataType.INT8: 8, DataType.INT16: 16, DataType.INT32: 32, DataType.INT64: 64}
_UNSIGNED = {DataType.UINT8: 8, DataType.UINT16: 16, DataType.UINT32: 32, DataType.UINT64: 64, DataType.DATETIME: 64}
_LONG = frozenset({DataType.INT64, DataType.UINT64, DataType.DATETIME})
_WORDS = frozenset({DataType.STRING, DataType.TEXT, DataType.UUID})
_OPAQUE = frozenset({"bytes_value", "dataset_value", "template_value"})


class Refused(Enum):
    """Why there is no payload."""

    NOT_SPARKPLUG = "not_sparkplug"
    COMPRESSED = "compressed"


class Quality(IntEnum):
    """Values of the property `Quality` (6.4.7)."""

    BAD = 0
    GOOD = 192
    STALE = 500


Value = bool | int | float | str | bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric. Which of its fields are there depends on the message: a birth has all, data mostly the alias.

    Attributes:
        name: empty when only the alias was sent.
        alias: None when none was sent.
        time: ms since 1970 UTC, None when none was sent.
        datatype: as sent, 0 when not sent.
        value: of the wire: integers unsigned, see `value_of`; bytes of what is not looked into; None for null.
        kind: the field that held it, e.g. `dataset_value`; empty when there was none.
        historical: measured while nobody listened.
        quality: the property `Quality`, None without.
    """

    name: str = ""
    alias: int | None = None
    time: int | None = None
    datatype: int = 0
    value: Value = None
    kind: str = ""
    historical: bool = False
    quality: int | None = None

    @property
    def opaque(self) -> bool:
        """Whether it is a data set, a template or bytes: no single value."""
        return self.kind in _OPAQUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """One message. `time` in ms, `seq` 0 to 255; None when not sent or impossible."""

    time: int | None = None
    seq: int | None = None
    metrics: tuple[Metric, ...] = ()


class Address(NamedTuple):
    """A topic taken apart. `kind`: NBIRTH, DDATA …; `device` is empty for messages of the node."""

    group: str
    kind: str
    node: str
    device: str

    def topic(self) -> str:
        """Return the topic."""
        return "/".join((NAMESPACE, self.group, self.kind, self.node, *([self.device] if self.device else ())))


def address_of(topic: str) -> Address | None:
    """Return what a topic says; None for what is no message of a node or device (4.1)."""
    parts = topic.split("/")
    if len(parts) not in (4, 5) or parts[0] != NAMESPACE or not all(parts):
        return None
    _, group, kind, node, *device = parts
    if kind.startswith("D") != bool(device):
        return None
    return Address(group, kind, node, device[0] if device else "")


def decode(data: bytes) -> Payload | Refused:
    """Return the payload, or why there is none. Never raises."""
    message = pb.Payload()
    try:
        message.ParseFromString(data)
    except DecodeError:
        return Refused.NOT_SPARKPLUG
    if message.uuid == _COMPRESSED:
        return Refused.COMPRESSED
    return Payload(
        time=_ms(message.timestamp) if message.HasField("timestamp") else None,
        seq=message.seq if message.HasField("seq") and message.seq < SEQUENCE else None,
        metrics=tuple(map(_metric, message.metrics)),
    )


def _metric(metric: pb.Metric) -> Metric:
    kind = metric.WhichOneof("value") or ""
    raw: Value = None if metric.is_null or not kind else getattr(metric, kind)
    if kind == "string_value" and isinstance(raw, bytes):  # what UTF-8 cannot read comes as bytes
        raw = raw.decode("utf-8", "replace")
    return Metric(
        name=_text(metric.name),
        alias=metric.alias if metric.HasField("alias") else None,
        time=_ms(metric.timestamp) if metric.HasField("timestamp") else None,
        datatype=metric.datatype,
        value=raw,
        kind=kind,
        historical=metric.is_historical,
        quality=_quality(metric.properties) if metric.HasField("properties") else None,
    )


def _text(text: str | bytes) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text


def _ms(time: int) -> int | None:
    return time if 0 < time < _MOST_MS else None


def _quality(properties: pb.PropertySet) -> int | None:
    for key, value in zip(properties.keys, properties.values, strict=False):
        if _text(key) == _QUALITY and not value.is_null:
            kind = value.WhichOneof("value")
            if kind is not None:
                return int(getattr(value, kind))
    return None


def value_of(metric: Metric, datatype: int) -> Value:
    """Return what a metric's value means under a type: a signed number, a truth, text.

    None: null, bytes, or a number that its type cannot hold. Negative numbers stand in unsigned fields as two's
    complement, of the type's own width or extended to that of the field (6.4.16): both are read. A type of 0 or one
    that is not known leaves the value as it came.
    """
    raw = metric.value
    if raw is None or isinstance(raw, bytes):
        return None
    if isinstance(raw, str) or datatype in _WORDS:
        return raw if isinstance(raw, str) else None
    if datatype == DataType.BOOLEAN:
        return bool(raw) if raw in (0, 1) else None
    if not isinstance(raw, int) or isinstance(raw, bool):
        return raw
    width = _SIGNED.get(DataType(datatype)) if datatype in _SIGNED else None
    if width is not None:
        return _signed(raw, width)
    most = _UNSIGNED.get(DataType(datatype), 64) if datatype in _UNSIGNED else 64
    return raw if raw < 1 << most else None


def _signed(raw: int, width: int) -> int | None:
    low = raw & ((1 << width) - 1)
    meant = low - (1 << width) if low >> (width - 1) else low
    return meant if raw in (low, meant & 0xFFFF_FFFF, meant & 0xFFFF_FFFF_FFFF_FFFF) else None


def encode(payload: Payload) -> bytes:
    """Return the bytes of a payload. Metrics need a datatype or a `kind`; both may be left out for null.

    Raises:
        ValueError: a value that its type cannot hold.
    """
    message = pb.Payload()
    if payload.time is not None:
        message.timestamp = payload.time
    for metric in payload.metrics:
        _fill(message.metrics.add(), metric)
    if payload.seq is not None:
        message.seq = payload.seq
    return message.SerializeToString()


def _fill(message: pb.Metric, metric: Metric) -> None:
    for name, said in (("name", metric.name), ("datatype", metric.datatype), ("is_historical", metric.historical)):
        if said:
            setattr(message, name, said)
    for name, number in (("alias", metric.alias), ("timestamp", metric.time)):
        if number is not None:
            setattr(message, name, number)
    if metric.quality is not None:
        message.properties.keys.append(_QUALITY)
        message.properties.values.add(type=DataType.INT32, int_value=metric.quality)
    if metric.value is None:
        message.is_null = True
        return
    kind, value = (metric.kind, metric.value) if metric.kind else placed(metric.datatype, metric.value)
    setattr(message, kind, value)


def placed(datatype: int, value: bool | float | str | bytes) -> tuple[str, Value]:  # noqa: FBT001 - a value is data
    """Return the field for a value of a type and what is written there. Raises ValueError, see `encode`."""
    if isinstance(value, str):
        return "string_value", value
    if isinstance(value, bytes):
        return {DataType.DATASET: "dataset_value", DataType.TEMPLATE: "template_value"}.get(
            DataType(datatype), "bytes_value"
        ), value
    if datatype == DataType.BOOLEAN:
        return "boolean_value", bool(value)
    if datatype in (DataType.FLOAT, DataType.DOUBLE):
        return ("float_value" if datatype == DataType.FLOAT else "double_value"), float(value)
    known = DataType(datatype)
    signed, width = known in _SIGNED, _SIGNED.get(known) or _UNSIGNED.get(known, 0)
    low, high = (-(1 << width >> 1), 1 << width >> 1) if signed else (0, (1 << width) if width else 0)
    if not low <= value < high:
        raise ValueError(f"{value} is no {known.name}")
    return ("long_value" if known in _LONG else "int_value"), round(value) & ((1 << width) - 1)


def rebirth(time: int | None = None) -> bytes:
    """Return the payload of the NCMD that asks a node for its births (6.4.22); `time` in ms, None: no clock says it."""
    return encode(Payload(time=time, metrics=(Metric(name=REBIRTH, datatype=DataType.BOOLEAN, value=True),)))


def state_topic(host: str) -> str:
    """Return the topic of a host's STATE (5.2)."""
    return f"{NAMESPACE}/STATE/{host}"


def state(time: int, *, online: bool) -> bytes:
    """Return the payload of a STATE; `time` in ms, the same for birth and will of one connection (5.3)."""
    return json.dumps({"online": online, "timestamp": time}).encode()


def is_offline(data: bytes) -> bool:
    """Whether a STATE payload says that the host is gone."""
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and said.get("online") is False
