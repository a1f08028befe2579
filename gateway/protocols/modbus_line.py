"""The serial line under Modbus RTU: checksum and timing.

Pure, below `gateway.protocols.modbus`; keeps house rule 2. Follows "MODBUS over Serial Line V1.02", section 2.5.1.
"""

from __future__ import annotations

from functools import cache


def crc16(data: bytes) -> int:
    """Return the CRC of V1.02 section 2.5.1.2 (polynomial 0xA001 reflected, start 0xFFFF)."""
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc


class Sums:
    """CRCs of many stretches of the same bytes: each byte is gone through once, however the stretches overlap.

    For splitters: in bytes made for it, thousands of would-be frames lie inside one another. Works because the CRC is
    linear: what stands before a stretch, and the start value, only have to be moved through its length of zeros.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._registers = [0]  # after so many bytes; where it begins does not matter

    def __len__(self) -> int:
        """Bytes that were gone through."""
        return len(self._registers) - 1

    def crc16(self, start: int, end: int) -> int:
        """Return the CRC of `data[start:end]`."""
        registers = self._registers
        if len(registers) <= end:
            crc = registers[-1]
            for byte in self._data[len(registers) - 1 : end]:
                crc = (crc >> 8) ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
                registers.append(crc)
        moved, length = 0xFFFF ^ registers[start], end - start
        for digits in _zeros():
            low, high = digits[length & 0xF]
            moved = low[moved & 0xFF] ^ high[moved >> 8]
            length >>= 4
            if not length:
                break
        return moved ^ registers[end]

    def followed(self, start: int, data: bytes) -> Sums:
        """Return the sums of `data`, which begins with what stood from `start` on: that is not gone through again."""
        sums = Sums(data)
        sums._registers = self._registers[start:] or [0]
        return sums

    def leading(self, start: int, stretch: bytes) -> int:
        """Return the CRC of a stretch that stands at `start`."""
        return self.crc16(start, start + len(stretch))


def seal(body: bytes) -> bytes:
    """Append the CRC, low byte first."""
    return body + crc16(body).to_bytes(2, "little")


def is_whole(frame: bytes) -> bool:
    """Say whether the last two bytes are the CRC of what stands before them."""
    return len(frame) > 2 and crc16(frame) == 0  # the CRC over data and its own CRC is zero


def character_seconds(baudrate: int) -> float:
    """Return the time of one character by the standard's 11 bits (V1.02 section 2.5.1)."""
    return 11 / baudrate


def silence_seconds(baudrate: int) -> float:
    """Return the silence that parts two frames: 3.5 characters, fixed above 19 200 baud (V1.02 section 2.5.1.1)."""
    return 0.00175 if baudrate > 19200 else 3.5 * character_seconds(baudrate)


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        crc = value
        for _ in range(8):
            crc = (crc >> 1) ^ (0xA001 if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


@cache  # made when it is first wanted
def _zeros() -> list[list[_Halves]]:
    """What so many bytes of zero do to the low and to the high half of the register, for each hexadecimal digit."""
    step: _Halves = (_CRC_TABLE, tuple(range(256)))
    found = []
    for _ in range(4):
        digits: list[_Halves] = [(tuple(range(256)), tuple(range(0, 1 << 16, 256)))]
        for _ in range(16):
            low, high = step
            after = [tuple(low[one & 0xFF] ^ high[one >> 8] for one in half) for half in digits[-1]]
            digits.append((after[0], after[1]))
        step = digits.pop()
        found.append(digits)
    return found


_Halves = tuple[tuple[int, ...], tuple[int, ...]]
_CRC_TABLE = _crc_table()
