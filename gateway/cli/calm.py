"""What a simulated point shows while nothing is wrong: a value in its range at which no rule of the station alarms.

For `firegrid simulate`: a tank played at 0 m would be an alarm from the first second on. Looks at `when` and `clear`
of threshold rules and of the profile's own alarms; what their expressions cannot tell is left to the unit. What it
shows when something is wrong: `simulate_scene.py`.
"""

from __future__ import annotations

import math

from gateway.model.inventory import numbered, points_of
from gateway.model.point import Kind, Point
from gateway.model.station import Station
from rules.expression import negated
from rules.intervals import EVERYTHING, Region, complement, intersection, solve
from rules.language import ExpressionError, Scope, parse
from rules.matching import Matcher

# What is usual by unit; others: nothing if that is calm, else what the limits leave.
USUAL = {
    "Cel": 20.0,
    "%": 50.0,
    "V": 220.0,
    "A": 2.0,
    "W": 400.0,
    "Hz": 50.0,
    "kPa": 400.0,
    "MPa": 0.4,
    "bar": 4.0,
    "m": 2.0,
}
_NEAR = 0.2  # this part beyond a limit is far enough from it to be calm


def calm(station: Station) -> dict[str, float]:
    """Return by point name (`device.point`) what a measured point shows at rest, in its unit."""
    points = [point for point in points_of(station, numbered(station)) if point.spec.kind is Kind.MEASURE]
    matcher = Matcher(points)
    wanted = {point.name: [(alarm.when, alarm.clear) for alarm in point.spec.alarms] for point in points}
    for rule in station.rules:
        if rule.kind == "threshold" and rule.alarm:
            for point in matcher.match(rule.points)[0]:
                wanted[point.name].append((rule.when, rule.clear))
    return {point.name: _value(point, wanted[point.name]) for point in points}


def _value(point: Point, conditions: list[tuple[str, str | None]]) -> float:
    """Return the usual value where it is calm, else one well inside what is."""
    region: Region = EVERYTHING
    for limits in (point.spec.valid_range, point.spec.over_range):
        region = intersection(region, (limits,)) if limits is not None else region
    for when, clear in conditions:
        region = intersection(region, _quiet(point, when, clear)) or region
    usual = USUAL.get(point.spec.unit, 0.0)
    candidates = [usual, *(inside(low, high) for low, high in region)]
    return next((value for value in candidates if any(low <= value <= high for low, high in region)), usual)


def _quiet(point: Point, when: str, clear: str | None) -> Region:
    """Return where a condition is neither true nor kept from clearing; everywhere when it cannot be read."""
    scope = Scope({"value": point.spec.unit}, point.spec.labels)
    try:
        raised = parse(when, scope)
        cleared = parse(clear, scope) if clear is not None else negated(raised)
    except ExpressionError:
        return EVERYTHING
    alarming, normal = solve(raised), solve(cleared)
    if alarming is None or normal is None:
        return EVERYTHING
    return intersection(complement(alarming), normal)


def inside(low: float, high: float) -> float:
    """Return a value between two bounds, short enough to be read; beyond the one where the other is open."""
    if math.isinf(low) and math.isinf(high):
        return 0.0
    if math.isinf(high) or math.isinf(low):
        edge, away = (low, 1.0) if math.isinf(high) else (high, -1.0)
        return float(f"{edge + away * (abs(edge) * _NEAR or 1.0):.3g}")
    middle = float(f"{(low + high) / 2:.3g}")
    return middle if low <= middle <= high else (low + high) / 2
