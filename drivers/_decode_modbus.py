"""Modbus RTU frames of a stranger → what `firegrid decode` prints: with a profile readings, without one registers.

Pure; uses the same codec and the same `Slave` as the driver, so that what is printed is what the station would store.
A frame may be a request, a reply, or both one after the other. A reply alone does not say which registers it holds:
then the profile's own requests are tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from drivers._modbus_points import Block, Field, Row, Slave
from drivers._modbus_registers import Register
from gateway.errors import ProtocolViolation
from gateway.model.point import Device, Profile
from gateway.protocols.modbus import READS, REFUSED, Reply, ReplyMatcher, Request, decode_request
from gateway.protocols.modbus_line import crc16, is_whole

_MOST_WORDS = 125  # of one reply
_REQUEST_SIZES = range(8, 256)


def slave_of(address: int, profile: Profile, ids: Mapping[str, int], device: Device) -> Slave:
    """Return a device on the bus of whom nothing is known yet."""
    return Slave(device, address, ids, block=_option(profile, "block", 1), holes=_option(profile, "holes", 0))


def rows_of(data: bytes, slave: Slave) -> list[Row]:
    """Return the readings (point, 0, value, quality) of a reply, preceded by its request or not.

    Raises:
        ProtocolViolation: no reply, not to this request, or it could be an answer to several.
    """
    request, rest = split(data)
    if request is not None and not rest:
        raise ProtocolViolation("a request: it carries no readings")
    if request is not None:
        return list(_read(slave, request, _answer(request, rest)))
    request, reply = _alone(data, slave)
    return list(_read(slave, request, reply))


def frames_of(data: bytes) -> list[dict[str, Any]]:
    """Return requests and replies as messages, without a profile. Raises ProtocolViolation."""
    request, rest = split(data)
    found: list[dict[str, Any]] = []
    if request is not None:
        found.append({"kind": "message", "protocol": "modbus_rtu", "what": "request", **_said(request)})
        if not rest:
            return found
        reply = ReplyMatcher(request).feed(rest)
        if reply is None:
            raise ProtocolViolation(_why(rest, request))
        return [*found, _told(data[0], rest[1], list(reply.values), reply.exception)]
    if not is_whole(data):
        raise ProtocolViolation(_why(data))
    function, body = data[1], data[3:-2]
    if function & REFUSED:
        return [_told(data[0], function, [], data[2])]
    if function not in READS or len(data) < 5 or data[2] != len(body):
        raise ProtocolViolation(f"function {function}: its length does not fit a reply")
    if function in (1, 2):
        values = [byte >> place & 1 for byte in body for place in range(8)]
    else:
        values = [int.from_bytes(body[place : place + 2], "big") for place in range(0, len(body) - 1, 2)]
    return [_told(data[0], function, values, 0)]


def split(data: bytes) -> tuple[Request | None, bytes]:
    """Return the request at the beginning, None if there is none, and the bytes behind it."""
    for size in _REQUEST_SIZES:
        if size > len(data):
            break
        request = decode_request(data[:size])
        if request is not None:
            return request, data[size:]
    return None, data


def _alone(data: bytes, slave: Slave) -> tuple[Request, Reply]:
    """Find the request that a reply belongs to: one of the profile's, else one from its first register on."""
    own = [block.request for block in slave.blocks if block.fields]
    scales = [block.request for block in slave.blocks if not block.fields]
    first = [field.decode.address for field in slave.fields if len(data) > 2 and field.decode.fc == data[1]]
    words = data[2] // 2 if first and data[1] in (3, 4) else 0
    longer = [Request(slave.address, data[1], min(first), words)] if 1 <= words <= _MOST_WORDS else []
    for requests in (own, scales, longer):
        replies = [(request, ReplyMatcher(request).feed(data)) for request in requests]
        found = [(request, reply) for request, reply in replies if reply is not None and reply.frame == data]
        if len(found) > 1:
            raise ProtocolViolation("answers several of the profile's requests: give the request in front of the reply")
        if found:
            return found[0][0], _good(found[0][1])
    raise ProtocolViolation(_why(data))


def _read(slave: Slave, request: Request, reply: Reply) -> Iterator[Row]:
    """Read everything that lies inside the registers asked for; what scales or judges others comes first."""
    end = request.start + request.count

    def inside(one: Register) -> bool:
        return one.fc == request.function and request.start <= one.address < end

    for field in slave.fields:
        for register in (field.decode.decimals_register, field.decode.unit_register):
            if register is not None and inside(register):
                word = reply.values[register.address - request.start]
                slave.rows(Block(register.request(slave.address), scales=[field]), [word])
    status = slave.status if slave.status is not None and inside(slave.status) else None
    fields = [field for field in slave.fields if _covered(field, request)]
    yield from slave.rows(Block(request, fields, status), reply.values)


def _covered(field: Field, request: Request) -> bool:
    first = field.decode.address
    whole = request.start <= first and first + field.decode.words <= request.start + request.count
    return field.decode.fc == request.function and whole


def _answer(request: Request, rest: bytes) -> Reply:
    reply = ReplyMatcher(request).feed(rest)
    if reply is None:
        raise ProtocolViolation(_why(rest, request))
    return _good(reply)


def _good(reply: Reply) -> Reply:
    if reply.exception:
        raise ProtocolViolation(f"the device refuses with exception {reply.exception}")
    return reply


def _why(data: bytes, request: Request | None = None) -> str:
    if len(data) < 4:
        return "too short for a frame"
    if not is_whole(data):
        right = crc16(data[:-2]).to_bytes(2, "little").hex(" ").upper()
        return f"CRC is {data[-2:].hex(' ').upper()}, the bytes before it give {right}"
    if request is not None and data[0] != request.address:
        return f"answer of address {data[0]} to a request to {request.address}"
    return "answers none of the requests it could belong to"


def _said(request: Request) -> dict[str, Any]:
    fields = {"address": request.address, "function": request.function, "start": request.start, "count": request.count}
    return {**fields, "values": list(request.values)} if request.values else fields


def _told(address: int, function: int, values: list[int], exception: int) -> dict[str, Any]:
    said = {"kind": "message", "protocol": "modbus_rtu", "what": "reply", "address": address, "function": function}
    return {**said, "exception": exception} if exception else {**said, "values": values}


def _option(profile: Profile, name: str, default: int) -> int:
    return int(profile.options.get(name, default))
