"""The `sparkplug` dialect: Sparkplug B 3.0 edge nodes and their devices → readings, and questions back.

Between the `mqtt` driver and the intake; pure (house rule 2). Births say what metrics exist; data names them by alias.
When something is missing (a gap in seq, an alias nobody explained, data before a birth) the node is asked to be born
again, and until then what it says may raise and never clears (UNCERTAIN, house section 6). Deaths make points BAD. No
answer for a minute, by the node's own clock, makes them BAD too: an alarm may be in what was lost.

Keys of a `[[device]]`: `group`, `node`, `device` (empty: the node's own metrics), `host` (primary host id: its STATE is
kept at the broker; one for all devices of a source). `decode` of a point: `metric` (default: its name), `words` (the
sender's words → raw numbers), `scale`, `offset`, `write` (an output: set by a command to the node or device).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter

import msgspec

from drivers._installing import install, options_of
from drivers._mqtt_thing import raw_state, specs_of
from drivers._sparkplug_node import Installed, Node, Output
from drivers._sparkplug_rows import Row, keep_raw, metric_shown, rows_of
from drivers._values import NO_COMMS, OFFLINE, Reading, Spelling, as_retained
from gateway.model.point import Device, Kind
from gateway.model.ports import Decoded, DialectSetup, Publication
from gateway.protocols import sparkplug
from gateway.protocols.sparkplug import Address, DataType, Metric, Payload, Refused

_MS = 10**6  # ns
_OF_NODES = ("NBIRTH", "NDATA", "NDEATH")
_OF_DEVICES = ("DBIRTH", "DDATA", "DDEATH")
_BIRTHS = ("NBIRTH", "DBIRTH")
_TIME = itemgetter(1)  # of a row


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of a sparkplug device, see above. `open` belongs to `drivers._profiles`."""

    group: str
    node: str
    device: str = ""
    host: str = ""
    open: bool = False


OPTIONS = Options


class _Decode(Spelling, frozen=True, forbid_unknown_fields=True):
    """`decode` of a point."""

    metric: str = ""
    write: bool = False


def create(setup: DialectSetup) -> Sparkplug:
    """Build the dialect. Raises ConfigError that names every device and key that is wrong."""
    return Sparkplug(setup)


def shown(payload: bytes) -> dict[str, object] | None:
    """Return what a payload says, for people, by the names of the specification; None when it is none."""
    message = sparkplug.decode(payload)
    if isinstance(message, Refused):
        return None
    return {"timestamp": message.time, "seq": message.seq, "metrics": [metric_shown(one) for one in message.metrics]}


