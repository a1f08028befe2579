"""What `firegrid decode` prints: every protocol, what fits, reasons for what does not, and that nothing raises."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers._decode import PROTOCOLS, decode, fitting
from drivers._profiles import names, profile

REQUEST, REPLY = "01 04 00 01 00 02 20 0B", "01 04 04 01 31 02 22 2A CE"
# A DELIVER (3GPP TS 23.040 clause 9.2.2.1) in GSM7.
DELIVER = "07911326040000F0040B911346610089F60000208062917314080CC8F71D14969741F977FD07"


def kinds(said: list[dict[str, Any]]) -> list[str]:
    return [line["kind"] for line in said]


def test_a_reply_alone_is_matched_to_the_requests_of_its_profile() -> None:
    said = decode(REPLY.encode(), profile=profile("xy-md02"))
    assert said[0] == {
        "kind": "reading",
        "device": "xy-md02",
        "point": "temperature",
        "value": 30.5,
        "unit": "Cel",
        "quality": "GOOD",
        "time": None,
    }
    assert said == decode(f"{REQUEST} {REPLY}".encode(), profile=profile("xy-md02"))
    assert said == decode(bytes.fromhex(REPLY), profile=profile("xy-md02"))
    assert said == decode(REPLY.replace(" ", ":").lower().encode(), profile=profile("xy-md02"))


def test_a_reply_longer_than_planned_starts_at_the_first_register() -> None:
    reply = "F8 04 14 08 D3 00 23 00 00 00 05 00 00 00 02 00 00 01 F5 00 06 00 00 F8 BE"
    said = decode(reply.encode(), profile=profile("pzem-004t"))
    assert [line["value"] for line in said][:2] == [225.9, 0.035]


def test_without_a_profile_registers_are_shown() -> None:
    said = decode(f"{REQUEST} {REPLY}".encode(), protocol="modbus_rtu")
    assert said == [
        {
            "kind": "message",
            "protocol": "modbus_rtu",
            "what": "request",
            "address": 1,
            "function": 4,
            "start": 1,
            "count": 2,
        },
        {
            "kind": "message",
            "protocol": "modbus_rtu",
            "what": "reply",
            "address": 1,
            "function": 4,
            "values": [305, 546],
        },
    ]
    assert decode(b"01 84 02 C2 C1", protocol="modbus_rtu")[0]["exception"] == 2
    assert decode(b"01 02 01 05 61 8B", protocol="modbus_rtu")[0]["values"] == [1, 0, 1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("data", "name", "reason"),
    [
        ("01 04 04 01 31 02 22 2A CF", "xy-md02", "CRC is 2A CF, the bytes before it give 2A CE"),
        (f"{REQUEST} 02 04 04 01 31 02 22 19 CE", "xy-md02", "answer of address 2 to a request to 1"),
        (REQUEST, "xy-md02", "it carries no readings"),
        (f"{REQUEST} 01 84 02 C2 C1", "xy-md02", "refuses with exception 2"),
        ("01 03 04 01 31 02 22 1B 6B", "xy-md02", "CRC"),
        ("01 03", "xy-md02", "too short"),
        ("", "xy-md02", "too short"),
        ("hello", "xy-md02", "CRC"),
        ("01 03 02 00 00 B8 44", "qdy30a-pressure", ""),
    ],
)
def test_what_cannot_be_read_has_a_reason(data: str, name: str, reason: str) -> None:
    said = decode(data.encode(), profile=profile(name))
    if reason:
        assert kinds(said) == ["error"]
        assert reason in said[0]["reason"]
    else:
        assert said[0]["quality"] == "BAD:device_doubt"  # a value without its unit is none


def test_json_events_and_readings() -> None:
    payload = '{"type":"fire","loop":3,"address":17,"text":"走廊","time":"2026-11-22T01:00:00+08:00"}'
    (event,) = decode(payload.encode(), profile=profile("json-panel"))
    assert event["kind"] == "event"
    assert (event["key"], event["code"], event["text"]) == ("3/17", "fire", "走廊")
    assert event["time"] == "2026-11-21T17:00:00+00:00"
    assert bytes.fromhex(event["raw"]).decode() == payload
    assert decode(b'{"a":NaN,"b":[1e999]}', protocol="json") == [
        {"kind": "message", "protocol": "json", "value": {"a": None, "b": [None]}}
    ]
    assert decode(b"hello", protocol="json") == [{"kind": "error", "reason": "not_json"}]


def test_zigbee_without_a_profile_takes_the_nearest() -> None:
    said = decode(b'{"gas":true,"gas_value":12,"linkquality":80}', topic="zigbee2mqtt/kitchen")
    assert said[0]["protocol"] == "zigbee2mqtt"
    assert [(line["device"], line["point"], line["value"]) for line in said[1:]] == [
        ("zigbee2mqtt-gas", "gas", 1.0),
        ("zigbee2mqtt-gas", "ch4", 12.0),
        ("zigbee2mqtt-gas", "linkquality", 80.0),
    ]
    offline = decode(b'{"state":"offline"}', protocol="zigbee2mqtt", topic="zigbee2mqtt/kitchen/availability")
    assert {line["quality"] for line in offline} == {"BAD:no_comms"}
    assert {line["value"] for line in offline} == {None}
    assert kinds(decode(b"smoke", protocol="zigbee2mqtt")) == ["error"]
    assert kinds(decode(b'{"smoke":true}', protocol="zigbee2mqtt", topic="nonsense")) == ["error"]


def test_an_sms_pdu() -> None:
    (said,) = decode(DELIVER.encode(), protocol="at-pdu")
    assert (said["kind"], said["what"]) == ("message", "deliver")
    assert said["text"] == "How are you?"
    assert kinds(decode(b"07 91", protocol="at-pdu")) == ["error"]


def test_what_fits_is_said() -> None:
    assert fitting(REPLY.encode()) == ["modbus_rtu"]
    assert fitting(f"{REQUEST}{REPLY}".encode()) == ["modbus_rtu"]
    assert fitting(DELIVER.encode()) == ["at-pdu"]
    assert fitting(b'{"a":1}') == ["json"]
    assert fitting(b'{"smoke":true,"linkquality":3}') == ["zigbee2mqtt"]
    assert fitting(b"hello") == []
    assert decode(b"hello") == [{"kind": "error", "reason": "no protocol fits"}]
    assert decode(REPLY.encode())[0] == {"kind": "message", "protocol": "modbus_rtu", "what": "fits"}


def test_protocol_and_profile_must_agree() -> None:
    assert "speaks modbus_rtu" in decode(b"{}", protocol="json", profile=profile("xy-md02"))[0]["reason"]
    assert "unknown protocol hj212" in decode(b"{}", protocol="hj212")[0]["reason"]


@given(
    data=st.binary(max_size=40) | st.binary(max_size=20).map(lambda raw: raw.hex().encode()),
    protocol=st.sampled_from(["", *PROTOCOLS]),
    name=st.none() | st.sampled_from(names()),
    topic=st.sampled_from(["", "zigbee2mqtt/a", "x", "+", "a/#"]),
)
def test_whatever_comes_is_told_as_json(data: bytes, protocol: str, name: str | None, topic: str) -> None:
    said = decode(data, protocol=protocol, profile=None if name is None else profile(name), topic=topic)
    json.dumps(said, allow_nan=False)
    assert set(kinds(said)) <= {"reading", "event", "message", "error"}
