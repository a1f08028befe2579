"""Sink `homeassistant`: the station as a device of Home Assistant, by its MQTT discovery.

Runs in a process of its own (`gateway.uplink`), from the journal like every sink; one way only, nothing there can act
on the station. Discovery and states are retained, so that a restart there shows what is. A backlog never overwrites
newer states, also not those of an earlier life: they are read back after every connection (house rule 4, seen from the
other side). Components: `gateway.sinks._ha_components`; the session: `gateway.sinks._mqtt_speaker`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec
import numpy as np

from gateway.clock import SECOND
from gateway.config.options import read
from gateway.config.quantities import Seconds
from gateway.model.alarm import Transition
from gateway.model.point import Kind
from gateway.model.portion import Aside, Portion
from gateway.model.ports import SinkSetup
from gateway.model.quality import Doubt, Level, quality
from gateway.model.verdict import Cause
from gateway.sinks._ha_components import EVENTS, TRANSITIONS, component, events, shown, slug, state_of
from gateway.sinks._messages import Messages, rfc3339
from gateway.sinks._mqtt_speaker import Access, Outgoing, Speaker, level
from gateway.transport.mqtt import MqttSession

_State = tuple[tuple[int, object, int], Outgoing]  # point, what it says, ns; its message
PART = 150  # components of one discovery message: about 80 kB, below what a careful broker lets through

_encode = msgspec.json.Encoder().encode
_SILENT = math.nan, quality(Level.BAD, Doubt.NO_COMMS)


def _says(told: Mapping[str, Any]) -> object:
    """Return what has to be told at once when it changes."""
    return told["available"], told.get("state"), told["quality"]


class Options(Access, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of a `[[sink]]` with `kind = "homeassistant"`.

    States go to `<prefix>/<station>/point/<device>/<point>`, discovery to `<discovery>/device/…/config`. `name` of the
    device there (default: the station's id); `every`: a number is told at most so often, a state at once.
    """

    prefix: str = "firegrid-ha"
    discovery: str = "homeassistant"
    name: str = ""
    every: Seconds = 10.0


OPTIONS = Options


def create(setup: SinkSetup) -> Homeassistant:
    """Build the sink. Raises ConfigError: wrong keys, or a secret that others may read."""
    return Homeassistant(setup, read(setup.spec, Options))


