"""What an HJ 212 data segment says: `QN=…;ST=…;CN=…;PW=…;MN=…;Flag=…;[PNUM=…;PNO=…;]CP=&&…&&`, read and written.

Pure, between `gateway.protocols.hj212` (packets) and the driver. Never raises on foreign bytes: what cannot be read is
a `Fault` (house section 11). Follows HJ 212-2017 section 6.3 and appendix B; the order of the fields is not relied on,
what the edition of 2005 leaves out may be missing, and unknown fields are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

import msgspec

from gateway.model.time import MILLISECOND, SECOND

ANSWER = 1  # bit A of Flag: the sender waits for an answer
SPLIT = 2  # bit D of Flag: packet numbers are there
VERSION_SHIFT = 2  # of Flag: 0 is 2005, 1 is 2017, 2 said to be 2025
REPLY_FLAG = 4  # of every answer: edition 2017, none wanted back
MOST_PARTS = 1024  # of one message
LONGEST_FIELD = 64  # characters: answers and requests repeat QN, ST, PW and MN, and must fit a packet themselves

_OPEN, _CLOSE = "CP=&&", "&&"
_ITEM = re.compile(r"\s*[\w.-]{1,64}\s*=(?!=?\s*$)")
_TEXT = "//(?:(?!=//).)*?//"  # from = on; where another begins inside, the first was never closed and is none
_ITEMS = re.compile(rf"(?:^|(?<=[;,]))(?:([^=;,]*)-)?([^=;,]*)=({_TEXT}|[^;,]*)", re.DOTALL)  # code, kind, value
_GROUPS = re.compile(rf"(?:(?<==){_TEXT}|[^;])+", re.DOTALL)
_BLANK, _BLANKS = re.compile(r"\s"), re.compile(r"\s*([;,=])\s*")
_MN = re.compile(rb"(?:^|;)\s*MN=([^;&]{1,64})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KNOWN = frozenset(("QN", "ST", "CN", "PW", "MN", "Flag", "PNUM", "PNO"))


class Fault(StrEnum):
    """Why a segment whose check is right cannot be read, or not all of it."""

    NO_CP = "no_cp"
    NO_CN = "no_cn"
    BAD_FLAG = "bad_flag"  # costs the Flag alone: the rest is read as if there were none
    BAD_PARTS = "bad_parts"  # costs PNUM and PNO alone: the packet is read as if it were not split
    ENCRYPTED = "encrypted"  # an option of the edition of 2025: we have no key for it


class Factor(msgspec.Struct, frozen=True):
    """One factor: its code and its values by kind (Rtd, Avg, Flag, SampleTime …), as they were written."""

    code: str
    values: dict[str, str]


class Packet(msgspec.Struct, frozen=True, kw_only=True):
    """A data segment. Times and numbers are text as sent; `flag` is None where a device sends none (2005).

    `flaws`: what could not be read while the rest could.
    """

    qn: str = ""
    st: str = ""
    cn: str
    pw: str = ""
    mn: str = ""
    flag: int | None = None
    parts: int = 0  # PNUM, 0: not split
    part: int = 0  # PNO, from 1
    cp: str = ""
    extra: dict[str, str] = {}
    flaws: tuple[Fault, ...] = ()

    @property
    def wants_answer(self) -> bool:
        """Bit A."""
        return bool((self.flag or 0) & ANSWER)

    @property
    def edition(self) -> int:
        """2005, 2017 or 2025 by the version bits; a sender with more bits counts as 2025."""
        return (2005, 2017, 2025)[min((self.flag or 0) >> VERSION_SHIFT, 2)]


class Data(msgspec.Struct, frozen=True):
    """The CP of a packet: plain fields (DataTime, QnRtn …) and factors in the order they came.

    `stray`: something in it has no name, as the 5 of `a21005-Rtd=1,5`.
    """

    fields: dict[str, str]
    factors: list[Factor]
    stray: bool = False


def parse(segment: bytes) -> Packet | Fault:
    """Read a data segment. Text is UTF-8; older devices write GB18030."""
    text = _text(segment)
    head, found, rest = text.partition(_OPEN)
    cp, closed, tail = rest.rpartition(_CLOSE)
    if not found or not closed or tail.strip():
        return Fault.NO_CP
    fields: dict[str, str] = {}
    for item in head.split(";"):
        name, is_field, value = item.partition("=")
        if is_field:
            fields.setdefault(name.strip(), value.strip()[:LONGEST_FIELD])
    if not (fields.get("CN", "").isascii() and fields.get("CN", "").isdigit()):
        return Fault.NO_CN
    flag = _number(fields.get("Flag"), 255)
    parts, part = (_number(fields.get(name), MOST_PARTS) or 0 for name in ("PNUM", "PNO"))
    if not 0 < part <= parts:
        parts = part = 0
    if cp and (flag or 0) >> VERSION_SHIFT > 1 and not any(map(_ITEM.match, cp.split(";"))):
        return Fault.ENCRYPTED
    flaws = (
        (Fault.BAD_FLAG, flag is None and fields.get("Flag")),
        (Fault.BAD_PARTS, not parts and fields.get("PNUM")),
    )
    return Packet(
        qn=fields.get("QN", ""),
        st=fields.get("ST", ""),
        cn=fields["CN"],
        pw=fields.get("PW", ""),
        mn=fields.get("MN", ""),
        flag=flag,
        parts=parts,
        part=part,
        cp=cp,
        extra={name: value for name, value in fields.items() if name not in _KNOWN},
        flaws=tuple(flaw for flaw, there in flaws if there),
    )


def mn_of(segment: bytes) -> str:
    """Return which device sent a segment that cannot be read, "" where it does not say."""
    found = _MN.search(segment)
    return _text(found[1]).strip() if found else ""


def data_of(cp: str) -> Data:
    """Read a CP. A factor that is named twice with the same kind is two factors: no value is lost.

    A text between // and // is one value, whatever stands in it.
    """
    fields: dict[str, str] = {}
    factors: list[Factor] = []
    latest: dict[str, dict[str, str]] = {}
    if _BLANK.search(cp):
        cp = _BLANKS.sub(r"\1", cp).strip()
    items = _ITEMS.findall(cp)
    for code, kind, value in items:
        if not code:
            fields.setdefault(kind, value)
            continue
        values = latest.get(code)
        if values is None or kind in values:
            values = latest[code] = {}
            factors.append(Factor(code, values))
        values[kind] = value
    return Data(fields, factors, len(items) <= cp.count(";") + cp.count(",") and _stray(cp))


def groups_of(cp: str) -> list[Data]:
    """Read a CP group by group, as its semicolons part it; those in texts between // and // do not."""
    return [data_of(group) for group in _GROUPS.findall(cp)]


