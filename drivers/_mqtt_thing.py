"""A device as the dialects of firmware know it: its points compiled, and whether it is known to be gone.

Pure, beside `dialects/tasmota.py`, `esphome.py`, `shelly.py` and `homeassistant.py`. Availability is a second channel
beside the states (house section 6): "offline", retained or not, makes every point BAD (offline). A broker hands
retained states and availability over in any order: a retained state of a device that is known to be gone may raise, but
its point ends BAD; what is said live shows that the device is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import msgspec

from drivers._values import OFFLINE, Reading, as_retained, object_reader
from gateway.model.batch import Event, EventCode
from gateway.model.point import Device, Kind, PointSpec
from gateway.model.ports import Decoded

Read = Callable[[object], Reading]
LONGEST = 64  # characters of a key or an event's name
_FIVE_NINTHS = 5.0 / 9.0


@dataclass(slots=True)
class Thing:
    """What every firmware has.

    Attributes:
        point: any point, for a sign of life.
        events: the point of events: a text point if there is one.
        values: every point that is no text.
        sleeps: it leaves the broker between two messages: "offline" says nothing, silence does.
        away: it is known to be gone.
        testing: a self-test was told and stands.
    """

    point: int
    events: int
    values: tuple[int, ...]
    sleeps: bool = False
    away: bool = False
    testing: bool = False

    def left(self, into: Decoded) -> None:
        """It is gone, as its last will or its bridge says."""
        if not self.sleeps:
            self.away = True
            into.rows.extend((point, 0, *OFFLINE) for point in self.values)

    def came(self, into: Decoded, *, retained: bool) -> None:
        """It says that it is there."""
        self.away = False
        if not retained:
            into.heard.append(self.point)

    def told(self, into: Decoded, before: int, *, retained: bool) -> None:
        """Judge what a message of it appended from row `before` on; a sign of life if that is nothing."""
        rows = into.rows
        if not retained:
            self.away = False
            if len(rows) == before:
                into.heard.append(self.point)
            return
        rows[before:] = [(point, time, value, as_retained(mark)) for point, time, value, mark in rows[before:]]
        if self.away:
            rows += [(point, 0, *OFFLINE) for point in dict.fromkeys(row[0] for row in rows[before:])]

    def event(self, into: Decoded, event: Event, *, retained: bool) -> None:
        """Append an event; a retained one is from before and only counted."""
        if retained:
            into.problems.append("retained_event")
        else:
            into.events.append(event)

    def test(self, into: Decoded, payload: bytes, time: int, *, on: bool) -> None:
        """Tell the beginning of a self-test once; devices repeat the flag in every message."""
        if on:
            into.problems.append("test_active")
            if not self.testing:
                into.events.append(Event(self.events, "", EventCode.TEST, "self-test", time, payload))
        self.testing = on


def specs_of(device: Device, ids: Mapping[str, int]) -> dict[int, PointSpec]:
    """Return the points of a device by durable id. Raises ValueError when it has none."""
    specs = {ids[f"{device.id}.{spec.name}"]: spec for spec in device.profile.points}
    if not specs:
        raise ValueError("it has no points: give some under [device.points]")
    return specs


def frame_of(specs: Mapping[int, PointSpec]) -> tuple[int, int, tuple[int, ...]]:
    """Return the first three fields of a `Thing`."""
    texts = [point for point, spec in specs.items() if spec.kind is Kind.TEXT]
    values = tuple(point for point, spec in specs.items() if spec.kind is not Kind.TEXT)
    return min(specs), min(texts, default=min(specs)), values


def can_alarm(spec: PointSpec) -> bool:
    """Whether it is a state that raises fire, gas or flood: not passed on while a self-test runs."""
    return spec.kind is Kind.STATE and any(alarm.alarm_class.life_safety for alarm in spec.alarms)


def from_fahrenheit(spec: PointSpec, scale: float, offset: float) -> Read:
    """Return the reader of a temperature in Cel whose sender speaks Fahrenheit just now."""
    # 85 Cel, which a chip holds before it measured, comes as 185; 85 degF is a warm room
    faults = tuple(round(code / _FIVE_NINTHS + 32.0 / scale, 3) for code in spec.fault_values)
    told = msgspec.structs.replace(spec, fault_values=faults)
    return object_reader(told, scale=scale * _FIVE_NINTHS, offset=offset - 32.0 * scale * _FIVE_NINTHS)


def raw_state(spec: PointSpec, value: float) -> bool:
    """Return what an output has to be told so that its point becomes `value` (0 or 1)."""
    return bool(value) != spec.invert


def fit_topic(topic: str) -> str:
    """Return a topic that stands for one device. Raises ValueError."""
    if not topic or set("+#\0") & set(topic) or topic.endswith("/"):
        raise ValueError(f'topic "{topic}": the topic of one device, without + and #')
    return topic


def word_of(raw: object) -> str:
    """Return a short text of a message, fit to be stored; nothing if it is none."""
    return raw.strip().encode("utf-8", "replace").decode()[:LONGEST] if isinstance(raw, str) else ""


def first(found: Iterable[object], missing: object) -> object:
    """Return the first that is not `missing`."""
    return next((one for one in found if one is not missing), missing)
