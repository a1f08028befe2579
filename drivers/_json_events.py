"""Panel-like events in JSON messages: code words, keys such as loop/address, text and time.

Pure, between `drivers/dialects/json.py` and the batch; keeps house section 6: a fire of an unknown address, device or
code is an alarm "not registered", never nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from drivers._event_codes import Meaning, meaning_of
from drivers._json_path import MISSING, finder
from gateway.model.batch import Event, EventCode

FieldText = Callable[[object], str]
ReadTime = Callable[[object], int | None]

LONGEST_KEY = 64
LONGEST_TEXT = 400

# Words that panels and adapters use; a profile adds its own with `codes`.
_WORDS = {
    EventCode.FIRE: ("fire", "fire_alarm", "alarm", "火警", "火灾报警"),
    EventCode.PRE_ALARM: ("pre_alarm", "prealarm", "pre-alarm", "预警", "预报警"),
    EventCode.FAULT: ("fault", "trouble", "故障"),
    EventCode.SUPERVISORY: ("supervisory", "监管"),
    EventCode.DISABLED: ("disabled", "disable", "isolated", "屏蔽"),
    EventCode.ENABLED: ("enabled", "enable", "解除屏蔽"),
    EventCode.FEEDBACK: ("feedback", "反馈"),
    EventCode.TEST: ("test", "测试"),
    EventCode.RESTORE: ("restore", "restored", "normal", "恢复", "正常"),
    EventCode.RESET: ("reset", "复位"),
    EventCode.MANUAL: ("manual", "manual_call_point", "手动报警", "手报"),
    EventCode.GAS: ("gas", "gas_alarm", "燃气报警"),
    EventCode.FLOOD: ("flood", "flood_alarm", "水浸"),
    EventCode.INFO: ("info",),
}
_CODES: dict[str, Meaning] = {word: (code, None) for code, words in _WORDS.items() for word in words}
_FIELD = re.compile(r"\{([^{}]+)\}")
_SOUNDS_LIKE_FIRE = re.compile("fire|火", re.IGNORECASE)


class EventOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`options.event` of a json profile.

    `code`, `text`, `time`: paths. `key`: text with `{path}` or `{named level of the topic}` inside. `codes`: the
    sender's words → names of `EventCode` in lower case, `restore fault` for what ends a fault alone. `each`: path of an
    array of events in one message.
    """

    code: str
    key: str = ""
    text: str = ""
    time: str = ""
    each: str = ""
    topic: str = ""  # when events come by a topic of their own; ~ is the device's topic
    codes: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Place:
    """Where events go: the point, a prefix of their keys, and the keys that the configuration knows (None: any)."""

    point: int
    prefix: str = ""
    known: frozenset[str] | None = None
    registered: bool = True


class EventReader:
    """The compiled event options of one device. Raises ValueError for a wrong path or code name."""

    def __init__(self, options: EventOptions, read_time: ReadTime) -> None:
        self._code = finder(options.code, under_null=MISSING)  # no event at all is no unknown code
        self._text = finder(options.text) if options.text else None
        self._time = finder(options.time) if options.time else None
        self._each = finder(options.each) if options.each else None
        self._read_time = read_time
        self._key = _FIELD.split(options.key)  # literal, field, literal, field …
        self._fields = {field: finder(field) for field in self._key[1::2]}
        self._codes = {**_CODES}
        for word, name in options.codes.items():
            self._codes[word.strip().casefold()] = meaning_of(name)

    def read(
        self, message: object, raw: bytes, parts: Mapping[str, str], place: Place, problems: list[str]
    ) -> list[Event]:
        """Return the events of a message, none when it has no code; what is odd goes to `problems`."""
        if self._each is None:
            return self._one(message, raw, parts, place, problems)
        entries = self._each(message)
        if not isinstance(entries, list):
            return []
        found: list[Event] = []
        for entry in entries:
            found += self._one(entry, msgspec.json.encode(entry), parts, place, problems)
        return found

    def _one(
        self, entry: object, raw: bytes, parts: Mapping[str, str], place: Place, problems: list[str]
    ) -> list[Event]:
        word = self._code(entry)
        if word is MISSING or isinstance(word, dict | list):
            return []
        text = "" if self._text is None else _written(self._text(entry), LONGEST_TEXT)
        meaning = self._codes.get(_written(word, LONGEST_KEY).casefold())
        if meaning is None:
            problems.append("unknown_code")
            said = _written(word, LONGEST_KEY)
            text = f"{said}: {text}" if text else said
            code, ends = EventCode.FIRE if _SOUNDS_LIKE_FIRE.search(text) else EventCode.FAULT, None
        else:
            code, ends = meaning
        key = self._key_of(entry, parts)
        known_key = not key or place.known is None or key in place.known
        return [
            Event(
                place.point,
                (place.prefix + key)[:LONGEST_KEY],
                code,
                text,
                self._time_of(entry, problems),
                raw,
                registered=place.registered and meaning is not None and known_key,
                ends=ends,
            )
        ]

    def _key_of(self, entry: object, parts: Mapping[str, str]) -> str:
        """Return the key; empty (the whole device) when none of the message's fields is there."""
        said = {field: _written(find(entry), LONGEST_KEY) for field, find in self._fields.items() if field not in parts}
        if said and not any(said.values()):
            return ""
        values = [parts[field] if field in parts else said[field] for field in self._key[1::2]]
        literals = self._key[::2]
        return "".join(a + b for a, b in zip(literals, [*values, ""], strict=True))[:LONGEST_KEY]

    def _time_of(self, entry: object, problems: list[str]) -> int:
        raw = MISSING if self._time is None else self._time(entry)
        if raw is MISSING or raw is None:
            return 0
        read = self._read_time(raw)
        if read is None:
            problems.append("bad_time")
        return read or 0


def field_text(path: str) -> FieldText:
    """Return a finder whose result is text, for comparing fields with configured words. Raises ValueError."""
    find = finder(path)
    return lambda message: _written(find(message), LONGEST_TEXT)


def _written(raw: object, longest: int) -> str:
    """A field as people write it: 17, 17.0 and "17" are one address; what UTF-8 cannot carry is replaced."""
    if raw is None or raw is MISSING or isinstance(raw, dict | list):
        return ""
    if isinstance(raw, bool):
        return str(raw).lower()
    if isinstance(raw, float) and raw.is_integer():
        raw = int(raw)
    if isinstance(raw, int) and raw.bit_length() > 256:  # Python refuses to write very long ones
        return "(number)"
    return str(raw).strip().encode("utf-8", "replace").decode()[:longest]
