"""What `firegrid decode --as sl651` and `--as hj212` say of the codes, bits, texts and times of a frame."""

from __future__ import annotations

from typing import Any

import pytest

from drivers._decode import decode
from gateway.protocols.hj212 import encode_frame
from gateway.protocols.sl651 import ENQ, ETX, Frame, encode


def station_says(function: int, rest: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - keys of any type
    body = bytes.fromhex("0001 260909080000" + rest)
    frame = Frame(**{"function": function, "body": body, "end": ETX, "station": "0012345678", **fields})
    (said,) = decode(encode(frame), protocol="sl651")
    return said


def test_an_element_is_told_with_its_unit_and_a_state_with_what_its_bits_say() -> None:
    level, state, own = station_says(0x32, "F1F10012345678 48 F0F02609090800 392300028960 452000000084 7A0829")[
        "elements"
    ]
    assert (level["element"], level["values"], level["unit"]) == ("Z", [28.96], "m")
    assert level["name"] == "瞬时河道水位 water level"
    assert [name for name, label in state["state"].items() if label in ("over_limit", "closed")] == ["level", "cabinet"]
    assert "unit" not in own


def test_each_value_of_a_series_is_told_with_its_time() -> None:
    (rain,) = station_says(0x34, "F0F02609090705 F460 0505050505050505050505FF")["elements"]
    assert rain["values"] == [0.5] * 11 + [None]
    assert (rain["times"][0], rain["times"][11]) == ("2026-09-08T23:05:00+00:00", "2026-09-09T00:00:00+00:00")


@pytest.mark.parametrize(
    ("function", "rest", "fields", "expected"),
    [
        (0x35, f"F2F2 {'水位 PJ 02 '.encode('gb18030').hex()}", {}, {"text": "水位 PJ 02"}),
        (
            0x43,
            "F1F10012345678 200801",
            {},
            {
                "parameters": [
                    {"code": 0x20, "definition": 8, "data": "01", "name": "定时报时间间隔 interval of timed reports, h"}
                ]
            },
        ),
        (0x3A, "F460", {"down": True, "end": ENQ}, {"parameters": [{"code": 0xF4, "definition": 0x60, "name": "DRP"}]}),
        (0x36, "F3F3 FFD8FFD9", {}, {"picture": "4 bytes"}),
        (0x45, "F1F10012345678 025631", {}, {"rest": "025631"}),
    ],
)
def test_what_else_a_body_says_is_told(
    function: int, rest: str, fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    said = station_says(function, rest, **fields)
    assert {key: said.get(key) for key in expected} == expected


def test_a_packet_is_told_with_the_meaning_of_its_codes() -> None:
    head = b"QN=20240123101501421;ST=31;CN=%s;PW=1;MN=881;Flag=4;CP=&&%s&&"
    data = b"DataTime=20240123101500;a21005-Rtd=12.5,a21005-Flag=T;x1-Rtd=3"
    (said,) = decode(encode_frame(head % (b"2011", data)), protocol="hj212")
    assert (said["command"], said["time"]) == ("实时数据 real-time data", "2024-01-23T02:15:00+00:00")
    known, own = said["factors"]
    assert (known["name"], known["unit"], known["flag"]) == (
        "一氧化碳 carbon monoxide",
        "mg/m3",
        "above the measuring range",
    )
    assert own == {"code": "x1", "values": {"Rtd": "3"}}
    (said,) = decode(encode_frame(head % (b"9011", b"QnRtn=3")), protocol="hj212")
    assert said["result"] == "wrong password"
