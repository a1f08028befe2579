"""Splitters of streams: what stands between two good frames costs neither, cuts do not matter, memory is bounded.

Targets found by what exists: one for each dialect of fire panels, each sensor of `uart`, each framing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from drivers._panel_device import dialect_of, dialects
from gateway.errors import ProtocolViolation
from gateway.protocols import gb26875, hj212, sl651, uart
from gateway.protocols.hj212_packet import Fault, data_of, parse
from gateway.protocols.modbus_framing import LONGEST_LINE, Ascii, Mbap
from gateway.protocols.modbus_line import seal
from gateway.protocols.panel_words import Heard, Stream
from gateway.protocols.sl651_body import read as read_body
from gateway.protocols.sl651_frames import Frames as Sl651Frames
from tests.fuzz.feeding import Decoder, cases, pieces


@dataclass(frozen=True, slots=True, kw_only=True)
class Splitter:
    """How a splitter is used.

    Attributes:
        make: one of it.
        good: a good frame.
        whole: the bytes of a whole frame that it found; b"" of anything else.
        limit: bytes that it may hold back.
        read: what is done with a frame that was found.
    """

    make: Callable[[], Any]
    good: bytes
    whole: Callable[[Any], bytes]
    limit: int
    read: Callable[[Any], object] = bool

    def found(self, parts: Sequence[bytes]) -> list[bytes]:
        """Feed a stream and wait until its end is given up; return the whole frames."""
        one = self.make()
        found = []
        for part in parts:
            found += one.feed(part)
            assert held(one) <= self.limit
        while one.pending:
            before = held(one)
            found += one.drop()
            assert held(one) < before, "what is dropped is gone"
        for frame in found:
            if self.whole(frame):
                self.read(frame)
        return [frame for frame in map(self.whole, found) if frame]

    def check(self, data: bytes) -> None:
        """Bytes between two good frames."""
        stream = self.good + data + self.good
        found = self.found([stream])
        assert found[0] == self.good
        # Bytes may make a frame that reaches into the second one; a sum of eight bits is soon right.
        last = found[-1]
        assert len(found) > 1 or self.good in data
        assert last == self.good or stream.rfind(last) + len(last) > len(self.good) + len(data)
        if len(data) % 2:
            assert self.found(list(pieces(stream, data))) == found, "cuts matter"


def held(one: object) -> int:
    """Return how many bytes wait in an object."""
    return sum(len(value) for value in vars(one).values() if isinstance(value, bytes | bytearray))


def _gb26875(found: gb26875.Frame | gb26875.Garbage) -> bytes:
    return gb26875.encode_frame(found) if isinstance(found, gb26875.Frame) else b""


def _hj212(found: hj212.Frame | hj212.Garbage) -> bytes:
    return found.raw if isinstance(found, hj212.Frame) else b""


def _segment(frame: hj212.Frame) -> None:
    packet = parse(frame.segment)
    if not isinstance(packet, Fault):
        for factor in data_of(packet.cp).factors:
            assert factor.values


def _panel(found: object) -> bytes:
    return found.frame if isinstance(found, Heard) else b""


def _uart(found: uart.Told | uart.Unfit) -> bytes:
    return found.raw if isinstance(found, uart.Told) else b""


def _sl651(found: object) -> bytes:
    return found.raw if isinstance(found, sl651.Frame) else b""


def _of_panel(name: str) -> Splitter:
    dialect = dialect_of(name)
    return Splitter(
        make=lambda: Stream(dialect.read, dialect.BEGIN),
        good=PANEL_FRAMES[name][0],
        whole=_panel,
        limit=dialect.LONGEST,
    )


def _of_sl651(coding: sl651.Coding | None) -> Splitter:
    frame = sl651.Frame(
        function=0x2F,
        body=b"\x00\x01\x24\x01\x01\x00\x00\x00",
        end=sl651.ETX,
        station="0012345678",
        coding=coding or sl651.Coding.HEX,
    )
    return Splitter(
        make=lambda: Sl651Frames(coding),
        good=sl651.encode(frame),
        whole=_sl651,
        limit=sl651.LONGEST_BODY + 29,
        read=read_body,
    )


def framing(data: bytes) -> None:
    """Modbus ASCII and TCP become RTU frames; a header that is none ends the connection, nothing else does."""
    line, good = Ascii(), seal(bytes.fromhex("010300000002"))
    out = b"".join(line.unpack(part) for part in pieces(data, data))
    assert held(line) <= LONGEST_LINE
    out += line.unpack(b"\n" + Ascii().pack(good))
    assert out.endswith(good)
    for asks in (False, True):
        tcp = Mbap(asks=asks)
        with suppress(ProtocolViolation):
            parts = b"".join(tcp.unpack(part) for part in pieces(data, data))
            assert held(tcp) <= 7 + 253
            assert parts == Mbap(asks=asks).unpack(data)
            tcp.pack(good)


def frames(name: str, table: str, key: str) -> list[bytes]:
    """Return the golden frames of a file, written in hexadecimal."""
    return [bytes.fromhex(case[key]) for case in cases(name, table) if key in case]


GB_FRAMES = frames("gb26875/frames.toml", "frame", "bytes")
SL_FRAMES = frames("sl651/frames.toml", "frame", "hex")
HJ_PACKETS = [case["packet"].encode() for case in cases("hj212/sheet.toml")]
PANEL_FRAMES = {
    name: [
        bytes.fromhex(case["hex"]) if "hex" in case else case["text"].encode("gb18030")
        for case in cases("panel_serial/sheet.toml")
        if case["dialect"] == name
    ]
    for name in dialects()
}
UART_FRAMES = {
    name: [
        bytes.fromhex(case["hex"]) if "hex" in case else case["text"].encode()
        for case in cases("uart/frames.toml")
        if case["sensor"] == name
    ]
    for name in uart.EARS
}

SPLITTERS: dict[str, Splitter] = {
    "gb26875": Splitter(make=gb26875.Frames, good=GB_FRAMES[0], whole=_gb26875, limit=gb26875.LARGEST),
    "hj212": Splitter(
        make=hj212.Frames,
        good=hj212.encode_frame(b"ST=22;CN=2011;MN=1;CP=&&DataTime=20240101000000&&")[:-2],
        whole=_hj212,
        limit=hj212.LONGEST + 10,
        read=_segment,
    ),
    **{f"sl651 {coding or 'auto'}": _of_sl651(coding) for coding in (None, *sl651.Coding)},
    **{f"panel {name}": _of_panel(name) for name in dialects()},
    **{
        f"uart {name}": Splitter(make=ear, good=UART_FRAMES[name][0], whole=_uart, limit=uart.LONGEST_LINE)
        for name, ear in uart.EARS.items()
    },
}
_SEEDS = {"gb26875": GB_FRAMES, "hj212": HJ_PACKETS, "sl651": SL_FRAMES}


def _seeds(name: str) -> list[bytes]:
    kind, _, which = name.partition(" ")
    return {"panel": PANEL_FRAMES, "uart": UART_FRAMES}.get(kind, {}).get(which) or _SEEDS[kind]


def _covered(name: str) -> list[str]:
    kind, _, which = name.partition(" ")
    if kind == "panel":
        return [f"panels.{which}", "panel_words"]
    return [kind, *{"hj212": ["hj212_packet"], "sl651": ["sl651_frames", "sl651_body"]}.get(kind, [])]


DECODERS: dict[str, Decoder] = {
    **{
        f"{name} stream": Decoder(splitter.check, _seeds(name), covers=_covered(name))
        for name, splitter in SPLITTERS.items()
    },
    "modbus framing": Decoder(
        framing,
        [b":010300000002FA\r\n", bytes.fromhex("000100000006010300000002 0002000000050103020102".replace(" ", ""))],
        covers=["modbus_framing"],
    ),
}
