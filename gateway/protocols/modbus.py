"""Modbus RTU frames in both directions: what is asked, what answers it, and nothing taken for an answer that is none.

Pure codec between `drivers` (master, simulated slaves) and the wire; keeps house rule 2. Follows "MODBUS Application
Protocol Specification V1.1b3" (section 6: functions, section 7: exceptions) and "MODBUS over Serial Line V1.02"
(section 2.5.1: RTU framing and timing). Register and coil addresses are zero-based as on the wire.

A reply counts only when address, function, byte count (for writes: the echoed fields) and CRC all fit the request.
Leading garbage is hunted over by trying every offset: a stray byte may look like any function code, so only the whole
frame decides.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from gateway.protocols.modbus_line import is_whole, seal

READ_COILS = 0x01
READ_INPUTS = 0x02
READ_HOLDING = 0x03
READ_REGISTERS = 0x04
WRITE_COIL = 0x05
WRITE_REGISTER = 0x06
WRITE_COILS = 0x0F
WRITE_REGISTERS = 0x10

COIL_ON = 0xFF00
COIL_OFF = 0x0000
REFUSED = 0x80  # bit set in the function of an exception reply
EXCEPTION_SIZE = 5
ADDRESS_LIMIT = 0x10000

# Most objects in one request (V1.1b3 sections 6.1 to 6.12).
LIMITS = {
    READ_COILS: 2000,
    READ_INPUTS: 2000,
    READ_HOLDING: 125,
    READ_REGISTERS: 125,
    WRITE_COIL: 1,
    WRITE_REGISTER: 1,
    WRITE_COILS: 1968,
    WRITE_REGISTERS: 123,
}
BIT_READS = frozenset({READ_COILS, READ_INPUTS})
READS = frozenset({READ_COILS, READ_INPUTS, READ_HOLDING, READ_REGISTERS})
SINGLE_WRITES = frozenset({WRITE_COIL, WRITE_REGISTER})


class ExceptionCode(IntEnum):
    """Why a slave refused (V1.1b3 section 7)."""

    ILLEGAL_FUNCTION = 1
    ILLEGAL_ADDRESS = 2
    ILLEGAL_VALUE = 3
    DEVICE_FAILURE = 4
    ACKNOWLEDGE = 5
    BUSY = 6
    NEGATIVE_ACKNOWLEDGE = 7
    MEMORY_PARITY = 8
    GATEWAY_PATH = 10
    GATEWAY_TARGET = 11


@dataclass(frozen=True, slots=True)
class Request:
    """One question to one slave.

    Attributes:
        address: slave, 0 to 255. 0 is broadcast (writes only, unanswered); 248 to 255 are reserved by the standard
            and used by real devices all the same.
        function: one of the eight of `LIMITS`.
        start: first register or coil, zero-based.
        count: how many; 1 for the single writes.
        values: writes only: registers as 0 to 65535, coils of function 15 as 0 or 1, the raw word of function 5
            (`COIL_ON`, `COIL_OFF`; some relay boards take other words).

    Raises:
        ValueError: a field is outside what the frame can carry.
    """

    address: int
    function: int
    start: int
    count: int = 1
    values: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        limit = LIMITS.get(self.function)
        if limit is None:
            raise ValueError(f"function {self.function:#04x} is not one of {sorted(LIMITS)}")
        if not 0 <= self.address <= 0xFF:
            raise ValueError(f"address {self.address} is outside 0..255")
        if not 1 <= self.count <= limit:
            raise ValueError(f"count {self.count} is outside 1..{limit} for function {self.function}")
        if not 0 <= self.start <= ADDRESS_LIMIT - self.count:
            raise ValueError(f"start {self.start} with count {self.count} leaves 0..65535")
        if len(self.values) != (0 if self.function in READS else self.count):
            raise ValueError(f"{len(self.values)} values for function {self.function} with count {self.count}")
        top = 1 if self.function == WRITE_COILS else 0xFFFF
        if any(not 0 <= value <= top for value in self.values):
            raise ValueError(f"a value is outside 0..{top}")

    def encode(self) -> bytes:
        """Return the frame with its CRC."""
        if self.function in SINGLE_WRITES:
            return seal(struct.pack(">BBHH", self.address, self.function, self.start, self.values[0]))
        head = struct.pack(">BBHH", self.address, self.function, self.start, self.count)
        if self.function in READS:
            return seal(head)
        body = _pack_bits(self.values) if self.function == WRITE_COILS else _pack_words(self.values)
        return seal(head + bytes((len(body),)) + body)

    def request_size(self) -> int:
        """Return the bytes of the request on the wire."""
        return 8 + (0 if self.function in READS or self.function in SINGLE_WRITES else 1 + _body_size(self))

    def reply_size(self) -> int:
        """Return the bytes of the good reply on the wire; a refusal has `EXCEPTION_SIZE`."""
        return 5 + _body_size(self) if self.function in READS else 8


@dataclass(frozen=True, slots=True)
class Reply:
    """What a slave answered.

    Attributes:
        frame: the bytes as received, CRC included: the evidence.
        values: reads only: registers as 0 to 65535 or bits as 0 or 1, as many as were asked for.
        exception: 0, or the code with which the slave refused (see `ExceptionCode`).
    """

    frame: bytes
    values: tuple[int, ...] = ()
    exception: int = 0


class ReplyMatcher:
    """Collects bytes until the reply to one request stands among them.

    `skipped` counts the bytes before the reply, or all that came when there was none.
    """

    def __init__(self, request: Request) -> None:
        self.skipped = 0
        self._request = request
        self._size = request.reply_size()
        self._head = _reply_head(request)
        self._refusal = bytes((request.address, request.function | REFUSED))
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Reply | None:
        """Add bytes; return the reply as soon as it is complete. What follows it is not looked at."""
        self._buffer += data
        offset = self._buffer.find(self._request.address)
        while 0 <= offset <= len(self._buffer) - EXCEPTION_SIZE:
            reply = self._at(offset)
            if reply is not None:
                self.skipped += offset
                return reply
            offset = self._buffer.find(self._request.address, offset + 1)
        # An offset that had room for the longest reply and was none will never be one.
        spent = max(0, len(self._buffer) - max(self._size, EXCEPTION_SIZE) + 1)
        del self._buffer[:spent]
        self.skipped += spent
        return None

    def unmatched(self) -> int:
        """Return how many bytes have come that belong to no reply."""
        return self.skipped + len(self._buffer)

    def _at(self, offset: int) -> Reply | None:
        start = bytes(self._buffer[offset : offset + len(self._head)])
        if start == self._head and offset + self._size <= len(self._buffer):
            frame = bytes(self._buffer[offset : offset + self._size])
            if is_whole(frame):
                return Reply(frame, _reply_values(self._request, frame))
        if start[:2] == self._refusal:
            frame = bytes(self._buffer[offset : offset + EXCEPTION_SIZE])
            if is_whole(frame) and frame[2]:
                return Reply(frame, exception=frame[2])
        return None


class RequestScanner:
    """The slave's ear: finds requests in a stream, hunting over garbage by CRC. For simulated slaves and `decode`."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Request]:
        """Add bytes; return the requests completed by them, in order."""
        self._buffer += data
        found: list[Request] = []
        offset = 0
        while offset + 8 <= len(self._buffer):
            size = _request_size_at(self._buffer, offset)
            request = decode_request(bytes(self._buffer[offset : offset + size]))
            if request is None:
                offset += 1
                continue
            found.append(request)
            del self._buffer[: offset + size]
            offset = 0
        del self._buffer[: max(0, len(self._buffer) - 255)]  # no request is longer than 256 bytes
        return found


