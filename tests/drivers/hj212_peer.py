"""A device that speaks HJ 212, and the conversation with it, by hand: for tests of the driver."""

from __future__ import annotations

from typing import Any

import msgspec

from drivers._conversation import Said
from drivers._hj212_device import install
from drivers._profiles import profile, tailor
from drivers.hj212 import Hj212
from gateway.model.point import Device
from gateway.model.quality import describe
from gateway.model.time import SECOND
from gateway.protocols.hj212 import Frame, Frames, encode_frame
from gateway.protocols.hj212_packet import Packet, encode, parse

MN, STRANGER = "881", 1
OTHER_PW = {"password": "654321"}
WALL = 1_705_976_101 * SECOND  # 2024-01-23 10:15:01 in China
POINTS = {
    "co": {"unit": "mg/m3", "over_range": [0, 100], "decode": {"code": "a21005"}},
    "co_minute": {"unit": "mg/m3", "decode": {"code": "a21005", "kind": "Avg"}},
    "volume": {"unit": "m3", "kind": "counter", "decode": {"code": "a00000", "kind": "Cou", "cn": "2061"}},
    "plant": {"kind": "state", "labels": {"off": 0, "run": 1, "alarm": 4}, "decode": {"code": "SB1", "kind": "RS"}},
    "vendor": {"unit": "1", "decode": {"code": "s10003", "kind": ""}},
    "interval": {"unit": "s", "decode": {"code": "RtdInterval", "kind": "", "get": "1061", "set": "1062"}},
    "minutes": {"unit": "min", "decode": {"code": "MinInterval", "kind": "", "get": "1063"}},
    "clock": {"unit": "s", "decode": {"code": "SystemTime", "kind": "", "set": "1012"}},
    "time": {"unit": "s", "decode": {"code": "SystemTime", "kind": "", "get": "1011"}},
    "real_time": {"unit": "1", "decode": {"code": "upload", "set": "2011"}},
}


def device(**options: Any) -> Device:  # noqa: ANN401 - keys of any type
    return Device(
        id="it", source="src", profile=tailor(profile("hj212-generic"), POINTS), options={"mn": MN, **options}
    )


def ids_of(one: Device) -> dict[str, int]:
    return {f"{one.id}.{spec.name}": number for number, spec in enumerate(one.profile.points, 10)}


def talk(*, datagrams: bool = False, **options: Any) -> tuple[Hj212, dict[int, str]]:  # noqa: ANN401 - likewise
    one = device(**options)
    ids = ids_of(one)
    made = install(one, ids, STRANGER)
    names = {number: name.removeprefix("it.") for name, number in ids.items()} | {STRANGER: "strangers"}
    return Hj212({MN: made}, STRANGER, datagrams=datagrams), names


def packet(cp: str, cn: str = "2011", **fields: Any) -> bytes:  # noqa: ANN401 - likewise
    whole = Packet(qn="20240123101501421", st="39", cn=cn, pw="123456", mn=MN, flag=5, cp=cp)
    return encode_frame(encode(msgspec.structs.replace(whole, **fields)))


def hear(data: bytes, **options: Any) -> tuple[Said, dict[str, tuple[float, str]]]:  # noqa: ANN401 - likewise
    conversation, names = talk(**options)
    (said,) = conversation.hear(data, 0, WALL)
    return said, rows(said, names)


def rows(said: Said, names: dict[int, str]) -> dict[str, tuple[float, str]]:
    return {names[point]: (value, describe(packed)) for point, _, value, packed in said.decoded.rows}


def answers(data: bytes) -> list[tuple[str, str, str]]:
    found = []
    for frame in Frames().feed(data):
        assert isinstance(frame, Frame)
        said = parse(frame.segment)
        assert isinstance(said, Packet)
        found.append((said.cn, said.qn, said.cp))
    return found
