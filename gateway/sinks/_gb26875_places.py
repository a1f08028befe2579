"""What our points are to a monitoring centre: components with system, type, address and description. Pure.

Beside `gateway.sinks.gb26875_uplink`; codes of GB/T 26875.3-2011 tables 4 to 6. Nothing has to be configured: the
address of a point is its durable id, which is never reused (house section 4), so a centre's own map of them stays
right over every restart and change of configuration. No two points have one address: where `components` would give
them one, the first has it, `check` refuses the second, and at run that one keeps its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import NamedTuple

from gateway.model.alarm import AlarmFacts
from gateway.model.inventory import BOX, OWN
from gateway.model.point import AlarmClass, Point
from gateway.model.words import nearest
from gateway.protocols.gb26875_tables import QUANTITIES
from gateway.protocols.gb26875_units import text_bytes
from gateway.sinks._gb26875_options import ComponentOptions, Options

FIRE, FAULT, DISABLED, SUPERVISORY = (1 << bit for bit in (1, 2, 3, 4))  # of the words of types 1, 2 and 21
MAINS, BACKUP, LINK, LINE = (1 << bit for bit in (3, 4, 5, 6))  # of type 21
NORMAL = 1
LINK_KEY = "link"  # of a source's fault alarm
_BITS = {"fire": FIRE, "fault": FAULT, "disabled": DISABLED, "supervisory": SUPERVISORY, "none": 0}
# Gas is told as the alarm that it is: the word has no bit of its own for it. A detector of its type says the rest.
_CLASSES = {
    AlarmClass.FIRE: FIRE,
    AlarmClass.GAS: FIRE,
    AlarmClass.FLOOD: SUPERVISORY,
    AlarmClass.SUPERVISORY: SUPERVISORY,
    AlarmClass.FAULT: FAULT,
    AlarmClass.MAINTENANCE: 0,
}
_KEYED = 1 << 31  # addresses of places below a point
_MOVED = 1 << 30  # addresses of points whose id is an address that `components` gives to another
_BY_NAME = {"smoke": 40, "heat": 30, "flow": 96, "level": 92, "pressure": 91, "manual": 23}
_BY_UNIT = {"%[LEL]": 10, "m": 92, "kPa": 91, "MPa": 91}
_BY_CLASS = {AlarmClass.FIRE: 25, AlarmClass.GAS: 74}
# UCUM → analog type and the factor to its unit. MPa goes as kPa: the standard's step of 0.1 MPa is too coarse.
_ANALOGS = {one.unit: (code, 1.0) for code, one in QUANTITIES.items() if one.unit not in ("1", "MPa")} | {
    "MPa": (5, 1000.0),
    "Pa": (5, 0.001),
    "bar": (5, 100.0),
    "cm": (2, 0.01),
    "mm": (2, 0.001),
    "mV": (8, 0.001),
    "mA": (9, 0.001),
    "L/min": (10, 1 / 60),
}


class Component(NamedTuple):
    """A place as the centre knows it."""

    system: int
    address: int
    type: int
    place: int
    description: bytes


class Quantity(NamedTuple):
    """How a point's values are told: analog type, and raw = value * `scale`."""

    code: int
    scale: float


