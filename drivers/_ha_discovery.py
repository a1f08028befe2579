"""Home Assistant's MQTT discovery read: what devices announce of themselves → devices and points to configure.

Pure, beside `dialects/homeassistant.py`; for `firegrid discover`. Follows the "MQTT Discovery" chapter of Home
Assistant: entity form `<prefix>/<component>/[<node>/]<object>/config`, device form `<prefix>/device/<object>/config`
(since 2024.11), abbreviations, base topic `~`, removal by an empty payload, migration from the one to the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from drivers._ha_component import (
    NotUnderstoodError,
    Table,
    based,
    clean,
    long_of,
    point_of,
    presence_of,
    slug_of,
    text_of,
)
from drivers._ha_words import STATES, profile_of
from drivers._payload import message_of


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedDevice:
    """A device as it announced itself.

    Attributes:
        key: what identifies it among the announcements; empty: removals only.
        topic: of the announcement, the first of several.
        id, title: proposals for `[[device]]`.
        points: name → keys of `[device.points.<name>]`, all of them.
        origins: name → (topic, component) that announced the point.
        options: other keys of the `[[device]]`.
        not_understood: what was left out, and why.
        removed: (topic, component) that are no more; component empty: all of the topic.
    """

    key: str = ""
    topic: str = ""
    id: str = ""
    title: str = ""
    points: Mapping[str, Table] = field(default_factory=dict)
    origins: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    options: Table = field(default_factory=dict)
    not_understood: tuple[str, ...] = ()
    removed: tuple[tuple[str, str], ...] = ()

    @property
    def profile(self) -> str:
        """The shipped profile that fits its most urgent point."""
        return profile_of(self.points)


def learn(topic: str, payload: bytes, prefix: str = "homeassistant") -> list[LearnedDevice]:
    """Return what one discovery message announces: one device, a removal, or nothing when it is no such message.

    Never raises on foreign bytes. `merge` puts the messages of one device together.
    """
    levels = topic.removeprefix(f"{prefix}/").split("/")
    if not topic.startswith(f"{prefix}/") or len(levels) not in (3, 4) or levels[-1] != "config":
        return []
    if not payload.strip():
        return [LearnedDevice(removed=((topic, ""),))]
    message = message_of(payload)
    if not isinstance(message, dict):
        return [LearnedDevice(key=topic, topic=topic, not_understood=(f"{clean(topic)}: not JSON",))]
    told = long_of(message)
    if told.get("migrate_discovery") is True:  # the device form follows, the old topic will be emptied
        return []
    if levels[0] != "device":
        return [_device(topic, told, {levels[-2]: {**told, "platform": levels[0]}})]
    components = told.get("components")
    shared = {key: value for key, value in told.items() if key not in ("components", "device", "origin", "name")}
    given = {name: long_of(entry) for name, entry in components.items()} if isinstance(components, dict) else {}
    gone = tuple((topic, name) for name, entry in given.items() if set(entry) <= {"platform"})
    there = {name: {**shared, **entry} for name, entry in given.items() if (topic, name) not in gone}
    return [replace(_device(topic, told, there), removed=gone)]


def component_of(payload: bytes) -> str:
    """Return what stands in the topic of an announcement that came without one, by what it says."""
    told = long_of(message_of(payload))
    if "components" in told:
        return "device"
    return "binary_sensor" if told.get("device_class") in STATES and "unit_of_measurement" not in told else "sensor"


def merge(found: Iterable[LearnedDevice]) -> list[LearnedDevice]:
    """Return one entry per device, in the order of appearance; removals take away what was announced before.

    An entity that is told again replaces itself, a device in the device form adds to itself: it removes by name only.
    """
    standing: dict[str, LearnedDevice] = {}
    for one in found:
        for topic, component in one.removed:
            if not component:
                standing.pop(topic, None)
            elif topic in standing:
                standing[topic] = _without(standing[topic], (topic, component))
        if one.key:
            known = standing.get(one.topic)
            adds = known if "/device/" in one.topic else None
            standing[one.topic] = one if adds is None else _joined(adds, one)
    devices: dict[str, LearnedDevice] = {}
    for one in standing.values():
        devices[one.key] = _joined(devices[one.key], one) if one.key in devices else one
    return [device for device in devices.values() if device.points or device.not_understood]


def _device(topic: str, told: Table, entries: Mapping[str, Table]) -> LearnedDevice:
    """Return the device with the points of its components."""
    device = long_of(told.get("device"))
    identifiers = device.get("identifiers")
    names = identifiers if isinstance(identifiers, list) else [identifiers]
    key = next((clean(name) for name in names if isinstance(name, str) and name), topic)
    title = text_of(device, "name") or text_of(told, "name")
    points: dict[str, Table] = {}
    origins: dict[str, tuple[str, str]] = {}
    options: dict[str, Any] = {}
    notes: list[str] = []
    for component, entry in entries.items():
        remarks: list[str] = []
        try:
            name, other, keys = point_of(component, based(entry), remarks)
            name = _free(name, other, points)
            points[name], origins[name] = keys, (topic, component)
            _add(options, presence_of(based(entry), remarks))
        except NotUnderstoodError as why:
            remarks.append(str(why))
        notes += [clean(f"{component}: {remark}") for remark in remarks]
    return LearnedDevice(
        key=key,
        topic=topic,
        id=_id_of(title, key.removesuffix("/config")),
        title=title,
        points=points,
        origins=origins,
        options=options,
        not_understood=tuple(notes),
    )


def _id_of(title: str, key: str) -> str:
    """Return the title as an id; of one that is not ASCII little is left, and often the same: then the key."""
    names = (title, key) if title.isascii() else (key, title)
    return next((found for name in names if (found := slug_of(name))), "device")


def _free(name: str, other: str, taken: Mapping[str, Table]) -> str:
    """Return a name that no point has yet."""
    candidates = (name, other, *(f"{other}_{number}" for number in range(2, len(taken) + 3)))
    return next(one for one in candidates if one not in taken)


def _add(options: dict[str, Any], more: Table) -> None:
    """Add what another component says: topics that tell presence are all listed, the shortest silence counts."""
    for key, value in more.items():
        if key == "availability":
            options[key] = [*options.get(key, []), *(one for one in value if one not in options.get(key, []))]
        elif key == "silence" and key in options:
            options[key] = min(options[key], value, key=lambda text: int(text[:-1]))
        else:
            options.setdefault(key, value)


def _joined(known: LearnedDevice, more: LearnedDevice) -> LearnedDevice:
    """Return a device with the points of both announcements; a component that is told again replaces itself."""
    for origin in more.origins.values():
        known = _without(known, origin)
    points, origins, options = dict(known.points), dict(known.origins), dict(known.options)
    for name, keys in more.points.items():
        component = slug_of(more.origins[name][1]).replace("-", "_") or name
        free = _free(name, component, points)
        points[free], origins[free] = keys, more.origins[name]
    _add(options, more.options)
    notes = tuple(dict.fromkeys((*known.not_understood, *more.not_understood)))
    return replace(known, points=points, origins=origins, options=options, not_understood=notes, removed=())


def _without(device: LearnedDevice, gone: tuple[str, str]) -> LearnedDevice:
    kept = [name for name, origin in device.origins.items() if origin != gone]
    return replace(
        device,
        points={name: device.points[name] for name in kept},
        origins={name: device.origins[name] for name in kept},
    )