class Homeassistant:
    """Publishes discovery, states and events at one broker."""

    def __init__(self, setup: SinkSetup, options: Options) -> None:
        self._points = {number: point for number, point in setup.points.items() if shown(point.spec)}
        self._messages = Messages(setup.points, setup.facts)
        self._speaker = Speaker(options, setup.station, setup.instance, setup.clock, self._heard)
        self._clock = setup.clock
        self._id = slug(setup.station)
        self._name = options.name or setup.station
        self._discovery = f"{options.discovery}/device/{self._id}"
        self._every = round(options.every * SECOND)
        root = self._speaker.root
        self._topics = {
            number: f"{root}/point/{level(point.device)}/{point.spec.name}" for number, point in self._points.items()
        }
        self._devices = {number: point.device for number, point in setup.points.items()}
        self._last: dict[int, tuple[float, int]] = {}  # point → value and quality of its newest reading
        self._greeted: MqttSession | None = None
        self._newest: dict[str, str] = {}  # topic → RFC 3339 of the state that stands there
        self._told: dict[int, tuple[object, int]] = {}  # point → what it says, ns when it was told
        self._waiting: dict[int, tuple[str, _State]] = {}  # numbers that were not told: RFC 3339, what is to be said
        self._before: dict[str, dict[str, str]] = {}  # topic of discovery → component → platform, as they stand there

    async def send(self, portion: Portion) -> Sequence[Aside]:
        """Publish a portion, see `Sink`."""
        asides: list[Aside] = []
        session = await self._speaker.live()
        if session is not self._greeted:
            await self._recall(session)
            asides += await self._speaker.say(self._announcements())
            self._greeted = session
        states = self._silenced(list(self._states(portion)), portion)
        asides += await self._speaker.say([*self._events(portion), *(message for _, message in states)])
        for number, told, time in (entry for entry, _ in states):
            self._told[number] = told, time
            self._waiting.pop(number, None)
        return asides

    async def close(self) -> None:
        """Say that this gateway has gone, and close."""
        await self._speaker.close()

    async def _recall(self, session: MqttSession) -> None:
        """Read back what stands at the broker. What is retained comes between two answers of the broker."""
        self._newest, self._told, self._before = {}, {}, {}
        filters = [f"{self._speaker.root}/point/+/+", f"{self._discovery}/config", *self._parts()]
        for _ in range(2):
            await session.subscribe([(pattern, 1) for pattern in filters])
        await session.unsubscribe(filters)

    def _parts(self) -> list[str]:
        """Return the topics of discovery of a station with many points, as many as there can be."""
        return [f"{self._discovery}_{number}/config" for number in range(2, 10)]

    def _heard(self, topic: str, payload: bytes) -> None:
        with suppress(ValueError, RecursionError, AttributeError, TypeError):
            told = msgspec.json.decode(payload)
            if topic.startswith(f"{self._discovery}"):
                self._before[topic] = {name: str(entry["p"]) for name, entry in told["cmps"].items() if len(entry) > 1}
            else:
                self._newest[topic] = str(told["t"])

    def _announcements(self) -> Iterator[Outgoing]:
        """Yield discovery. A component that stands there and is no more is removed: an entry that holds only `p`."""
        root = self._speaker.root
        status = f"{root}/status"
        entries: dict[str, Any] = {}
        for kind, kinds in (("transition", TRANSITIONS), ("event", EVENTS)):
            unique = f"{self._id}_{kind}"
            entries[unique] = events(f"{self._name} {kind}", unique, f"{root}/{kind}", status, kinds)
        for number, point in sorted(self._points.items()):
            unique = f"{self._id}_{slug(point.device)}_{point.spec.name}"
            if unique in entries:  # hall.smoke_alarm and hall_smoke.alarm
                unique = f"{unique}_{number}"
            entries[unique] = component(point, unique, self._topics[number], status)
        names = list(entries)
        parts = {
            topic: {name: entries[name] for name in names[place * PART : (place + 1) * PART]}
            for place, topic in enumerate([f"{self._discovery}/config", *self._parts()])
        }
        for topic, part in parts.items():  # what moves to another part first leaves: one that stands in two is refused
            before = self._before.get(topic, {})
            gone = {name: {"p": kind} for name, kind in before.items() if name not in part}
            if gone:
                yield self._announced(topic, gone | {name: entry for name, entry in part.items() if name in before})
        for topic, part in parts.items():  # what stays retained names only what is there
            if part:
                yield self._announced(topic, part)
            elif self._before.get(topic):
                yield Outgoing(topic, b"", retain=True)

    def _announced(self, topic: str, components: Mapping[str, Any]) -> Outgoing:
        device = {"ids": [self._id], "name": self._name, "mf": "firegrid"}
        told = {"dev": device, "o": {"name": "firegrid"}, "cmps": components}
        return Outgoing(topic, _encode(told), retain=True)

    def _events(self, portion: Portion) -> Iterator[Outgoing]:
        """Yield what happened, oldest first; each once, by its number in the record."""
        for message in self._messages.of(Portion(notes=tuple(reversed(portion.notes)))):
            told = msgspec.json.decode(message.payload)
            kind = told["code"] if message.topic == "event" else told["to"]
            payload = _encode({"event_type": kind, **told})
            yield Outgoing(f"{self._speaker.root}/{message.topic}", payload)

    def _states(self, portion: Portion) -> Iterator[_State]:
        """Yield the newest reading of every point, with what is remembered of it, unless a newer one stands there."""
        order = np.argsort(portion.time, kind="stable")
        last = dict(zip(portion.point[order].tolist(), order.tolist(), strict=True))
        rows = [(number, row) for number, row in last.items() if number in self._points]
        *times, now = rfc3339([*(int(portion.time[row]) for _, row in rows), self._clock.wall()])
        for (number, row), text in zip(rows, times, strict=True):
            spec, topic = self._points[number].spec, self._topics[number]
            time = int(portion.time[row])
            if text < self._newest.get(topic, "") <= now:  # one of the future is a wrong clock and holds nothing back
                continue
            self._last[number] = float(portion.value[row]), int(portion.quality[row])
            told = state_of(spec, *self._last[number], text)
            says = _says(told)
            before, at = self._told.get(number, (None, 0))
            said: _State = (number, says, time), Outgoing(topic, _encode(told), retain=True)
            if says == before and (spec.kind is Kind.STATE or time - at < self._every):
                if spec.kind is not Kind.STATE:
                    self._waiting[number] = text, said
                continue
            self._waiting.pop(number, None)
            self._newest[topic] = text
            yield said
        yield from self._late(int(portion.time.max(initial=0)))

    def _silenced(self, states: list[_State], portion: Portion) -> list[_State]:
        """Return the states with those of devices that fell silent or are heard again: nobody reads these.

        Who is silent is unavailable; who is heard again is as it was, until it says more.
        """
        moves = {  # of each device the last: notes have the newest first
            self._devices[note.body.point]: note
            for note in reversed(portion.notes)
            if isinstance(note.body, Transition)
            and note.body.point in self._devices
            and note.body.cause in (Cause.SILENCE, Cause.HEARD)
        }
        if not moves:
            return states
        found = {state[0][0]: state for state in states}
        for number, point in self._points.items():
            note = moves.get(point.device)
            if note is None:
                continue
            silent = isinstance(note.body, Transition) and note.body.cause is Cause.SILENCE
            if silent or (number not in found and number in self._last):
                [text] = rfc3339([note.time])
                topic = self._topics[number]
                text = self._newest.get(topic, text)  # of its reading: the next may be dated by a slow clock
                told = state_of(point.spec, *(_SILENT if silent else self._last[number]), text)
                found[number] = (number, _says(told), note.time), Outgoing(topic, _encode(told), retain=True)
        return list(found.values())

    def _late(self, now: int) -> Iterator[_State]:
        """Yield the last numbers of those that had to wait: who tells changes only says nothing more. `now`: ns."""
        for number, (text, said) in self._waiting.items():
            topic = said[1].topic
            if now - self._told.get(number, (None, 0))[1] >= self._every and text >= self._newest.get(topic, ""):
                self._newest[topic] = text
                yield said
