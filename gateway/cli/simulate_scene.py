"""What happens in a simulated station: a fire, gas, a flood, and that it is over.

For `firegrid simulate`, the opposite of `calm.py`: a point shows a value in its range at which its own alarms of the
class, and the station's rules of the class, are true. A panel sees a fire at an address that is registered, if there
is one; when it is over somebody resets it. Keeps house rule 9 (fakes ship).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable

from drivers.simulated.mqtt_devices import Panel
from drivers.simulated.station import SimulatedField
from gateway.cli.calm import inside
from gateway.clock import Clock
from gateway.model.inventory import numbered, points_of
from gateway.model.point import AlarmClass, Device, Kind, Point
from gateway.model.station import Station
from rules.expression import Condition
from rules.intervals import EVERYTHING, Region, intersection, solve
from rules.language import ExpressionError, Scope, parse
from rules.matching import Matcher

_PLACE = (3, 17)  # loop and address of a fire at a panel where none is registered

Values = dict[str, dict[str, float]]  # device → point → value in its unit


def alarming(station: Station, alarm_class: AlarmClass) -> Values:
    """Return at what their alarms of a class are true, for all points of measures and states that have one."""
    points = [point for point in points_of(station, numbered(station)) if point.spec.kind in (Kind.MEASURE, Kind.STATE)]
    wanted = {
        point.name: [alarm.when for alarm in point.spec.alarms if alarm.alarm_class is alarm_class] for point in points
    }
    matcher = Matcher(points)
    for rule in station.rules:
        if rule.kind == "threshold" and rule.alarm and rule.alarm_class is alarm_class:
            for point in matcher.match(rule.points)[0]:
                wanted[point.name].append(rule.when)
    found: Values = defaultdict(dict)
    for point in points:
        value = _value(point, wanted[point.name])
        if value is not None:
            found[point.device][point.spec.name] = value
    return dict(found)


def _value(point: Point, conditions: list[str]) -> float | None:
    """Return a value at which as many conditions as can be are true; None: it has none that can be read."""
    region: Region = EVERYTHING
    for limits in (point.spec.valid_range, point.spec.over_range):
        region = intersection(region, (limits,)) if limits is not None else region
    some = False
    for when in conditions:
        both = intersection(region, _true(point, when))
        some, region = some or bool(both), both or region
    return inside(*region[0]) if some else None


def _true(point: Point, when: str) -> Region:
    try:
        condition: Condition = parse(when, Scope({"value": point.spec.unit}, point.spec.labels))
    except ExpressionError:
        return ()
    return solve(condition) or ()


class Scenes:
    """What happens to the field of a station. `say`: told at which device."""

    def __init__(self, station: Station, field: SimulatedField, say: Callable[[str], None]) -> None:
        self._station = station
        self._field = field
        self._say = say
        self._now: Values = defaultdict(dict)
        self._over: dict[str, Device] = {}  # where it is to be over some time

    def begin(self, alarm_class: AlarmClass) -> None:
        """Let it begin wherever a detector of this class is."""
        found, seen = alarming(self._station, alarm_class), False
        for device in self._station.devices:
            sees = alarm_class is AlarmClass.FIRE and device.profile.alarm_class is AlarmClass.FIRE
            end, player = self._field.ends.get(device.id), self._field.devices.get(device.id)
            if end is not None and sees:
                end.burn()
            elif isinstance(player, Panel) and sees:
                player.tell(_burning(device))
            elif device.id not in found or not (end or player or device.id in self._field.slaves):
                continue
            if device.id in found:
                self._field.show(device, self._now[device.id] | found[device.id])
                self._now[device.id] |= found[device.id]
            seen, self._over[device.id] = True, device
            self._say(f"{alarm_class.word} at {device.id}")
        if not seen:
            self._say(f"{alarm_class.word}: nothing that is played has an alarm of this class")

    def end(self) -> None:
        """Let all be over: everything is as it was at rest."""
        for device in self._over.values():
            player = self._field.devices.get(device.id)
            if device.id in self._field.ends:
                self._field.ends[device.id].over()
            elif isinstance(player, Panel):
                player.tell({"type": "reset"})
            self._field.show(device, {})
            self._say(f"calm at {device.id}")
        self._over.clear()
        self._now.clear()


async def after(clock: Clock, seconds: float, what: Callable[[], None]) -> None:
    """Let something happen after a while; nothing else does."""
    await clock.sleep(seconds)
    what()
    await asyncio.Event().wait()


def _burning(device: Device) -> dict[str, object]:
    """Return the event of a fire as the profile `json-panel` has it."""
    registered = [str(key).split("/") for key in device.options.get("addresses", ())]
    loop, address = next((key for key in registered if len(key) == len(_PLACE)), _PLACE)
    return {"type": "fire", "loop": loop, "address": address}
