"""The serial line under Modbus RTU: checksum and timing.

Pure, below `gateway.protocols.modbus`; keeps house rule 2. Follows "MODBUS over Serial Line V1.02", section 2.5.1.
"""

from __future__ import annotations


def crc16(data: bytes) -> int:
    """Return the CRC of V1.02 section 2.5.1.2 (polynomial 0xA001 reflected, start 0xFFFF)."""
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc


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


_CRC_TABLE = _crc_table()
