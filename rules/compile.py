"""Configuration → engine: which rule watches which point, the alarms profiles bring along, and what is wrong.

Run at start, by `check` and at a change of configuration. Keeps house section 6: alarms are on by default, a rule
refines, only `alarm = false` with a reason switches off, silence of a configured device is a fault. Problems are
values, all at once; what is sound is compiled all the same, so that a station can start with its good part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

import msgspec

from gateway import registry
from gateway.model.alarm import AlarmFacts
from gateway.model.point import AlarmClass, AlarmSpec, Device, Kind, Point, Severity
from gateway.model.station import RuleSpec, Station
from rules import check, facts
from rules.compiled import SECOND, KindSetup, Place, Tables
from rules.compiled import Kind as RuleKindState
from rules.engine import Engine
from rules.expression import Condition, negated
from rules.language import ExpressionError, Scope, parse, suggest
from rules.matching import Matcher
from rules.panel import Panel

SILENCE = "silence"  # id of the rule every device has
UNMEASURED = "unmeasured"  # id of the rule every watched point has whose device has others


@dataclass(frozen=True, slots=True)
class Problem:
    """Something to mend. `note`: worth a line of `check`, no reason to refuse."""

    rule: str
    key: str
    reason: str
    fix: str
    note: bool = False


def compile_rules(station: Station, points: Sequence[Point]) -> tuple[Engine, list[Problem]]:
    """Return the engine of everything that is sound, and every problem.

    Args:
        station: the configuration.
        points: every point with its durable id, the event points of sources (`@<source>`) among them.
    """
    work = _Work(station, points)
    work.rules()
    work.profile_alarms()
    work.silence()
    work.unmeasured()
    return work.engine(), list(dict.fromkeys(work.problems))


@dataclass(slots=True)
class _Work:
    station: Station
    points: Sequence[Point]
    problems: list[Problem] = field(default_factory=list)
    places: dict[str, list[Place]] = field(default_factory=dict)
    facts: dict[tuple[str, int], AlarmFacts] = field(default_factory=dict)
    refined: set[tuple[int, AlarmClass]] = field(default_factory=set)
    off: dict[int, RuleSpec] = field(default_factory=dict)
    heeded: set[str] = field(default_factory=set)  # devices whose silence a rule refines
    watched: dict[int, Point] = field(default_factory=dict)  # points whose value a rule judges
    measured: set[int] = field(default_factory=set)  # points whose missing value a rule refines
    switched_off: list[tuple[str, str, str]] = field(default_factory=list)
    life: dict[int, AlarmClass] = field(default_factory=dict)
    cache: dict[tuple[str, int], Place | None] = field(default_factory=dict)
    order: int = 0
    devices: dict[str, Device] = field(init=False)
    of_device: dict[str, list[Point]] = field(init=False)
    modules: dict[str, ModuleType] = field(init=False)

    def __post_init__(self) -> None:
        self.devices = {device.id: device for device in self.station.devices}
        self.of_device = {}
        for point in self.points:
            self.of_device.setdefault(point.device, []).append(point)
        self.modules = {name: registry.rule_kind(name) for name in registry.names(registry.Group.KIND)}

    def problem(self, rule: str, finding: check.Finding, *, note: bool = False) -> None:
        self.problems.append(Problem(rule, *finding, note=note))

    def rules(self) -> None:
        """Compile every `[[rule]]`."""
        matcher = Matcher(self.points)
        seen: set[str] = set()
        for spec in self.station.rules:
            self.order += 1
            matched, findings = matcher.match(spec.points)
            for finding in findings:
                self.problem(spec.id, finding)
            if spec.id in seen:
                self.problem(spec.id, ("id", "another rule has this id", "give each rule its own"))
            elif spec.id in (SILENCE, UNMEASURED) or spec.id.startswith(("profile:", "event:")):
                self.problem(spec.id, ("id", "is a name of the gateway's own rules", "choose another"))
            elif not spec.alarm:
                self._switch_off(spec, matched)
            else:
                seen.add(spec.id)
                self._rule(spec, matched)

    def _switch_off(self, spec: RuleSpec, matched: Iterable[Point]) -> None:
        if not spec.reason:
            fix = 'add reason = "why nobody needs this alarm"'
            self.problem(spec.id, ("reason", "switches alarms off without a reason", fix))
            return
        for point in matched:
            self.off[point.id] = spec
            self.switched_off.append((point.name, spec.id, spec.reason))
            note = ("alarm", f"the alarms of {point.name} are off: {spec.reason}", "remove the rule to have them again")
            self.problem(spec.id, note, note=True)

    def _rule(self, spec: RuleSpec, matched: Sequence[Point]) -> None:
        module = self.modules.get(spec.kind)
        if module is None:
            self.problem(spec.id, ("kind", f'no rule kind "{spec.kind}"', suggest(spec.kind, list(self.modules))))
            return
        try:
            options = msgspec.convert(spec.options, module.OPTIONS)
        except msgspec.ValidationError as error:
            known = ", ".join(module.OPTIONS.__struct_fields__) or "none"
            self.problem(spec.id, ("options", str(error), f"keys of kind {spec.kind}: {known}"))
            return
        if not module.names(""):
            place = self._unmeasured_rule if spec.kind == UNMEASURED else self._silence_rule
            place(spec, matched, options)
            return
        watched = [point for point in matched if point.spec.kind is not Kind.TEXT]
        units = sorted({point.spec.unit for point in watched})
        if len(units) > 1:
            words = ", ".join(f'"{unit}"' for unit in units)
            self.problem(spec.id, ("points", f"its points differ in unit: {words}", "write one rule per unit"))
            return
        if matched and not watched:
            self.problem(spec.id, ("points", "its points carry text only", "name points that have a value"))
        for point in watched:
            if self._place(spec, point, options) and spec.kind == "threshold":
                self.refined.add((point.id, spec.alarm_class))

    def _place(self, spec: RuleSpec, point: Point, options: Any) -> bool:  # noqa: ANN401 - the kind's own struct
        """Compile one rule at one point; False when something is wrong."""
        device = self.devices.get(point.device)
        misfits = self.modules[spec.kind].misfits(options, device.poll) if device else ()
        for finding in misfits:
            self.problem(spec.id, finding)
        key = spec.id, id(point.spec)  # devices of one profile share the spec
        if key not in self.cache:
            self.cache[key] = self._definition(spec, point, options)
        definition = self.cache[key]
        if definition is None or misfits:
            return False
        if definition.life_safety:
            self.life[point.id] = min(spec.alarm_class, self.life.get(point.id, spec.alarm_class))
        place = replace(definition, point=point.id)
        self.places.setdefault(spec.kind, []).append(place)
        self.facts[spec.id, point.id] = facts.of_rule(spec, point)
        self.watched[point.id] = point
        return True

    def _definition(self, spec: RuleSpec, point: Point, options: Any) -> Place | None:  # noqa: ANN401 - as above
        """Return a place of the rule at points such as this one; None when something is wrong."""
        findings = [*check.delays(spec.alarm_class, point.spec.unit, spec.on_delay, spec.off_delay)]
        pair = self._conditions(spec, point)
        if pair is not None:
            findings += check.conditions(*pair, point.spec)
        for finding in findings:
            self.problem(spec.id, finding)
        if pair is None:
            return None
        when, clear = pair
        life = spec.alarm_class.life_safety
        definition = (spec.kind, when, clear, spec.on_delay, spec.off_delay, life, options)
        place = Place(
            order=self.order,
            rule=spec.id,
            point=point.id,
            when=when,
            clear=clear,
            on_delay=round(spec.on_delay * SECOND),
            off_delay=round(spec.off_delay * SECOND),
            life_safety=life,
            fingerprint=hashlib.blake2b(repr(definition).encode(), digest_size=12).hexdigest(),
            options=options,
        )
        return None if findings else place

    def _conditions(self, spec: RuleSpec, point: Point) -> tuple[Condition, Condition] | None:
        scope = Scope(self.modules[spec.kind].names(point.spec.unit), point.spec.labels)
        when, clear = self._condition(spec, "when", spec.when, scope), None
        if spec.clear is not None:
            clear = self._condition(spec, "clear", spec.clear, scope)
        elif when is not None:
            clear = negated(when)
        return None if when is None or clear is None else (when, clear)

    def _condition(self, spec: RuleSpec, key: str, text: str, scope: Scope) -> Condition | None:
        try:
            return parse(text, scope)
        except ExpressionError as error:
            self.problem(spec.id, (key, f"{error.reason} (character {error.position})", error.fix))
            return None

    def profile_alarms(self) -> None:
        """Compile the alarms that profiles bring along, where no rule of the same class refines them."""
        for point in self.points:
            taken: list[str] = []
            for alarm in point.spec.alarms:
                base = f"profile:{alarm.alarm_class.word}:{alarm.severity.word}"
                taken.append(base)
                if point.id in self.off or (point.id, alarm.alarm_class) in self.refined:
                    continue
                again = taken.count(base)
                spec = _as_rule(alarm, base if again == 1 else f"{base}#{again}", point)
                self.order = len(self.station.rules) + 1 + alarm.alarm_class
                self._place(spec, point, self.modules[spec.kind].OPTIONS())

    def _silence_rule(self, spec: RuleSpec, matched: Iterable[Point], options: Any) -> None:  # noqa: ANN401 - as above
        for name in dict.fromkeys(point.device for point in matched if point.device in self.devices):
            if name not in self.heeded:
                self._silence_place(self.devices[name], spec, options)

    def silence(self) -> None:
        """Give every configured device a silence limit, unless a rule of kind absence did."""
        self.order = len(self.station.rules) + 1 + len(AlarmClass)
        spec = RuleSpec(id=SILENCE, kind="absence", alarm_class=AlarmClass.FAULT, severity=Severity.WARNING)
        for device in self.station.devices:
            if device.id not in self.heeded:
                self._silence_place(device, spec, self.modules["absence"].OPTIONS())

    def _silence_place(self, device: Device, spec: RuleSpec, options: Any) -> None:  # noqa: ANN401 - as above
        points = self.of_device.get(device.id, [])
        if not points:
            self.problem(spec.id, ("points", f'device "{device.id}" has no point', "add one to its profile"))
            return
        self.heeded.add(device.id)
        own = min(points, key=lambda point: point.id)  # the oldest: its alarm keeps its place
        place = Place(
            order=self.order,
            rule=spec.id,
            point=own.id,
            options=options,
            silence=round(device.silence_limit * SECOND),
            device_points=tuple(point.id for point in points),
        )
        self.places.setdefault(spec.kind, []).append(place)
        self.facts[spec.id, own.id] = facts.of_silence(spec, own, device)

    def _unmeasured_rule(self, spec: RuleSpec, matched: Iterable[Point], options: Any) -> None:  # noqa: ANN401 - as above
        for point in matched:
            if point.device not in self.devices or point.id in self.measured:
                continue
            self.measured.add(point.id)
            limit = round((options.limit or self.devices[point.device].silence_limit) * SECOND)
            place = Place(order=self.order, rule=spec.id, point=point.id, on_delay=limit, fingerprint=str(limit))
            self.places.setdefault(spec.kind, []).append(place)
            self.facts[spec.id, point.id] = facts.of_unmeasured(spec, point)

    def unmeasured(self) -> None:
        """Let every watched point be missed whose device has others to be heard by, unless a rule did.

        Not what is switched off: a channel that is not fitted is often among the points of a rule for all of them.
        """
        spec = RuleSpec(id=UNMEASURED, kind=UNMEASURED, alarm_class=AlarmClass.FAULT, severity=Severity.WARNING)
        watched = [point for point in self.watched.values() if point.id not in self.off]
        others = [point for point in watched if len(self.of_device[point.device]) > 1]
        self._unmeasured_rule(spec, others, self.modules[UNMEASURED].OPTIONS())

    def engine(self) -> Engine:
        """Put the engine together from what was compiled."""
        tables = Tables()
        bound = 1 + max((point.id for point in self.points), default=0)
        states: dict[str, RuleKindState] = {
            name: module.create(KindSetup(places=self.places.get(name, []), points=bound, tables=tables))
            for name, module in self.modules.items()
        }
        limits, known = self.station.limits, {point.id: point for point in self.points}
        order = len(self.station.rules) + 2 + len(AlarmClass)
        panel = Panel(tables, keys=limits.keys, order=order, switched_off=frozenset(self.off))
        return Engine(
            kinds=states,
            panel=panel,
            tables=tables,
            describe=facts.Facts(self.facts, known, self.devices),
            points=frozenset(known),
            life_points=self.life,
            switched_off=tuple(self.switched_off),
            watched=self.facts,
            settle=round(limits.settle * SECOND),
        )


def _as_rule(alarm: AlarmSpec, rule: str, point: Point) -> RuleSpec:
    return RuleSpec(
        id=rule,
        when=alarm.when,
        clear=alarm.clear,
        on_delay=alarm.on_delay,
        off_delay=alarm.off_delay,
        latch=alarm.latch,
        alarm_class=alarm.alarm_class,
        severity=alarm.severity,
        title=point.spec.title,
    )
