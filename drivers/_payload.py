"""A payload as JSON where it is any, as text where it is not: strict and fast first, tolerant when that fails.

Pure, used by dialects. What is allowed beyond RFC 8259, because devices send it: NaN and infinities, also as C prints
them (nan, -inf), numbers of any length, half characters and control characters inside text, a byte order mark, GB18030
instead of UTF-8.
Nothing here raises, whatever the bytes are.
"""

from __future__ import annotations

import json
import math
import re
from enum import Enum

import msgspec


class Unreadable(Enum):
    """Why there is no message; the values are counted as problems."""

    EMPTY = "empty"
    TOO_DEEP = "too_deep"


class Plain(str):
    """A payload that is not JSON: its text, stripped."""

    __slots__ = ()


_loads = msgspec.json.Decoder().decode
_LONGEST_WHOLE = 400  # digits; more is beyond any float, and Python refuses to read very long ones
# A string, also one without an end (so that the time stays linear), or what printf makes of a number that is none.
_PRINTED = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[-+]?\b(?:nan|inf(?:inity)?)\b', re.IGNORECASE | re.DOTALL)


def message_of(payload: bytes) -> object:
    """Return the decoded JSON value, `Plain` text, or why there is neither."""
    try:
        return _loads(payload)
    except RecursionError:
        return Unreadable.TOO_DEEP
    except ValueError:  # of msgspec; text that is no UTF-8 raises UnicodeDecodeError
        return _tolerant(payload)


def _tolerant(payload: bytes) -> object:
    text = text_of(payload).strip("\ufeff \t\r\n\0")
    if not text:
        return Unreadable.EMPTY
    tries = (text, _PRINTED.sub(_spelt, text)) if text[0] in "{[" else (text,)
    for one in dict.fromkeys(tries):
        try:
            found: object = json.loads(one, strict=False, parse_int=_whole)
            return _paired(found) if "\\ud" in one.casefold() else found
        except RecursionError:
            return Unreadable.TOO_DEEP
        except ValueError:
            continue
    return Plain(text)


def _paired(found: object) -> object:
    """Return a JSON value without half characters (lone surrogates), which nothing can write again."""
    if isinstance(found, str):
        return found.encode("utf-8", "replace").decode()
    if isinstance(found, dict):
        return {_paired(key): _paired(value) for key, value in found.items()}
    return [_paired(value) for value in found] if isinstance(found, list) else found


def _spelt(found: re.Match[str]) -> str:
    return found[0] if found[0].startswith('"') else "NaN"


def _whole(digits: str) -> float:
    return int(digits) if len(digits) < _LONGEST_WHOLE else math.copysign(math.inf, -1 if digits[0] == "-" else 1)


def text_of(payload: bytes) -> str:
    """Return a payload as text: UTF-8, else GB18030, else what of it UTF-8 can read."""
    for encoding in ("utf-8", "gb18030"):
        try:
            return payload.decode(encoding)
        except UnicodeDecodeError:
            continue
    return payload.decode("utf-8", "replace")
