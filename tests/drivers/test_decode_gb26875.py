"""What `firegrid decode --as gb26875` says of the codes, bits and values of a frame."""

from __future__ import annotations

from typing import Any

import pytest

from drivers._decode import decode
from gateway.protocols import gb26875_objects as o
from gateway.protocols.gb26875 import Frame, encode_frame
from gateway.protocols.gb26875_units import encode_unit, text_bytes


@pytest.mark.parametrize(
    ("code", "one", "means"),
    [
        (
            1,
            o.SystemStatus(1, 1, 0x2001),
            {"system_name": "火灾报警系统 fire alarm system", "bits": ["正常 normal", "复位 reset"]},
        ),
        (2, o.ComponentStatus(200, 1, 91, 7, 2, text_bytes("泵房")), {"description": "泵房", "bits": ["火警 fire"]}),
        (
            3,
            o.Analog(1, 1, 92, 7, 3, -5),
            {"value": -5, "measured": -0.5, "unit": "Cel", "quantity_name": "温度 temperature"},
        ),
        (
            3,
            o.Analog(1, 1, 92, 7, 2, 32000),
            {"component_name": "消防水箱 fire water tank", "measured": 320.0, "unit": "m"},
        ),
        (6, o.SystemConfig(1, 1, text_bytes("配置")), {"text": "配置"}),
        (24, o.DeviceOperation(0x24, 1), {"bits": ["手动报警 manual alarm", "查岗应答 duty answer"]}),
        (84, o.ReadDeviceOperations(5, bytes((1, 0, 8, 1, 2, 26))), {"since": "2026-02-01T00:00:01+00:00"}),
    ],
)
def test_codes_of_a_transmitter_are_told_with_their_meaning(code: int, one: o.Object, means: dict[str, Any]) -> None:
    frame = encode_frame(Frame(serial=1, command=2, unit=encode_unit(code, [one])))
    (said,) = decode(frame.hex().encode(), protocol="gb26875")
    assert means.items() <= said["unit"]["objects"][0].items()


def test_codes_that_no_table_has_are_told_as_they_are() -> None:
    frame = encode_frame(Frame(serial=1, command=2, unit=encode_unit(3, [o.Analog(200, 1, 2, 7, 128, 9)])))
    (said,) = decode(frame.hex().encode(), protocol="gb26875")
    assert said["unit"]["objects"] == [
        {"system": 200, "address": 1, "component": 2, "place": 7, "quantity": 128, "value": 9, "time": None}
    ]
