"""A packet of HJ 212 as the standard prints it, and how packets are found and read: for tests of the codec."""

from __future__ import annotations

import tomllib
from pathlib import Path

from gateway.protocols.hj212 import Frame, Frames
from gateway.protocols.hj212_packet import (
    Packet,
    parse,
)

CASES = tomllib.loads((Path(__file__).parents[1] / "cases/hj212/sheet.toml").read_text(encoding="utf-8"))["case"]
EXAMPLE = (
    b"##0101QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;CP=&&RtdInterval=30&&1C80"
)


def frames(data: bytes) -> list[Frame]:
    return [found for found in Frames().feed(data) if isinstance(found, Frame)]


def packet_of(segment: bytes) -> Packet:
    packet = parse(segment)
    assert isinstance(packet, Packet)
    return packet
