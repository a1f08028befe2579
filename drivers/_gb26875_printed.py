"""Types 9 and 10 of one maker: what a fire panel prints, handed on as counted strings. Pure.

Beside `_gb26875_events.py`. The layout is known from one capture only: 4 bytes, the number of strings, the strings
(length, GB 18030), the time. Keeps house section 6: a printed fire is a fire. Its key is the text,
since that is all that tells one place from another.
"""

from __future__ import annotations

from drivers._gb26875_told import readable
from gateway.model.batch import EventCode
from gateway.protocols.gb26875_objects import NO_TIME

PRINTED = frozenset({9, 10})
_HEAD = 4
_LONGEST_KEY = 56
# What a line says, by the first of these words in it; what has ended stands before what is.
_WORDS = (
    ("复位", EventCode.RESET),
    ("恢复", EventCode.INFO),
    ("消除", EventCode.INFO),
    ("解除", EventCode.INFO),
    ("火警", EventCode.FIRE),
    ("手动报警", EventCode.MANUAL),
    ("故障", EventCode.FAULT),
    ("屏蔽", EventCode.DISABLED),
    ("监管", EventCode.SUPERVISORY),
    ("反馈", EventCode.FEEDBACK),
    ("启动", EventCode.FEEDBACK),
)
_KEY = "printed"


def printed(body: bytes) -> tuple[str, EventCode, str, bytes]:
    """Return (key, code, text, time tag) of what was printed; of what has another layout the whole text."""
    lines, tag = _lines(body) or ([body], NO_TIME)
    texts = [readable(line) for line in lines]
    codes = [code for code in map(_code, texts) if code is not None]
    code = EventCode.FIRE if EventCode.FIRE in codes else next(iter(codes), EventCode.INFO)
    text = " ".join(texts)
    key = _KEY if code is EventCode.RESET else f"{_KEY}/{text}"[:_LONGEST_KEY]
    return key, code, text, tag


def _lines(body: bytes) -> tuple[list[bytes], bytes] | None:
    if len(body) <= _HEAD:
        return None
    at = _HEAD + 1
    lines: list[bytes] = []
    for _ in range(body[_HEAD]):
        if at >= len(body):
            return None
        lines.append(body[at + 1 : at + 1 + body[at]])
        at += 1 + body[at]
    return (lines, body[at:]) if len(body) - at == len(NO_TIME) and lines else None


def _code(line: str) -> EventCode | None:
    return next((code for word, code in _WORDS if word in line), None)
