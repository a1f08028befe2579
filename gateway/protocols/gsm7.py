"""The GSM 7 bit default alphabet: text ↔ septets ↔ packed octets (3GPP TS 23.038 clauses 6.1.2.1 and 6.2.1).

Pure (house rule 2). `smsfields` packs user data with it, `smsparts` asks it whether a text fits and where to cut it.
A septet is held as one byte with the top bit clear; an escape pair is two of them.
"""

from __future__ import annotations

ESCAPE = 0x1B
_BITS = 7

_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}
_SEPTETS_OF = {char: bytes((code,)) for code, char in enumerate(_BASIC) if code != ESCAPE} | {
    char: bytes((ESCAPE, code)) for code, char in _EXTENSION.items()
}


def septets_of(text: str) -> bytes | None:
    """Return the septets of `text`, one a byte, or None when a character is not in the alphabet."""
    try:
        return b"".join([_SEPTETS_OF[char] for char in text])
    except KeyError:
        return None


def text_of(septets: bytes) -> str:
    """Return the text of septets; an unknown escape pair shows its basic character, a lone escape a space (6.2.1.1)."""
    chars = []
    escaped = False
    for septet in septets:
        if escaped:
            chars.append(" " if septet == ESCAPE else _EXTENSION.get(septet, _BASIC[septet]))
            escaped = False
        elif septet == ESCAPE:
            escaped = True
        else:
            chars.append(_BASIC[septet])
    if escaped:
        chars.append(" ")
    return "".join(chars)


def pack(septets: bytes, *, fill: int = 0) -> bytes:
    """Pack septets, lowest bit first, after `fill` zero bits (0 to 6: they align user data behind a header)."""
    bits = 0
    for septet in reversed(septets):
        bits = bits << _BITS | septet
    length = (len(septets) * _BITS + fill + 7) // 8
    return (bits << fill).to_bytes(length, "little")


def unpack(octets: bytes, count: int, *, fill: int = 0) -> bytes:
    """Return `count` septets that start `fill` bits into `octets`; bits that are not there read as zero."""
    bits = int.from_bytes(octets, "little") >> fill
    return bytes([bits >> _BITS * place & 0x7F for place in range(count)])
