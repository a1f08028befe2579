"""What the points of a configured MQTT device show, at rest or in a scene, and how their sender spells it.

Pure, for the players of `drivers.simulated.mqtt_players`: a reading in the point's unit → what stands in a message.
Keeps house rule 9 (fakes ship).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from drivers._json_path import steps
from drivers._mqtt_thing import raw_state
from gateway.model.point import Device, Kind, PointSpec

_CALM = {"%": 60.0, "Cel": 20.0}  # by unit; others stay at 0


@dataclass(frozen=True, slots=True)
class Shown:
    """A point with what it shows: `value` in its unit, `raw` as its sender has it, `way` to it in a message."""

    spec: PointSpec
    value: float
    raw: float
    way: str

    @property
    def spelt(self) -> str | None:
        """The sender's own word for it, None: it has none."""
        words: Mapping[str, float] = self.spec.decode.get("words", {})
        return next((word for word, number in words.items() if number == self.raw), None)

    @property
    def word(self) -> object:
        """How a sender spells it in JSON."""
        return self.spelt or (int(self.raw) if self.spec.kind is Kind.STATE else self.raw)


def shown(device: Device, calm: Mapping[str, float]) -> list[Shown]:
    """Return every point that is a number or state, at rest. `calm`: `device.point` → value in the point's unit."""
    specs = [spec for spec in device.profile.points if spec.kind is not Kind.TEXT]
    return [showing(spec, calm.get(f"{device.id}.{spec.name}", _usual(spec))) for spec in specs]


def showing(spec: PointSpec, value: float) -> Shown:
    """Return a point that shows this value of its unit."""
    scale, offset = spec.decode.get("scale", 1.0), spec.decode.get("offset", 0.0)
    raw = value if spec.kind is Kind.STATE else round((value - offset) / scale, 6)
    if spec.kind is Kind.STATE and value in (0, 1):
        raw = float(raw_state(spec, value))
    return Shown(spec, value, raw, _way(spec))


def _usual(spec: PointSpec) -> float:
    """Return what is shown where nobody says more: the normal state, the lowest one, or what is usual for the unit."""
    if "normal" in spec.labels or spec.kind is not Kind.STATE:
        return spec.labels.get("normal", _CALM.get(spec.unit, 0.0))
    return min(spec.labels.values(), default=0.0)


def _way(spec: PointSpec) -> str:
    """Return where a point stands in a message, dots between the levels; nothing: not at a named place."""
    decode = spec.decode
    path = decode.get("path") or decode.get("field")
    if not path and ("bytes" in decode or "extra" in decode):
        return ""
    way = steps(str(path or spec.name))
    return ".".join(map(str, way)) if all(isinstance(step, str) for step in way) else ""
