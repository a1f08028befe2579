"""What the configuration says of a place that can alarm: copied into the alarm when it is first raised.

Asked by the alarm book for every change. Events may come from places no configuration knows: their facts are made of
what is known, so that no fire is without a class (house section 6).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gateway.model.alarm import AlarmFacts
from gateway.model.point import AlarmClass, Device, Point, Severity
from gateway.model.station import RuleSpec

# Class and severity of the event rules; a pre-alarm of a life-safety device has the class of its profile.
_EVENTS: dict[str, tuple[AlarmClass, Severity]] = {
    "event:fire": (AlarmClass.FIRE, Severity.CRITICAL),
    "event:gas": (AlarmClass.GAS, Severity.CRITICAL),
    "event:flood": (AlarmClass.FLOOD, Severity.CRITICAL),
    "event:pre_alarm": (AlarmClass.SUPERVISORY, Severity.WARNING),
    "event:supervisory": (AlarmClass.SUPERVISORY, Severity.WARNING),
    "event:fault": (AlarmClass.FAULT, Severity.WARNING),
    "event:disabled": (AlarmClass.SUPERVISORY, Severity.NOTICE),
}


def of_rule(spec: RuleSpec, point: Point) -> AlarmFacts:
    """Return the facts of a rule at a point."""
    return AlarmFacts(
        device=point.device,
        point_name=point.spec.name,
        cell=point.cell,
        alarm_class=spec.alarm_class,
        severity=spec.severity,
        latch=spec.latched,
        policy=spec.policy,
        unit=point.spec.unit,
        title=spec.title or point.spec.title,
    )


def of_unmeasured(spec: RuleSpec, point: Point) -> AlarmFacts:
    """Return the facts of a point that gives no value: there is none to tell, so no unit either."""
    return msgspec.structs.replace(of_rule(spec, point), unit="")


def of_silence(spec: RuleSpec, point: Point, device: Device) -> AlarmFacts:
    """Return the facts of a silent device. Value and unit are the seconds it has been silent."""
    return AlarmFacts(
        device=device.id,
        point_name=point.spec.name,
        cell=device.cell,
        alarm_class=spec.alarm_class,
        severity=spec.severity,
        latch=spec.latched,
        policy=spec.policy,
        unit="s",
        title=spec.title or device.name,
    )


class Facts:
    """Facts by (rule, point), of event rules made on demand."""

    def __init__(
        self, known: Mapping[tuple[str, int], AlarmFacts], points: Mapping[int, Point], devices: Mapping[str, Device]
    ) -> None:
        self._known, self._points, self._devices = known, points, devices

    def __call__(self, rule: str, point: int, key: str) -> AlarmFacts:
        """Return the facts of a place; `key` is for the caller's wording only."""
        del key
        found = self._known.get((rule, point))
        return found if found is not None else self._of_event(rule, self._points.get(point))

    def _of_event(self, rule: str, point: Point | None) -> AlarmFacts:
        alarm_class, severity = _EVENTS.get(rule, (AlarmClass.FAULT, Severity.WARNING))
        device = self._devices.get(point.device) if point is not None else None
        if rule == "event:pre_alarm" and device is not None and device.profile.alarm_class.life_safety:
            alarm_class = device.profile.alarm_class
        return AlarmFacts(
            device="" if point is None else point.device,
            point_name="" if point is None else point.spec.name,
            cell="" if point is None else point.cell,
            alarm_class=alarm_class,
            severity=severity,
            latch=alarm_class.life_safety,
            title="" if device is None else device.name,
        )