class Sparkplug:
    """All Sparkplug devices of one source (ports `Dialect`, `Announcing`, `Commanding`)."""

    def __init__(self, setup: DialectSetup) -> None:
        self._options: dict[str, Options] = {}
        self._installed: dict[str, Installed] = {}
        self._nodes: dict[tuple[str, str], Node] = {}
        self._asked: set[str] = set()  # the first device of each node: one question for all
        self._host = ""
        self._since = 0  # ms: of our STATE
        install(setup, self._install)

    def _install(self, device: Device, ids: Mapping[str, int]) -> None:
        options = options_of(device, Options)
        for key in ("group", "node", "device", "host"):
            name = getattr(options, key)
            if set("/+#\0") & set(name) or (key in ("group", "node") and not name):
                raise ValueError(f"{key} = {name!r}: one level of a topic, without / + #")
        if options.host and self._host not in ("", options.host):
            raise ValueError(f"host = {options.host!r}: another device says {self._host!r}; one source is one host")
        self._host = options.host or self._host
        self._options[device.id] = options
        place = (options.group, options.node)
        if place not in self._nodes:
            self._asked.add(device.id)
        node = self._nodes.setdefault(place, Node())
        self._installed[device.id] = _installed(device, options, ids)
        node.devices.setdefault(options.device, []).append(self._installed[device.id])

    def filters(self, device: Device) -> Sequence[str]:
        """Return the MQTT filters of the device's node: seq counts over all its messages, so all are needed."""
        options = self._options[device.id]
        start, node = f"{sparkplug.NAMESPACE}/{options.group}", options.node
        own = [f"{start}/{kind}/{node}" for kind in _OF_NODES]
        state = [sparkplug.state_topic(self._host)] if self._host else []
        return (*own, *(f"{start}/{kind}/{node}/+" for kind in _OF_DEVICES), *state)

    def ask(self, device: Device) -> Sequence[tuple[str, bytes]]:
        """Return the request for births: they are never retained, so at the start we know nothing."""
        options = self._options[device.id]
        request = _request(options.group, options.node)
        return ((request.topic, request.payload),) if device.id in self._asked else ()

    def command(self, device: Device, point: str, value: float) -> Sequence[Publication]:
        """Return the NCMD or DCMD that sets an output, of the type that its birth gave it; nothing: it cannot be."""
        options, output = self._options[device.id], self._installed[device.id].outputs.get(point)
        if output is None:
            return ()
        name, spec, scale, offset = output
        raw = raw_state(spec, value) if spec.kind is Kind.STATE else (value - offset) / scale
        usual = DataType.BOOLEAN if spec.kind is Kind.STATE else DataType.DOUBLE
        datatype = self._nodes[options.group, options.node].type_of(options.device, name) or usual
        try:
            payload = sparkplug.encode(Payload(metrics=(Metric(name=name, datatype=datatype, value=raw),)))
        except ValueError:  # more than its type can hold, or a type that has no numbers
            return ()
        kind = "DCMD" if options.device else "NCMD"
        return (Publication(Address(options.group, kind, options.node, options.device).topic(), payload, qos=0),)

    def will(self, wall: int) -> Publication | None:
        """Return the STATE that the broker tells when we are gone, None without a host id. `wall` in ns."""
        return self._state(wall // _MS, online=False) if self._host else None

    def births(self, wall: int) -> Sequence[Publication]:
        """Return the STATE that says that we are here, with the time of the will (5.3)."""
        self._since = wall // _MS
        return [self._state(self._since, online=True)] if self._host else []

    def _state(self, time: int, *, online: bool) -> Publication:
        return Publication(sparkplug.state_topic(self._host), sparkplug.state(time, online=online), retain=True)

    def decode(self, topic: str, payload: bytes, *, retained: bool, into: Decoded) -> bool:
        """Append what the message says; False when the topic is nobody's."""
        if self._host and topic == sparkplug.state_topic(self._host):
            if sparkplug.is_offline(payload) and self._since:  # the will of our last connection came late (5.3)
                into.replies.append(self._state(self._since, online=True))
            return True
        address = sparkplug.address_of(topic)
        node = address and self._nodes.get((address.group, address.node))
        if address is None or node is None or address.kind not in (*_OF_NODES, *_OF_DEVICES):
            return False
        message = sparkplug.decode(payload)
        if isinstance(message, Refused):
            into.problems.append(message.value)
            if not retained and address.kind not in ("NDEATH", "DDEATH"):
                _doubt(node, address, Payload(), into)
            return True
        if retained:
            _retained(node, address, message, into)
        else:
            _take(node, address, message, payload, into)
        return True


def _installed(device: Device, options: Options, ids: Mapping[str, int]) -> Installed:
    specs = specs_of(device, ids)
    texts = [point for point, spec in specs.items() if spec.kind is Kind.TEXT]
    found = Installed(min(specs), options.device, events=min(texts, default=None))
    for point, spec in specs.items():
        if spec.kind is not Kind.TEXT:
            decode = msgspec.convert(spec.decode, _Decode, strict=False)
            read = decode.reader(spec)
            found.fields[decode.metric or spec.name] = (point, read)
            if decode.write:
                found.outputs[spec.name] = Output(decode.metric or spec.name, spec, decode.scale, decode.offset)
    return found


def _request(group: str, node: str, time: int | None = None) -> Publication:
    """Return the request for births. Its time is the node's own: we have no clock, and each is another request."""
    return Publication(Address(group, "NCMD", node, "").topic(), sparkplug.rebirth(time), qos=0)


def _take(node: Node, address: Address, message: Payload, raw: bytes, into: Decoded) -> None:
    if address.kind == "NDEATH":
        if node.death(message):
            _gone([device for devices in node.devices.values() for device in devices], OFFLINE, into)
        else:
            into.problems.append("old_death")
        return
    devices = node.devices.get(address.device, [])
    missing = _missing(node, address, message)
    if address.kind == "DDEATH":
        node.born.discard(address.device)
        _gone(devices, OFFLINE, into)
        devices = []
    if devices and any(node.meant(address.device, metric) is None for metric in message.metrics):
        missing.append("unknown_alias")
    into.problems += missing
    if message.seq is None:
        into.problems.append("no_seq")  # what it loses cannot be seen; that is no reason to ask for ever
    if missing or not node.sound:
        _doubt(node, address, message, into)
    rows = _rows(node, devices, message, birth=address.kind in _BIRTHS)
    rows.sort(key=_TIME)  # oldest first: what was stored while nobody listened comes before the rest
    into.rows += rows
    for device in devices:
        keep_raw(node, device, message, raw, into)
    if node.sound:
        _heard(node, {point for point, *_ in rows}, into)


def _rows(node: Node, devices: Sequence[Installed], message: Payload, *, birth: bool) -> list[Row]:
    found: list[Row] = []
    for device in devices:
        found += rows_of(node, device, message, sound=node.sound, anew=birth and device.gone)
        device.gone &= not (birth and node.sound)
    return found


def _missing(node: Node, address: Address, message: Payload) -> list[str]:
    """Bring the node up to date with a birth, a death or data; returns what shows that something was lost."""
    if address.kind == "NBIRTH":
        node.node_birth(message)
        return []
    found = [] if node.follows(message) else ["sequence_gap"]
    if address.kind == "DBIRTH":
        node.birth(address.device, message)
    needed = address.kind != "DDEATH" and address.device in node.devices
    if not node.alive or (needed and address.device not in node.born):
        found.append("data_before_birth")
    return found


def _doubt(node: Node, address: Address, message: Payload, into: Decoded) -> None:
    ask, stale = node.doubt(message)
    if ask:
        into.replies.append(_request(address.group, address.node, message.time))
    if stale:
        into.problems.append("no_rebirth")
        _gone([device for devices in node.devices.values() for device in devices], NO_COMMS, into)


def _gone(devices: Sequence[Installed], why: Reading, into: Decoded) -> None:
    for device in devices:
        device.gone = True
        into.rows.extend((point, 0, *why) for point, _ in device.fields.values())


def _heard(node: Node, told: set[int], into: Decoded) -> None:
    """A sign of life of all that were born: a node reports only what changes, and would tell the death of a device."""
    into.heard += [
        device.point
        for place in node.born
        for device in node.devices.get(place, ())
        if not any(point in told for point, _ in device.fields.values())
    ]


def _retained(node: Node, address: Address, message: Payload, into: Decoded) -> None:
    """Sparkplug forbids it (4.2). What has names is a state from before we came; nothing is learnt from it."""
    into.problems.append("retained")
    if address.kind in ("NDEATH", "DDEATH"):
        return
    for device in node.devices.get(address.device, ()):
        rows = rows_of(Node(), device, message, sound=True)
        into.rows += [(point, time, value, as_retained(told)) for point, time, value, told in rows]