def decode_request(frame: bytes) -> Request | None:
    """Return the request that this whole frame is, or None when CRC, length or fields say that it is none."""
    if len(frame) < 8 or not is_whole(frame):
        return None
    address, function, start, third = struct.unpack_from(">BBHH", frame)
    values: tuple[int, ...] = ()
    count = third
    if function in SINGLE_WRITES:
        count, values = 1, (third,)
    elif function in (WRITE_COILS, WRITE_REGISTERS):
        body = frame[7:-2]
        if frame[6] != len(body) or len(body) != _bytes_for(function, count):
            return None
        values = _unpack_bits(body, count) if function == WRITE_COILS else _unpack_words(body)
    try:
        request = Request(address, function, start, count, values)
    except ValueError:
        return None
    return request if len(frame) == request.request_size() else None


def encode_reply(request: Request, values: tuple[int, ...] = ()) -> bytes:
    """Return what a slave answers: `values` for reads (as many as were asked for), the echo for writes."""
    if request.function not in READS:
        return seal(_reply_head(request))
    body = _pack_bits(values) if request.function in BIT_READS else _pack_words(values)
    return seal(bytes((request.address, request.function, len(body))) + body)


def encode_exception(request: Request, code: int) -> bytes:
    """Return a slave's refusal."""
    return seal(bytes((request.address, request.function | REFUSED, code)))


def _bytes_for(function: int, count: int) -> int:
    return (count + 7) // 8 if function in BIT_READS or function == WRITE_COILS else 2 * count


def _body_size(request: Request) -> int:
    return _bytes_for(request.function, request.count)


def _request_size_at(buffer: bytearray, offset: int) -> int:
    many = buffer[offset + 1] in (WRITE_COILS, WRITE_REGISTERS)
    return 9 + buffer[offset + 6] if many else 8


def _reply_head(request: Request) -> bytes:
    """Return the bytes with which the good reply must begin: all but data and CRC."""
    if request.function in READS:
        return bytes((request.address, request.function, _body_size(request)))
    third = request.values[0] if request.function in SINGLE_WRITES else request.count
    return struct.pack(">BBHH", request.address, request.function, request.start, third)


def _reply_values(request: Request, frame: bytes) -> tuple[int, ...]:
    if request.function not in READS:
        return ()
    body = frame[3:-2]
    return _unpack_bits(body, request.count) if request.function in BIT_READS else _unpack_words(body)


def _pack_words(values: tuple[int, ...]) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


def _unpack_words(body: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(body) // 2}H", body)


def _pack_bits(values: tuple[int, ...]) -> bytes:
    packed = sum(bit << place for place, bit in enumerate(values))
    return packed.to_bytes((len(values) + 7) // 8, "little")


def _unpack_bits(body: bytes, count: int) -> tuple[int, ...]:
    packed = int.from_bytes(body, "little")
    return tuple(packed >> place & 1 for place in range(count))
