"""What NB-IoT platforms have in common: raw payloads inside JSON, as base64 or hexadecimal text.

Pure, shared by `drivers/dialects/ctwing.py` and `onenet.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from drivers._json_path import MISSING, finder, steps
from drivers._lora import bytes_of
from drivers._report import Reads


class NbReads(Reads, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of a detector behind such a platform, beside those of `Reads`.

    Attributes:
        base64: path in the fields of a raw payload as base64.
        hex: path of one as hexadecimal text, blanks and 0x allowed.
    """

    base64: str = ""
    hex: str = ""


def raw_reader(options: NbReads) -> Callable[[object, list[str]], bytes | None]:
    """Return what finds the raw payload in the fields, None without one. Raises ValueError: a wrong path."""
    coded = finder(options.base64) if options.base64 else None
    digits = finder(options.hex) if options.hex else None

    def read(fields: object, problems: list[str]) -> bytes | None:
        if digits is not None and (text := digits(fields)) is not MISSING:
            return _unhexed(text, problems)
        return None if coded is None else bytes_of(coded(fields), problems)

    return read


def raw_fields(options: NbReads) -> list[str]:
    """Return the members of the fields in which a raw payload stands."""
    ways = [steps(path) for path in (options.hex, options.base64) if path]
    return [way[0] for way in ways if way and isinstance(way[0], str)]


def _unhexed(text: object, problems: list[str]) -> bytes | None:
    try:
        return bytes.fromhex(text.strip().lower().removeprefix("0x")) if isinstance(text, str) and text else None
    except ValueError:
        problems.append("bad_hex")
        return None
