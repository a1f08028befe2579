"""Modbus RTU frames: published frames decode to their values, and nothing else is ever taken for an answer."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymodbus.framer.rtu import FramerRTU
from pymodbus.pdu import DecodePDU, ModbusPDU, bit_message, register_message

from gateway.protocols import modbus
from gateway.protocols.modbus import LIMITS, READS, ReplyMatcher, Request, RequestScanner
from gateway.protocols.modbus_line import character_seconds, crc16, is_whole, seal, silence_seconds

CASES = tomllib.loads((Path(__file__).parents[1] / "cases" / "modbus_rtu" / "frames.toml").read_text(encoding="utf-8"))
FRAMES: list[dict[str, Any]] = CASES["frame"]
REFUSED: list[dict[str, Any]] = CASES["refused"]
WITH_REPLY = [case for case in FRAMES if "reply" in case]


def _name(case: dict[str, Any]) -> str:
    return str(case["name"])


def _request(case: dict[str, Any]) -> Request:
    written = tuple(case.get("written", ()))
    return Request(case["address"], case["function"], case["start"], case["count"], written)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Draw any request that the frame can carry."""
    function = draw(st.sampled_from(sorted(LIMITS)))
    count = draw(st.integers(1, min(LIMITS[function], 40)))
    start = draw(st.integers(0, 0x10000 - count))
    top = 1 if function == modbus.WRITE_COILS else 0xFFFF
    size = 0 if function in READS else count
    values = draw(st.lists(st.integers(0, top), min_size=size, max_size=size))
    return Request(draw(st.integers(0, 255)), function, start, count, tuple(values))


@st.composite
def exchanges(draw: st.DrawFn) -> tuple[Request, tuple[int, ...], bytes]:
    """Draw a request, the values that answer it, and the reply frame."""
    request = draw(requests())
    top = 1 if request.function in modbus.BIT_READS else 0xFFFF
    size = request.count if request.function in READS else 0
    values = tuple(draw(st.lists(st.integers(0, top), min_size=size, max_size=size)))
    return request, values, modbus.encode_reply(request, values)


@pytest.mark.golden("modbus")
@pytest.mark.parametrize("case", FRAMES, ids=_name)
def test_published_requests_encode_and_decode(case: dict[str, Any]) -> None:
    frame = bytes.fromhex(case["request"])
    assert _request(case).encode() == frame
    assert modbus.decode_request(frame) == _request(case)
    assert _request(case).request_size() == len(frame)


@pytest.mark.parametrize("case", WITH_REPLY, ids=_name)
def test_published_replies_give_their_values(case: dict[str, Any]) -> None:
    frame = bytes.fromhex(case["reply"])
    reply = ReplyMatcher(_request(case)).feed(frame)
    assert reply is not None
    assert reply.frame == frame
    assert reply.values == tuple(case.get("values", ()))
    assert reply.exception == case.get("exception", 0)
    if reply.exception:
        assert modbus.encode_exception(_request(case), reply.exception) == frame
    else:
        assert modbus.encode_reply(_request(case), reply.values) == frame
        assert _request(case).reply_size() == len(frame)


@pytest.mark.golden("modbus refused")
@pytest.mark.parametrize("case", REFUSED, ids=_name)
def test_what_does_not_fit_the_request_is_no_answer(case: dict[str, Any]) -> None:
    request = modbus.decode_request(bytes.fromhex(case["request"]))
    assert request is not None
    frame = bytes.fromhex(case["reply"])
    assert is_whole(frame) == (case["name"] != "wrong CRC")
    matcher = ReplyMatcher(request)
    assert matcher.feed(frame) is None
    assert matcher.unmatched() == len(frame)


