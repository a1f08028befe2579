"""One component of a Home Assistant discovery message → a point, or why it is left out.

Pure, beside `_ha_discovery.py`. Of templates only a path into the message is understood, of a number also with filters
that leave it as it is (`| float`), and of a state `'ON' if <path> else 'OFF'`; anything else is said and left out,
never evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from drivers._ha_words import CO_PPM, LONG, SENSORS, STATES, UNITS
from drivers._json_path import steps

Table = Mapping[str, Any]

_SLUG = re.compile(r"[^a-z0-9]+")
_PATH = r"value(?:_json(?P<path>[^\s{}%|()+*/]*))?"
_PLAIN = re.compile(r"\{\{-?\s*" + _PATH + r"\s*-?\}\}")
_NUMBER = re.compile(
    r"\{\{-?\s*" + _PATH + r"(?:\s*\|\s*(?:float|int|round|is_defined)(?:\([\d., ]{0,9}\))?){0,4}\s*-?\}\}"
)
_EITHER = re.compile(
    r"""\{\{-?\s*(['"])(?P<yes>[^'"]*)\1\s+if\s+""" + _PATH + r"""\s+else\s+(['"])(?P<no>[^'"]*)\4\s*-?\}\}"""
)
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_PRESENCE = (("available", "online"), ("not_available", "offline"))
_USUAL = (("on", "off"), ("true", "false"), ("1", "0"))  # read so without being told
_LONGEST_WORD = 64
# A meter of gas (m³) is no detector of gas: no number has the name of a profile's state, nor a state that of a number.
_STATE_NAMES = frozenset(name for name, *_ in STATES.values())
_NUMBER_NAMES = frozenset(SENSORS.values()) - _STATE_NAMES


class NotUnderstoodError(ValueError):
    """A component is left out; says why."""


def point_of(component: str, entry: Table, notes: list[str]) -> tuple[str, str, dict[str, Any]]:
    """Return (name, another name where that is taken, keys) of a component's point; remarks go to `notes`.

    Raises:
        NotUnderstoodError: nothing to read, or by a template that is no path.
    """
    platform, kind = entry.get("platform"), text_of(entry, "device_class")
    topic = text_of(entry, "state_topic")
    if platform not in ("binary_sensor", "sensor", "switch"):
        raise NotUnderstoodError(f"platform {platform}: nothing to measure")
    if not topic or set("+#\0") & set(topic) or topic.endswith("/"):
        raise NotUnderstoodError("no state topic")
    slug = slug_of(text_of(entry, "name") or component).replace("-", "_") or "point"
    slug += ("_value" if slug in _STATE_NAMES else "") if platform == "sensor" else "_state" * (slug in _NUMBER_NAMES)
    decode: dict[str, Any] = {"topic": topic}
    if platform == "sensor":
        name, keys = SENSORS.get(kind, slug), _measured(entry, slug, decode, notes)
        if name == "co" and keys["unit"] == "mg/m3":  # the limits of a profile are in ppm
            keys["unit"], decode["scale"] = "[ppm]", CO_PPM
        path = path_of(text_of(entry, "value_template"))
    else:
        yes, no = _words(entry, switch=platform == "switch")
        path = path_of(text_of(entry, "value_template"), yes, no)
        name, keys = (slug, _on_off(slug)) if platform == "switch" else _state(kind, slug)
        if (yes.casefold(), no.casefold()) not in _USUAL:
            decode["words"] = {yes: 1, no: 0}
        if platform == "switch" and (write := text_of(entry, "command_topic")):
            decode |= {"write": write} | _commands(entry)
        if "off_delay" in entry:
            notes.append(f"off_delay {entry['off_delay']}: the device never says that it is over")
    if path != "$":
        decode["path"] = path
    for one in _presences(entry, [])[1]:
        decode |= {"available": one.get("path", "$")} | ({"online": one["online"]} if "online" in one else {})
    return name, slug, {**keys, "decode": decode}


def presence_of(entry: Table, notes: list[str]) -> dict[str, Any]:
    """Return the keys of a `[[device]]` that say how presence is told, and its longest silence."""
    found, _ = _presences(entry, notes)
    options: dict[str, Any] = {"availability": found} if found else {}
    if len(found) > 1 and (mode := text_of(entry, "availability_mode")) in ("all", "any"):
        options["availability_mode"] = mode
    silence = entry.get("expire_after")
    if type(silence) is int and silence > 0:
        options["silence"] = f"{silence}s"
    return options


def _presences(entry: Table, notes: list[str]) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Return what tells the presence of the device, and what that of this component alone: its own state topic."""
    found = _all_presences(entry, notes)
    others = [one for one in found if one["topic"] != text_of(entry, "state_topic")]
    return (others, [one for one in found if one not in others]) if others else (found, [])


def _all_presences(entry: Table, notes: list[str]) -> list[dict[str, str]]:
    given = entry.get("availability")
    listed = [long_of(one) for one in given] if isinstance(given, list) else [long_of(given)]
    if text_of(entry, "availability_topic"):
        template = entry.get("availability_template")
        listed.append({**entry, "topic": entry["availability_topic"], "value_template": template})
    found: list[dict[str, str]] = []
    for one in listed:
        topic = rooted(text_of(one, "topic"), text_of(entry, "~"))
        if not topic:
            continue
        try:
            yes, no = (_word(one.get(f"payload_{key}", word)) for key, word in _PRESENCE)
            path = path_of(text_of(one, "value_template"), yes, no)
        except NotUnderstoodError as why:
            notes.append(f"availability: {why}")
            continue
        said = {"topic": topic, "path": path, "online": yes, "offline": no}
        usual = {"path": "$", "online": "online", "offline": "offline"}
        found.append({key: word for key, word in said.items() if usual.get(key) != word})
    return found


def path_of(template: str, yes: str = "", no: str = "") -> str:
    """Return where in the message the value stands. Raises `NotUnderstoodError` for any other template."""
    if not template:
        return "$"
    found = _PLAIN.fullmatch(template.strip())
    if found is None:
        found = (_EITHER if yes else _NUMBER).fullmatch(template.strip())
        if found is None or (yes and (found["yes"], found["no"]) != (yes, no)):
            raise NotUnderstoodError(f"template not understood: {template}")
    try:
        way = steps(f"${found['path'] or ''}")
    except ValueError:
        raise NotUnderstoodError(f"template not understood: {template}") from None
    return "$" + "".join(_step(step) for step in way)


def long_of(entry: object) -> dict[str, Any]:
    """Return a table with the long names of its keys; of anything else nothing."""
    return {LONG.get(str(key), str(key)): value for key, value in entry.items()} if isinstance(entry, dict) else {}


def based(entry: Table) -> dict[str, Any]:
    """Return a table with the base topic `~` put in."""
    base = text_of(entry, "~")
    return {
        key: rooted(value, base) if key.endswith("_topic") and isinstance(value, str) else value
        for key, value in entry.items()
    }


def rooted(topic: str, base: str) -> str:
    """Return a topic with the base topic put in at its beginning or end."""
    if topic.startswith("~"):
        return base + topic[1:]
    return topic[:-1] + base if topic.endswith("~") else topic


def text_of(entry: Table, key: str) -> str:
    """Return a text of a table, nothing if it has none."""
    found = entry.get(key)
    return clean(found) if isinstance(found, str) else ""


def clean(text: str) -> str:
    """Return a text with what UTF-8 cannot carry replaced."""
    return text.encode("utf-8", "replace").decode()


def slug_of(text: str) -> str:
    """Return a name made of a text: lower-case ASCII, digits and `-`; empty when nothing is left."""
    return _SLUG.sub("-", text.casefold())[:48].strip("-")


def _measured(entry: Table, slug: str, decode: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    said = text_of(entry, "unit_of_measurement")
    grows = text_of(entry, "state_class")
    if not said and not grows:
        raise NotUnderstoodError("a sensor without a unit: text, or a number that nobody can judge")
    unit, scale, offset = UNITS.get(said, (said, 1.0, 0.0))
    if said not in UNITS:
        notes.append(f"unit {said} is taken as it is")
    if (scale, offset) != (1.0, 0.0):
        decode |= {"scale": scale, "offset": offset}
    return {"unit": unit, "title": slug} | ({"kind": "counter"} if grows.startswith("total") else {})


def _state(kind: str, slug: str) -> tuple[str, dict[str, Any]]:
    if kind not in STATES:
        return slug, _on_off(slug)
    name, off, on, alarm = STATES[kind]
    keys: dict[str, Any] = {"kind": "state", "title": slug, "labels": {off: 0, on: 1}}
    return name, keys | ({} if alarm is None else {"alarms": [{"when": f'value == "{on}"', **alarm}]})


def _on_off(title: str) -> dict[str, Any]:
    return {"kind": "state", "title": title, "labels": {"off": 0, "on": 1}}


def _words(entry: Table, *, switch: bool) -> tuple[str, str]:
    """Return what stands for on and off; Zigbee2MQTT says JSON's own true and false."""
    names = ("state_on", "state_off") if switch and "state_on" in entry else ("payload_on", "payload_off")
    yes, no = (_word(entry.get(name, default)) for name, default in zip(names, ("ON", "OFF"), strict=True))
    if yes.casefold() == no.casefold():
        raise NotUnderstoodError("on and off are the same word")
    return yes, no


def _commands(entry: Table) -> dict[str, str]:
    said = {"on": _word(entry.get("payload_on", "ON")), "off": _word(entry.get("payload_off", "OFF"))}
    return {key: word for key, word in said.items() if word != key.upper()}


def _word(raw: object) -> str:
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, str) and 0 < len(raw) <= _LONGEST_WORD:
        return clean(raw)
    if isinstance(raw, int) and raw.bit_length() <= _LONGEST_WORD:
        return str(raw)
    raise NotUnderstoodError("a payload that is no word")


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _NAME.fullmatch(step) else f"['{step}']" if "'" not in step else f'["{step}"]'
