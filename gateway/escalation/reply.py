"""Reading a reply: which code a person names, in whatever digits and with whatever words the phone keyboard offers.

Accepted: the code alone, or `1`, `确认`, `ok` before or after the code, or such a word alone. Anything else
acknowledges nothing: "not at home 23" must not silence a fire. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

_GAP = r"[\s,，.。:：;；#\-!！]*"
_WORD = r"1|确认|確認|ok"
_FORM = re.compile(
    rf"{_GAP}(?:(?P<before>{_WORD}){_GAP})?(?P<code>\d{{2,}})?(?:{_GAP}(?:确认|確認|ok))?{_GAP}", re.IGNORECASE
)
_BARE = re.compile(rf"{_GAP}(?:{_WORD}){_GAP}", re.IGNORECASE)


class Parsed(NamedTuple):
    """`codes`: what the digits can mean, likeliest first; `bare`: an answer without a code."""

    codes: tuple[str, ...]
    bare: bool


def parse(text: str) -> Parsed:
    """Read a reply. In "123" the digits as they stand are tried first, then 1 and the code 23."""
    folded = unicodedata.normalize("NFKC", text).replace("\x00", "")
    if _BARE.fullmatch(folded):
        return Parsed((), bare=True)
    match = _FORM.fullmatch(folded)
    if match is None or match["code"] is None:
        return Parsed((), bare=False)
    digits = match["code"]
    glued = ("1" + digits,) if match["before"] == "1" and folded[match.end("before") :].startswith(digits) else ()
    return Parsed((*glued, digits), bare=False)
