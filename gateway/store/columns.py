"""Columns of numbers as short bytes: what journal bodies and chunks are made of.

Pure. A column is little-endian and as narrow as its values allow, so that the compressor behind it has little left to
do and a thousand readings cost microseconds. Every value comes back bit by bit, NaN payloads and -0.0 included: stored
values are never changed (house section 10).
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from gateway.model.batch import Bytes, Floats, Ints

_WIDTHS = ("<i1", "<i2", "<i4", "<i8")
_UNITS = (1, 1_000_000, 1_000_000_000)  # clocks of sources tick in ms or s far more often than in ns
_HEAD = struct.Struct("<BBBq")  # delta coded?, index of the width (or _ALL_ZERO), index of the unit, base
_ALL_ZERO = len(_WIDTHS)
_DECIMAL = 1000.0  # values with up to three decimals are kept as whole thousandths
_DECIMAL_LIMIT = float(1 << 43)  # beyond it a thousandth is lost in the double
_RAW, _WHOLE, _MIXED = 0, 1, 2


def pack_ints(column: Ints) -> bytes:
    """Return int64[n] as bytes: offsets from the first value or differences, whichever is narrower; n is not kept."""
    if not len(column):
        return b""
    base = int(column[0])
    steps = np.empty_like(column)
    steps[0] = 0
    np.subtract(column[1:], column[:-1], out=steps[1:])  # wraps around exactly as the sum of `unpack_ints` does
    offsets = column - np.int64(base)
    step_width, offset_width = _width(steps), _width(offsets)
    widest = _ALL_ZERO - 1
    delta = offset_width != _ALL_ZERO and (step_width in (_ALL_ZERO, widest) or step_width < offset_width)
    rest, width = (steps, step_width) if delta else (offsets, offset_width)
    if width == widest:
        for unit in (2, 1):
            if not (rest % _UNITS[unit]).any():
                rest = rest // _UNITS[unit]
                return _HEAD.pack(delta, _width(rest), unit, base) + _narrow(rest, _width(rest))
    return _HEAD.pack(delta, width, 0, base) + _narrow(rest, width)


def _width(column: Ints) -> int:
    low, high = int(column.min()), int(column.max())
    if low == high == 0:
        return _ALL_ZERO
    for index, bits in enumerate((7, 15, 31)):
        if -(1 << bits) <= low and high < 1 << bits:
            return index
    return 3


def _narrow(column: Ints, width: int) -> bytes:
    return b"" if width == _ALL_ZERO else column.astype(_WIDTHS[width]).tobytes()


def unpack_ints(packed: bytes, n: int) -> Ints:
    """Return int64[n] as it was given to `pack_ints`."""
    if not n:
        return np.empty(0, dtype=np.int64)
    delta, width, unit, base = _HEAD.unpack_from(packed)
    if width == _ALL_ZERO:
        return np.full(n, base, dtype=np.int64)
    rest = np.frombuffer(packed, dtype=_WIDTHS[width], count=n, offset=_HEAD.size).astype(np.int64)
    if unit:
        rest *= _UNITS[unit]
    if delta:
        rest = np.cumsum(rest)
    return rest + np.int64(base)


def pack_floats(column: Floats) -> bytes:
    """Return float64[n] as bytes: decimals as whole thousandths, everything else as it is."""
    with np.errstate(all="ignore"):
        scaled = np.rint(column * _DECIMAL) + 0.0  # makes -0.0 a 0.0, which then does not fit
        fits = (np.abs(column) < _DECIMAL_LIMIT) & ((scaled / _DECIMAL).view(np.int64) == column.view(np.int64))
    whole = int(np.count_nonzero(fits))
    if whole == len(column):
        return bytes((_WHOLE,)) + pack_ints(scaled.astype(np.int64))
    if whole * 2 < len(column):
        return bytes((_RAW,)) + _doubles(column)
    ints = pack_ints(scaled[fits].astype(np.int64))
    mask: bytes = np.packbits(fits).tobytes()
    return bytes((_MIXED,)) + struct.pack("<I", len(ints)) + mask + ints + _doubles(column[~fits])


def _doubles(column: Floats) -> bytes:
    return column.astype("<f8").tobytes()


def unpack_floats(packed: bytes, n: int) -> Floats:
    """Return float64[n] as it was given to `pack_floats`."""
    mode = packed[0]
    if mode == _WHOLE:
        return unpack_ints(packed[1:], n) / _DECIMAL
    if mode == _RAW:
        return np.frombuffer(packed, dtype="<f8", count=n, offset=1).astype(np.float64)
    (length,) = struct.unpack_from("<I", packed, 1)
    mask_bytes = (n + 7) // 8
    bits = np.frombuffer(packed, dtype=np.uint8, count=mask_bytes, offset=5)
    fits: NDArray[np.bool_] = np.unpackbits(bits, count=n).astype(np.bool_)
    start = 5 + mask_bytes
    column = np.empty(n, dtype=np.float64)
    whole = int(np.count_nonzero(fits))
    column[fits] = unpack_ints(packed[start : start + length], whole) / _DECIMAL
    column[~fits] = np.frombuffer(packed, dtype="<f8", count=n - whole, offset=start + length)
    return column


def pack_bytes(column: Bytes) -> bytes:
    """Return uint8[n] as bytes; one byte when all are equal."""
    if len(column) and (column == column[0]).all():
        return column[:1].tobytes()
    return column.tobytes()


def unpack_bytes(packed: bytes, n: int) -> Bytes:
    """Return uint8[n] as it was given to `pack_bytes`."""
    column = np.frombuffer(packed, dtype=np.uint8)
    return np.full(n, column[0], dtype=np.uint8) if len(column) < n else column.copy()
