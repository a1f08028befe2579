"""From what a device sends to (value, quality): ranges, saturation, fault codes, labels and inversion of a point.

Pure, used by the drivers and dialects on every reading, so that a register and a JSON field are judged alike. Keeps
house section 6: over-range is UNCERTAIN with the limit as value, implausible and fault codes are BAD, an unknown label
is BAD, and what is no number is BAD and NaN, never 0 and never normal.

A point becomes a reader once, at load; the reader is called per reading.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping

import msgspec

from gateway.model.point import Kind, PointSpec
from gateway.model.quality import GOOD, Doubt, Level, quality

Reading = tuple[float, int]

NOT_A_NUMBER: Reading = (math.nan, quality(Level.BAD, Doubt.NOT_A_NUMBER))
NO_COMMS: Reading = (math.nan, quality(Level.BAD, Doubt.NO_COMMS))
OFFLINE: Reading = (math.nan, quality(Level.BAD, Doubt.OFFLINE))

_OVER = quality(Level.UNCERTAIN, Doubt.OVER_RANGE)
_FAULT = quality(Level.BAD, Doubt.FAULT_VALUE)
_IMPLAUSIBLE = quality(Level.BAD, Doubt.IMPLAUSIBLE)
_UNKNOWN = quality(Level.BAD, Doubt.UNKNOWN_LABEL)
_RETAINED = quality(Level.UNCERTAIN, Doubt.RETAINED)
_BAD = quality(Level.BAD)
_LARGEST = sys.float_info.max

# How senders write yes and no where a profile has no label of that name: 1 is the side that something is the matter.
_WORDS = {
    **dict.fromkeys(("true", "on", "yes", "1", "alarm", "open", "opened", "detected", "leak", "wet", "active"), 1.0),
    **dict.fromkeys(("false", "off", "no", "0", "normal", "close", "closed", "clear", "ok", "dry", "inactive"), 0.0),
}


class Spelling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys that `decode` of a point has wherever messages are read: how the sender spells its value.

    `words`: the sender's words → raw numbers; value = raw * `scale` + `offset`.
    """

    words: dict[str, float] = {}
    scale: float = 1.0
    offset: float = 0.0

    def reader(self, spec: PointSpec) -> Callable[[object], Reading]:
        """Return the reader of a point that is spelt so."""
        return object_reader(spec, scale=self.scale, offset=self.offset, words=self.words)


def number_reader(spec: PointSpec, *, scale: float = 1.0, offset: float = 0.0) -> Callable[[float], Reading]:
    """Return the reader of a point whose source sends numbers (registers, bits).

    The reader takes the raw number with its sign and returns (raw * scale + offset in the point's unit, quality). A
    state is inverted first (0 and 1 change places) and must then be one of its labels' numbers.
    """
    if spec.kind is Kind.STATE:
        return _state_reader(spec)
    faults = frozenset(spec.fault_values)
    valid_low, valid_high = spec.valid_range or (-math.inf, math.inf)
    low, high = spec.over_range or (-math.inf, math.inf)
    good_low, good_high = _good_range(spec)

    def read(raw: float) -> Reading:
        try:
            value = raw * scale + offset
        except OverflowError:  # JSON integers have any length
            return NOT_A_NUMBER
        if good_low <= value <= good_high and raw not in faults:  # NaN and infinities fail here
            return value, GOOD
        if raw in faults:
            return value, _FAULT
        if not math.isfinite(value):
            return NOT_A_NUMBER
        if not valid_low <= value <= valid_high:
            return value, _IMPLAUSIBLE
        return (low if value < low else high), _OVER

    return read


def _good_range(spec: PointSpec) -> tuple[float, float]:
    valid_low, valid_high = spec.valid_range or (-math.inf, math.inf)
    low, high = spec.over_range or (-math.inf, math.inf)
    return max(low, valid_low, -_LARGEST), min(high, valid_high, _LARGEST)


def object_reader(
    spec: PointSpec, *, scale: float = 1.0, offset: float = 0.0, words: Mapping[str, float] | None = None
) -> Callable[[object], Reading]:
    """Return the reader of a point whose source sends JSON values or text.

    Takes numbers, numbers as text (also with a decimal comma), true/false, and words: those of `words`, for a state
    then its labels and the usual pairs (on/off, alarm/normal, open/close …), all without regard to case. A label says
    outright what it means and is not inverted; numbers, booleans and `words` are raw. Anything else is BAD.
    """
    read = number_reader(spec, scale=scale, offset=offset)
    raw_words = {word.casefold(): float(number) for word, number in (words or {}).items()}
    if spec.kind is Kind.STATE:
        return _worded(spec, read, raw_words)

    def read_object(raw: object) -> Reading:
        if type(raw) is float or type(raw) is int:  # a boolean is neither
            return read(raw)
        if isinstance(raw, str):
            word = raw_words.get(raw.strip().casefold()) if raw_words else None
            return read(number_of(raw) if word is None else word)
        return NOT_A_NUMBER

    return read_object


def good_as_sent(spec: PointSpec, scale: float, offset: float) -> tuple[float, float]:
    """Return the range in which a number is (itself, GOOD) by `object_reader`; none (NaN) where it is not so simple."""
    if spec.kind is Kind.STATE or spec.fault_values or (scale, offset) != (1.0, 0.0):
        return math.nan, math.nan
    return _good_range(spec)


def number_of(text: str) -> float:
    """Return the number that a text is, NaN if it is none; `21,5` is 21.5."""
    text = text.strip()
    if "_" in text:  # Python would take 1_000
        return math.nan
    if text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")
    try:
        return float(text)
    except ValueError:
        return math.nan


def as_retained(packed: int) -> int:
    """Return the quality of a state from before we connected: it raises, never clears; what is BAD stays BAD."""
    return packed if packed >= _BAD else _RETAINED


def _state_reader(spec: PointSpec) -> Callable[[float], Reading]:
    known = frozenset(spec.labels.values())
    faults = frozenset(spec.fault_values)
    flip: dict[float, float] = {0.0: 1.0, 1.0: 0.0} if spec.invert else {}

    def read(raw: float) -> Reading:
        try:
            value = flip.get(raw, float(raw))
        except OverflowError:
            return NOT_A_NUMBER
        if value in known and raw not in faults:
            return value, GOOD
        if not math.isfinite(value):
            return NOT_A_NUMBER
        return value, _FAULT if raw in faults else _UNKNOWN

    return read


def _worded(
    spec: PointSpec, read: Callable[[float], Reading], raw_words: Mapping[str, float]
) -> Callable[[object], Reading]:
    labels = {label.casefold(): (number, GOOD) for label, number in spec.labels.items()}
    pairs = {word: read(number) for word, number in _WORDS.items()}
    known = {**pairs, **labels, **{word: read(number) for word, number in raw_words.items()}}
    unknown = (math.nan, _UNKNOWN)
    yes, no = read(1.0), read(0.0)

    def read_object(raw: object) -> Reading:
        if raw is True:
            return yes
        if raw is False:
            return no
        if isinstance(raw, int | float):
            return read(raw)
        if isinstance(raw, str):
            word = raw.strip().casefold()
            found = known.get(word)
            if found is not None:
                return found
            number = number_of(word)
            return unknown if math.isnan(number) else read(number)
        return NOT_A_NUMBER if raw is None else unknown

    return read_object