def _stray(cp: str) -> bool:
    """Whether a piece has no name; texts between // and // may hold anything."""
    return "//" not in cp and any(piece and "=" not in piece for piece in cp.replace(";", ",").split(","))


def encode(packet: Packet) -> bytes:
    """Return the data segment: `Packet` → bytes, the other way round than `parse`."""
    head = f"QN={packet.qn};" if packet.qn else ""
    if packet.st:
        head += f"ST={packet.st};"
    head += f"CN={packet.cn};PW={packet.pw};MN={packet.mn};"
    if packet.flag is not None:
        head += f"Flag={packet.flag};"
    if packet.parts:
        head += f"PNUM={packet.parts};PNO={packet.part};"
    head += "".join(f"{name}={value};" for name, value in packet.extra.items())
    return f"{head}{_OPEN}{packet.cp}{_CLOSE}".encode()


def written(fields: Mapping[str, str], factors: Iterable[Factor] = ()) -> str:
    """Return a CP of plain fields and factors."""
    plain = [f"{name}={value}" for name, value in fields.items()]
    groups = [",".join(f"{one.code}-{kind}={value}" for kind, value in one.values.items()) for one in factors]
    return ";".join(plain + groups)


def answer(packet: Packet, cn: str, fields: Mapping[str, str] | None = None) -> Packet:
    """Return what a centre says to a packet: same QN, PW and MN, ST=91, Flag=4 (section 6.6)."""
    cp = written(fields or {})
    return Packet(qn=packet.qn, st="91", cn=cn, pw=packet.pw, mn=packet.mn, flag=REPLY_FLAG, cp=cp)


def time_of(text: str, offset: int) -> int | None:
    """Return ns since 1970 UTC of `yyyyMMddHHmmss[zzz]`, None when it is no date. `offset`: its zone, s east of UTC.

    Devices write 14, 17 or 18 digits whatever the standard says; digits behind the seconds are a fraction.
    """
    if not (14 <= len(text) <= 20 and text.isascii() and text.isdigit()):
        return None
    try:
        year, month, day = int(text[:4]), int(text[4:6]), int(text[6:8])
        moment = datetime(year, month, day, int(text[8:10]), int(text[10:12]), int(text[12:14]), tzinfo=UTC)
    except ValueError:
        return None
    since = moment - _EPOCH
    fraction = int(text[14:17].ljust(3, "0")) * MILLISECOND
    found = (since.days * 86400 + since.seconds - offset) * SECOND + fraction
    return found if 0 < found < 1 << 63 else None


def stamp(wall: int, offset: int, *, thousandths: bool = False) -> str:
    """Return a time of ours as `yyyyMMddHHmmss`, or with milliseconds as in QN."""
    seconds, rest = divmod(wall, SECOND)
    moment = datetime.fromtimestamp(seconds, tz=timezone(timedelta(seconds=offset)))
    return moment.strftime("%Y%m%d%H%M%S") + (f"{rest // MILLISECOND:03}" if thousandths else "")


def _number(text: str | None, most: int) -> int | None:
    if text and len(text) <= 5 and text.isascii() and text.isdigit() and int(text) <= most:
        return int(text)
    return None


def _text(segment: bytes) -> str:
    for coding in ("utf-8", "gb18030"):
        try:
            return segment.decode(coding)
        except UnicodeDecodeError:
            continue
    return segment.decode("utf-8", "replace")
