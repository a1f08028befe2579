"""The `esphome` dialect: one topic per entity, as ESPHome's MQTT component publishes them.

Between the `mqtt` driver and the intake; pure (house rule 2). Follows the documentation of ESPHome's MQTT client:
`<prefix>/<component>/<object id>/state` in plain text (a sensor without a value says `nan`: BAD), retained by default;
`<prefix>/status` online or offline, as birth and last will; `…/command` sets an output.

Keys of a `[[device]]`: `topic` (the prefix, by default the node's name), `status` (if birth and will have another
topic), `sleeps` (deep sleep: "offline" says nothing).

`decode` of a point: `entity` (`sensor/hall_temperature`; default the component of its kind and its name), `topic` (of
the state, where the node's configuration changed it), `words`, `scale`, `offset`, `write` (true: an output). A text
point with an `entity` turns each new text into an INFO event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from drivers._installing import install, options_of
from drivers._mqtt_thing import Thing, fit_topic, frame_of, raw_state, specs_of
from drivers._payload import Unreadable, message_of, text_of
from drivers._values import Reading, Spelling
from gateway.model.batch import Event, EventCode
from gateway.model.point import Device, Kind, PointSpec
from gateway.model.ports import Decoded, DialectSetup, Publication

_COMPONENTS = {Kind.STATE: "binary_sensor", Kind.TEXT: "text_sensor"}
_TEXT = 400  # characters of a text sensor that are kept


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of an esphome device, see above."""

    topic: str
    status: str = ""
    sleeps: bool = False
    open: bool = False


OPTIONS = Options


class _Decode(Spelling, frozen=True, forbid_unknown_fields=True):
    """`decode` of a point."""

    entity: str = ""
    topic: str = ""
    write: bool = False


@dataclass(slots=True)
class _Node(Thing):
    """One node: its topics, and its outputs by point."""

    status: str = ""
    states: dict[str, list[tuple[int, Callable[[object], Reading] | None]]] = field(default_factory=dict)
    outputs: dict[str, tuple[str, PointSpec]] = field(default_factory=dict)


def create(setup: DialectSetup) -> Esphome:
    """Build the dialect. Raises ConfigError that names every device and key that is wrong."""
    return Esphome(setup)


class Esphome:
    """All nodes of one source (ports `Dialect` and `Commanding`)."""

    def __init__(self, setup: DialectSetup) -> None:
        self._nodes = install(setup, _install)
        self._states: dict[str, list[_Node]] = {}
        self._status: dict[str, list[_Node]] = {}
        for node in self._nodes.values():
            self._status.setdefault(node.status, []).append(node)
            for topic in node.states:
                self._states.setdefault(topic, []).append(node)

    def filters(self, device: Device) -> Sequence[str]:
        """Return the topics of a node's points and of its status."""
        node = self._nodes[device.id]
        return (*node.states, node.status)

    def ask(self, device: Device) -> Sequence[tuple[str, bytes]]:  # noqa: ARG002 - the port names it
        """Nothing: a node tells everything when it connects, and keeps it retained."""
        return ()

    def command(self, device: Device, point: str, value: float) -> Sequence[Publication]:
        """Return the command of an output: ON and OFF, of a number the number."""
        node = self._nodes[device.id]
        if point not in node.outputs:
            return ()
        topic, spec = node.outputs[point]
        if spec.kind is not Kind.STATE:
            return (Publication(topic, b"%.9g" % value),)  # as many digits as its floats have
        return (Publication(topic, b"ON" if raw_state(spec, value) else b"OFF"),)

    def decode(self, topic: str, payload: bytes, *, retained: bool, into: Decoded) -> bool:
        """Append what the message says; False when the topic is nobody's."""
        states, status = self._states.get(topic, ()), self._status.get(topic, ())
        for node in states:
            _state(node, topic, payload, retained=retained, into=into)
        for node in status:
            _available(node, payload, retained=retained, into=into)
        return bool(states or status)


def _install(device: Device, ids: Mapping[str, int]) -> _Node:
    options = options_of(device, Options)
    prefix = fit_topic(options.topic)
    specs = specs_of(device, ids)
    node = _Node(*frame_of(specs), options.sleeps, status=fit_topic(options.status or f"{prefix}/status"))
    for point, spec in specs.items():
        decode = msgspec.convert(spec.decode, _Decode, strict=False)
        entity = decode.entity or f"{_COMPONENTS.get(spec.kind, 'sensor')}/{spec.name}"
        if spec.kind is Kind.TEXT and not (decode.entity or decode.topic):
            continue  # the place of the device's own events, no entity
        if entity.count("/") != 1 or not all(entity.split("/")):
            raise ValueError(f'entity "{entity}": write <component>/<object id>, as in binary_sensor/hall_smoke')
        read = decode.reader(spec)
        topic = fit_topic(decode.topic or f"{prefix}/{entity}/state")
        node.states.setdefault(topic, []).append((point, None if spec.kind is Kind.TEXT else read))
        if decode.write:
            node.outputs[spec.name] = (f"{prefix}/{entity}/command", spec)
    return node


def _state(node: _Node, topic: str, payload: bytes, *, retained: bool, into: Decoded) -> None:
    message = message_of(payload)
    if isinstance(message, Unreadable):  # an empty one ends a retained state: nothing is said of the present
        into.problems.append(message.value)
        return
    before = len(into.rows)
    for point, read in node.states[topic]:
        if read is not None:
            into.rows.append((point, 0, *read(message)))
        else:
            text = text_of(payload).strip()[:_TEXT]
            key = topic.removesuffix("/state").rpartition("/")[2]
            node.event(into, Event(point, key, EventCode.INFO, text, 0, payload), retained=retained)
    node.told(into, before, retained=retained)


def _available(node: _Node, payload: bytes, *, retained: bool, into: Decoded) -> None:
    said = payload.strip().lower()
    if said == b"offline":
        node.left(into)
    elif said == b"online":
        node.came(into, retained=retained)
    else:
        into.problems.append("unknown_availability")
