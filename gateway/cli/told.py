"""Who is told when, in words: the part of `firegrid check` that a person in charge reads and signs.

Asks the very planner that the running station asks (`gateway.escalation.plan`), for every place that can alarm under
the configuration; places with the same class, cell and policy stand together. Keeps house section 6: what nobody gave
a policy falls to the parent's, then to everybody who has a phone, and it is shown.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway import registry
from gateway.clock import SECOND
from gateway.escalation.plan import Method, Planner
from gateway.model.alarm import AlarmFacts
from gateway.model.contact import ChannelKind
from gateway.model.inventory import OWN, events_of, numbered, points_of
from gateway.model.point import Kind, Point
from gateway.model.station import Station
from rules.compile import compile_rules

LONG = 2.0  # h: from here on hours are easier to read than seconds
SHOWN = 6  # places named before "and N more"
CLASS_ZH = {
    "fire": "火警",
    "gas": "燃气",
    "flood": "水浸",
    "supervisory": "监管",
    "fault": "故障",
    "maintenance": "维护",
}
Watched = tuple[str, AlarmFacts]  # rule, facts


def timeline(station: Station, language: str) -> Iterator[str]:
    """Yield the lines: per class, cell and policy who is told when, what nobody is told of, what is switched off."""
    zh = language == "zh"
    ids = numbered(station)
    engine, _ = compile_rules(station, points_of(station, ids))
    kinds = {channel.kind: registry.addressed(channel.kind) for channel in station.channels}
    planner = Planner(station, kinds)
    watched = [(rule, place) for (rule, _), place in engine.watched.items()]
    events = {point.id: point for point in points_of(station, ids) if point.spec.kind is Kind.TEXT}
    for point in events.values():
        watched += [(rule, engine.facts(rule, point.id, "")) for rule in _event_rules(station, point)]
    yield "报警时通知谁：" if zh else "Who is told when:"
    groups: dict[tuple[int, str, str], list[Watched]] = {}
    for rule, place in watched:
        groups.setdefault((place.alarm_class, place.cell, place.policy), []).append((rule, place))
    calling = ChannelKind.PERSON in kinds.values()  # else no place has a person, which `check` says once
    for key in sorted(groups):
        yield from _group(planner, groups[key], station, zh=zh, calling=calling)
    yield (
        "今晚 03:00 与任何时刻相同：没有配置值班时间。"
        if zh
        else "Tonight at 03:00 and at any other hour the same people are told: no duty times are configured."
    )
    for point_name, rule, reason in engine.switched_off:
        yield (
            f"已关闭报警：{point_name}（规则 {rule}：{reason}）"
            if zh
            else f"alarms switched off: {point_name} (rule {rule}: {reason})"
        )


def _event_rules(station: Station, point: Point) -> list[str]:
    """Return the rules that what a device says of itself can raise at its event point."""
    profiles = {device.id: device.profile for device in station.devices}
    profile = profiles.get(point.device)
    if profile is None:  # the gateway's own point and those of its sources
        return ["event:fault"]
    own = f"event:{profile.alarm_class.word}"
    return list(dict.fromkeys(["event:fire", "event:fault", *([own] if profile.alarm_class.life_safety else [])]))


def _group(planner: Planner, members: list[Watched], station: Station, *, zh: bool, calling: bool) -> Iterator[str]:
    first = members[0][1]
    cell = planner.grid.name(first.cell) if first.cell else ("无网格" if zh else "no cell")
    word = CLASS_ZH[first.alarm_class.word] if zh else first.alarm_class.word
    policy = planner.policy(first).id
    told = policy or ("无预案，通知所有人" if zh else "no policy: everybody")
    yield f"  {word} · {cell}{f' ({first.cell})' if cell != first.cell and first.cell else ''} · {told}"
    members = sorted(members, key=lambda member: member[1].device != OWN)  # a fault of the gateway itself stands first
    names = [_name(rule, place, zh=zh) for rule, place in members]
    more = f"; … +{len(names) - SHOWN}" if len(names) > SHOWN else ""
    yield f"    {'; '.join(names[:SHOWN])}{more}"
    steps = planner.timeline(first)
    for after, methods in steps:
        yield f"    {after:>6g} s  {_methods(methods, station, zh=zh)}"
    if calling and not any(method.contact for _, methods in steps for method in methods):
        yield "    ！没有通知到任何人，只有场所通道" if zh else "    ! no person is told here, only channels of a place"
    repeat = _spoken(planner.repeat(first) / SECOND)
    yield f"    每 {repeat} 重复，直到有人确认" if zh else f"    again every {repeat} until somebody acknowledges"


def _spoken(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:g} h" if hours >= LONG and hours.is_integer() else f"{seconds:g} s"


def _name(rule: str, place: AlarmFacts, *, zh: bool) -> str:
    if place.device == OWN:
        return "网关自身故障" if zh else f"the gateway's own faults ({events_of(OWN)})"
    return f"{place.device}.{place.point_name} [{rule}]"


def _methods(methods: list[Method], station: Station, *, zh: bool) -> str:
    """Return people with their number and channels, each once, then the places."""
    names = {contact.id: contact.name for contact in station.contacts}
    people: dict[tuple[str, str], list[str]] = {}
    places: list[str] = []
    for method in methods:
        if method.contact:
            people.setdefault((method.contact, method.address), []).append(method.channel)
        else:
            places.append(method.channel)
    by = "经" if zh else "by"
    told = [f"{names[who]} ({who}, {phone}) {by} {', '.join(channels)}" for (who, phone), channels in people.items()]
    return "; ".join([*told, *places]) or ("！没有人" if zh else "! nobody")
