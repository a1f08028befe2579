"""A payload as JSON where it is any, as text where it is not: strict and fast first, tolerant when that fails.

Pure, used by dialects. What is allowed beyond RFC 8259, because devices send it: NaN and infinities, control characters
inside text, a byte order mark, GB18030 instead of UTF-8. Nothing here raises, whatever the bytes are.
"""

from __future__ import annotations

import json
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


def message_of(payload: bytes) -> object:
    """Return the decoded JSON value, `Plain` text, or why there is neither."""
    try:
        return _loads(payload)
    except RecursionError:
        return Unreadable.TOO_DEEP
    except ValueError:  # of msgspec; text that is no UTF-8 raises UnicodeDecodeError
        return _tolerant(payload)


def _tolerant(payload: bytes) -> object:
    text = _text(payload).strip("\ufeff \t\r\n\0")
    if not text:
        return Unreadable.EMPTY
    try:
        return json.loads(text, strict=False)
    except RecursionError:
        return Unreadable.TOO_DEEP
    except ValueError:
        return Plain(text)


def _text(payload: bytes) -> str:
    for encoding in ("utf-8", "gb18030"):
        try:
            return payload.decode(encoding)
        except UnicodeDecodeError:
            continue
    return payload.decode("utf-8", "replace")