class Places:
    """The map from our points to components. `names`: device id → what people call it."""

    def __init__(self, options: Options, points: Mapping[int, Point], names: Mapping[str, str]) -> None:
        self._options = options
        self._points = points
        self._names = names
        self._bits = dict(_CLASSES)
        for word, bit in options.classes.items():
            self._bits[AlarmClass[word.upper()]] = _BITS[bit]
        self._ids = {point.name: number for number, point in points.items()}
        self._given: dict[tuple[int, int, int], str] = {}  # address given in `components` → point that has it
        self._twins: dict[str, str] = {}  # point that was given it as well → point that has it
        for name, chosen in options.components.items():
            if chosen.address is not None and name in self._ids and not self.own(self._ids[name], LINK_KEY):
                owner = self._given.setdefault((*self._system(chosen), chosen.address), name)
                if owner != name:
                    self._twins[name] = owner

    def own(self, point: int, key: str) -> bool:
        """Whether a place is the gateway's own or a source's link: then it is told as the device's status (type 21).

        Anything else of a source is a device that no configuration knows, and a fire of it a fire.
        """
        found = self._points.get(point)
        if found is None or not (found.device == BOX or found.device.startswith("@")):
            return False
        return found.device in (BOX, OWN) or key == LINK_KEY

    def spoken(self, point: int, key: str, text: str) -> bytes | None:
        """Return what a device said of a place below it as description; None when a point is described by itself."""
        found = self._points.get(point)
        chosen = self._options.components.get(found.name) if found else None
        return text_bytes(text) if key and text and not (chosen and chosen.name) else None

    def bit(self, facts: AlarmFacts) -> int:
        """Return the bit of an alarm in a component's word, 0: it is not told."""
        return self._bits[facts.alarm_class]

    def own_bit(self, point: int, key: str, facts: AlarmFacts, sink: str) -> int:
        """Return the bit of an alarm in the transmission device's word (type 21), 0: it is not told."""
        found = self._points[point]
        bit = self.bit(facts)
        if key.startswith("duty ") or not bit:
            return 0
        if bit == FIRE:
            return FIRE
        if found.device == BOX:
            return MAINS if found.spec.name == "mains" else BACKUP if "battery" in found.spec.name else FAULT
        if key == f"sink {sink}":
            return LINK
        return FAULT if found.device == OWN else LINE

    def component(self, point: int, key: str) -> Component:
        """Return the component of a place: of a point, or of what a panel names `key` at its event point."""
        found = self._points.get(point)
        chosen = self._options.components.get(found.name if found else "", ComponentOptions())
        system, place = self._system(chosen), point
        if key:
            place = _KEYED | int.from_bytes(blake2b(f"{point}/{key}".encode(), digest_size=4).digest(), "little")
        elif chosen.address is not None and found and found.name not in self._twins:
            place = chosen.address
        elif (*system, point) in self._given:
            place = _MOVED | point
        kind = _type_of(found) if chosen.type is None else chosen.type
        return Component(*system, kind, place, text_bytes(self._described(point, key, chosen.name)))

    def quantity(self, point: int) -> Quantity | None:
        """Return how a point's values are told; None when the standard has no quantity for its unit."""
        found = self._points.get(point)
        known = _ANALOGS.get(found.spec.unit) if found else None
        return Quantity(known[0], known[1] / QUANTITIES[known[0]].step) if known else None

    def numbered(self) -> dict[int, Quantity]:
        """Return durable id → quantity of the `analogs` that can be told; `unknown` says which cannot."""
        found = {self._ids[name]: self.quantity(self._ids[name]) for name in self._options.analogs if name in self._ids}
        return {number: quantity for number, quantity in found.items() if quantity is not None}

    def unknown(self) -> Iterator[tuple[str, str, str]]:
        """Yield (key, reason, nearest name or nothing) of what `components` and `analogs` name and cannot be told."""
        chosen = [(f"components.{name}", name) for name in self._options.components]
        values = [(f"analogs[{index + 1}]", name) for index, name in enumerate(self._options.analogs)]
        for key, name in chosen + values:
            if name not in self._ids:
                yield key, f'unknown point "{name}"', nearest(name, self._ids)
        for key, name in values:
            if name in self._ids and self.quantity(self._ids[name]) is None:
                yield key, f"{name}: the standard has no analog type for its unit, only for {', '.join(_ANALOGS)}", ""
        for name, owner in self._twins.items():
            yield f"components.{name}.address", f'"{owner}" has it already (without one a point has its own)', ""

    def everything(self) -> dict[tuple[int, int, int], Component]:
        """Return every point's component by (system type, system address, component address)."""
        all_of = [self.component(point, "") for point in self._points if not self.own(point, LINK_KEY)]
        return {(*one[:2], one.place): one for one in all_of}

    def _system(self, chosen: ComponentOptions) -> tuple[int, int]:
        """Return the system type and the system address that a component belongs to."""
        options = self._options
        return (
            options.system_type if chosen.system is None else chosen.system,
            options.system_address if chosen.system_address is None else chosen.system_address,
        )

    def _described(self, point: int, key: str, name: str) -> str:
        found = self._points.get(point)
        if name or found is None:
            return f"{name} {key}".strip()
        device = self._names.get(found.device, found.device)
        return f"{device} {key or found.spec.title or found.spec.name}"


def _type_of(point: Point | None) -> int:
    """Return the component type (table 5) by name, unit, then the worst alarm that the profile brings along."""
    if point is None:
        return 0
    spec = point.spec
    classes = [alarm.alarm_class for alarm in spec.alarms]
    return _BY_NAME.get(spec.name) or _BY_UNIT.get(spec.unit) or (_BY_CLASS.get(min(classes), 0) if classes else 0)
