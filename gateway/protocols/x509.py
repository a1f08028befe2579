"""From when until when a certificate is valid: the one thing asked of it without a connection.

Pure. X.690 DER as far as it takes to walk to the field `validity` of RFC 5280, section 4.1.2.5.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

_SEQUENCE, _EXPLICIT_0, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18
_LONG = 0x80
_BEFORE_VALIDITY = 3  # fields after the optional version: serial number, signature, issuer
_CENTURY = 50  # of UTCTime: below it is 20xx


class _Element(NamedTuple):
    tag: int
    body: bytes
    rest: bytes


def validity(der: bytes) -> tuple[datetime, datetime]:
    """Return the first and the last moment. Raises ValueError: no certificate."""
    try:
        fields = _element(_element(der, _SEQUENCE).body, _SEQUENCE).body
        if fields[:1] == bytes((_EXPLICIT_0,)):
            fields = _element(fields).rest
        for _ in range(_BEFORE_VALIDITY):
            fields = _element(fields).rest
        first = _element(_element(fields, _SEQUENCE).body)
        return _moment(first), _moment(_element(first.rest))
    except IndexError as error:
        raise ValueError("a certificate that ends in the middle") from error


def _element(data: bytes, wanted: int | None = None) -> _Element:
    """Take the first element of DER data."""
    tag, size, start = data[0], data[1], 2
    if wanted is not None and tag != wanted:
        raise ValueError(f"DER tag {tag:#x} instead of {wanted:#x}")
    if size & _LONG:
        start += size & ~_LONG
        size = int.from_bytes(data[2:start], "big")
    if len(data) < start + size:
        raise ValueError("a certificate that ends in the middle")
    return _Element(tag, data[start : start + size], data[start + size :])


def _moment(element: _Element) -> datetime:
    text = element.body.decode("ascii")
    if element.tag == _UTC_TIME:
        text = ("20" if int(text[:2]) < _CENTURY else "19") + text
    elif element.tag != _GENERALIZED_TIME:
        raise ValueError(f"DER tag {element.tag:#x} is no time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