@given(exchange=exchanges())
@settings(max_examples=60, deadline=None)
def test_every_single_bit_flip_of_a_reply_is_refused(exchange: tuple[Request, tuple[int, ...], bytes]) -> None:
    request, _, frame = exchange
    for bit in range(8 * len(frame)):
        broken = bytearray(frame)
        broken[bit // 8] ^= 1 << bit % 8
        assert ReplyMatcher(request).feed(bytes(broken)) is None


@given(exchange=exchanges(), noise=st.binary(max_size=40), tail=st.binary(max_size=10), data=st.data())
@settings(max_examples=200, deadline=None)
def test_a_reply_is_found_behind_garbage_however_it_is_cut(
    exchange: tuple[Request, tuple[int, ...], bytes], noise: bytes, tail: bytes, data: st.DataObject
) -> None:
    request, values, frame = exchange
    stream = noise + frame + tail
    matcher = ReplyMatcher(request)
    reply = None
    while stream and reply is None:
        size = data.draw(st.integers(1, len(stream)))
        reply = matcher.feed(stream[:size])
        stream = stream[size:]
    assert reply is not None
    assert reply.values == values
    assert reply.frame == frame
    assert matcher.skipped == len(noise)


@given(request=requests(), code=st.integers(1, 255), noise=st.binary(max_size=8))
@settings(max_examples=60, deadline=None)
def test_refusals_are_told_apart_from_replies(request: Request, code: int, noise: bytes) -> None:
    reply = ReplyMatcher(request).feed(noise + modbus.encode_exception(request, code))
    assert reply is not None
    assert reply.exception == code
    assert reply.values == ()


@given(noise=st.binary(max_size=600), request=requests())
@settings(max_examples=100, deadline=None)
def test_noise_is_bounded_and_counted(noise: bytes, request: Request) -> None:
    matcher = ReplyMatcher(request)
    if matcher.feed(noise) is None:
        assert matcher.unmatched() == len(noise)
        assert len(matcher._buffer) < max(request.reply_size(), 5)  # noqa: SLF001 - the bound is the point


@given(asked=st.lists(requests(), min_size=1, max_size=4), data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_slave_hears_every_request_however_the_stream_is_cut(asked: list[Request], data: st.DataObject) -> None:
    stream = data.draw(st.binary(max_size=5)) + b"".join(request.encode() for request in asked)
    scanner = RequestScanner()
    heard: list[Request] = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        heard += scanner.feed(stream[:size])
        stream = stream[size:]
    assert heard == asked


@given(body=st.binary(min_size=1, max_size=250))
@settings(max_examples=200, deadline=None)
def test_the_checksum_is_that_of_another_implementation(body: bytes) -> None:
    assert FramerRTU.compute_CRC(body) == int.from_bytes(crc16(body).to_bytes(2, "little"), "big")
    assert is_whole(seal(body))


def test_the_checksum_of_the_catalogue() -> None:
    assert crc16(b"123456789") == 0x4B37


@given(request=requests())
@settings(max_examples=200, deadline=None)
def test_requests_are_those_of_another_implementation(request: Request) -> None:
    if request.function == modbus.WRITE_COIL:  # it writes 0xFF00 and 0x0000 only
        request = Request(
            request.address, request.function, request.start, 1, (request.values[0] % 2 * modbus.COIL_ON,)
        )
    assert FramerRTU(DecodePDU(is_server=True)).buildFrame(_foreign(request)) == request.encode()


FOREIGN: dict[int, Callable[..., ModbusPDU]] = {
    modbus.READ_COILS: bit_message.ReadCoilsRequest,
    modbus.READ_INPUTS: bit_message.ReadDiscreteInputsRequest,
    modbus.READ_HOLDING: register_message.ReadHoldingRegistersRequest,
    modbus.READ_REGISTERS: register_message.ReadInputRegistersRequest,
    modbus.WRITE_COIL: bit_message.WriteSingleCoilRequest,
    modbus.WRITE_REGISTER: register_message.WriteSingleRegisterRequest,
    modbus.WRITE_COILS: bit_message.WriteMultipleCoilsRequest,
    modbus.WRITE_REGISTERS: register_message.WriteMultipleRegistersRequest,
}


def _foreign(request: Request) -> ModbusPDU:
    """Return the same request as pymodbus builds it."""
    make = FOREIGN[request.function]
    if request.function in READS:
        return make(address=request.start, count=request.count, dev_id=request.address)
    if request.function in (modbus.WRITE_COIL, modbus.WRITE_COILS):
        return make(address=request.start, bits=[bool(value) for value in request.values], dev_id=request.address)
    return make(address=request.start, registers=list(request.values), dev_id=request.address)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((256, 3, 0, 1), "address"),
        ((-1, 3, 0, 1), "address"),
        ((1, 7, 0, 1), "function"),
        ((1, 3, 0, 0), "count"),
        ((1, 3, 0, 126), "count"),
        ((1, 2, 0, 2001), "count"),
        ((1, 3, 0xFFFF, 2), "start"),
        ((1, 3, -1, 1), "start"),
        ((1, 6, 0, 1), "values"),
        ((1, 3, 0, 1, (1,)), "values"),
        ((1, 6, 0, 1, (0x10000,)), "value"),
        ((1, 15, 0, 1, (2,)), "value"),
    ],
)
def test_a_request_that_cannot_be_sent_cannot_be_made(arguments: tuple[Any, ...], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Request(*arguments)


def test_line_timing_follows_the_standard() -> None:
    assert character_seconds(9600) == pytest.approx(0.001146, abs=1e-6)
    assert silence_seconds(9600) == pytest.approx(0.004010, abs=1e-6)
    assert silence_seconds(115200) == 0.00175
