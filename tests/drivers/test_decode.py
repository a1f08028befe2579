"""What `firegrid decode` prints: every protocol, what fits, reasons for what does not, and that nothing raises."""

from __future__ import annotations

import json
import re
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers._decode import decode, protocols
from drivers._decode_fits import fits
from drivers._decode_live import Ears
from drivers._profiles import names, profile
from gateway import registry
from gateway.protocols import sparkplug
from gateway.protocols.sparkplug import DataType
from gateway.registry import Group

CASES = Path(__file__).parents[1] / "cases"
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


def test_several_frames_are_all_read_and_noise_costs_itself() -> None:
    twice = decode(f"{REQUEST} {REPLY} 00 {REPLY}".encode(), profile=profile("xy-md02"))
    assert kinds(twice) == ["message", "reading", "reading", "error", "reading", "reading"]
    assert kinds(decode(f"{REQUEST} {REPLY} {REQUEST} {REPLY}".encode(), protocol="modbus_rtu")) == ["message"] * 4


def test_a_modbus_tcp_frame_that_is_cut_is_told_and_costs_none_before_it() -> None:
    asked = "00 07 00 00 00 06 01 04 00 01 00 02"
    assert decode(asked[:-3].encode(), protocol="modbus_tcp") == [
        {"kind": "error", "reason": "noise", "raw": bytes.fromhex(asked[:-3]).hex()}
    ]
    assert kinds(decode(f"{asked} 00 08 00 01 00 06 01".encode(), protocol="modbus_tcp")) == ["message", "error"]


def test_what_one_register_says_of_another_is_remembered() -> None:
    unit = "01 03 00 02 00 01 25 CA 01 03 02 00 11 78 48"
    decimals = "01 03 00 03 00 01 74 0A 01 03 02 00 01 79 84"
    level = "01 03 00 04 00 01 C5 CB 01 03 02 04 D2 3A D9"
    said = decode(f"{unit} {decimals} {level}".encode(), profile=profile("qdy30a-level"))
    (reading,) = [one for one in said if one["kind"] == "reading"]
    assert (round(reading["value"], 9), reading["quality"]) == (1.234, "GOOD")


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
    assert [(line["device"], line["point"], line["value"]) for line in said[2:]] == [
        ("zigbee2mqtt-gas", "gas", 1.0),
        ("zigbee2mqtt-gas", "ch4", 12.0),
        ("zigbee2mqtt-gas", "linkquality", 80.0),
    ]
    topic = "zigbee2mqtt/kitchen/availability"
    offline = decode(b'{"state":"offline"}', profile=profile("zigbee2mqtt-gas"), topic=topic)
    assert {line["quality"] for line in offline} == {"BAD:offline"}
    assert {line["value"] for line in offline} == {None}
    assert kinds(decode(b"smoke", protocol="zigbee2mqtt")) == ["error"]
    assert kinds(decode(b'{"smoke":true}', protocol="zigbee2mqtt", topic="nonsense")) == ["error"]


def test_an_sms_pdu() -> None:
    (said,) = decode(DELIVER.encode(), protocol="at-pdu")
    assert (said["kind"], said["what"]) == ("message", "deliver")
    assert said["text"] == "How are you?"
    assert kinds(decode(b"07 91", protocol="at-pdu")) == ["error"]


def fitting(data: bytes, topic: str = "") -> list[str]:
    return [fit.protocol for fit in fits(data, topic=topic)]


def test_what_fits_is_said_with_the_reason_and_the_likeliest_first() -> None:
    assert fitting(REPLY.encode())[0] == "modbus_rtu"
    assert fitting(f"{REQUEST}{REPLY}".encode()) == ["modbus_rtu"]
    assert fitting(DELIVER.encode()) == ["at-pdu"]
    assert fitting(b'{"a":1}') == ["json"]
    assert fitting(b'{"smoke":true,"linkquality":3}') == ["zigbee2mqtt", "json"]
    assert fitting(b"hello") == []
    assert fitting(b":010400010002F8") == ["modbus_ascii"]
    assert decode(b"hello") == [{"kind": "error", "reason": "no protocol fits"}]
    first, *_ = decode(REPLY.encode())
    assert (first["protocol"], first["what"], first["why"]) == ("modbus_rtu", "fits", "1 frame: CRC-16")
    assert "xy-md02" in first["profiles"]


def test_what_nearly_fits_is_told_with_what_is_wrong() -> None:
    (wrong,) = decode(b"01 04 04 01 31 02 22 2A CF")
    assert wrong["reason"] == ("no protocol fits; modbus_rtu but for: CRC is 2A CF, the bytes before it give 2A CE")
    fire = cases("gb26875", "frames.toml", "frame")[0]["bytes"]
    (cut,) = decode(fire[:-9].encode())
    assert cut["reason"] == "no protocol fits; gb26875 but for: unfinished"


def cases(topic: str, name: str, table: str) -> list[dict[str, Any]]:
    text = (CASES / topic / name).read_text(encoding="utf-8")
    found: list[dict[str, Any]] = tomllib.loads(text)[table]
    return found


@pytest.mark.parametrize(
    ("protocol", "frames"),
    [
        ("gb26875", [case["bytes"] for case in cases("gb26875", "frames.toml", "frame")]),
        ("sl651", [case["hex"] for case in cases("sl651", "frames.toml", "frame") if "refused" not in case]),
        ("hj212", [case["packet"] for case in cases("hj212", "sheet.toml", "case") if case.get("check") == "hj212"]),
        (
            "winsen",
            [case["hex"] for case in cases("uart", "frames.toml", "case") if case.get("sensor") == "winsen"][:2],
        ),
    ],
)
def test_published_frames_are_taken_for_what_they_are(protocol: str, frames: list[str]) -> None:
    for frame in frames:
        assert fitting(frame.encode())[:1] == [protocol], frame
        assert kinds(decode(frame.encode(), protocol=protocol))[0] == "message"


def test_a_frame_of_a_transmitter_says_when_it_was_sent_and_when_it_happened() -> None:
    fire = cases("gb26875", "frames.toml", "frame")[0]
    (said,) = decode(fire["bytes"].encode(), protocol="gb26875")
    assert said["sent"] == "2012-09-26T01:58:32+00:00"  # 09:58:32 of its clock, which is China's
    assert [each["time"] for each in said["unit"]["objects"]] == ["2012-09-26T01:58:02+00:00"]


@pytest.mark.parametrize("case", cases("panel_serial", "sheet.toml", "case"), ids=lambda case: case["dialect"])
def test_frames_of_fire_panels_are_among_what_fits(case: dict[str, Any]) -> None:
    if "hex" in case and case.get("events"):
        assert case["dialect"] in fitting(case["hex"].encode())
        (said, *_) = decode(case["hex"].encode(), protocol=case["dialect"])
        assert [event["code"] for event in said["events"]] == [event["code"] for event in case["events"]]


# Topics that are the device's own affair, and known to its configuration only.
OWN_TOPICS = re.compile(r"home/zigbee/|site/|firegrid/")


@pytest.mark.parametrize("dialect", sorted(set(registry.names(Group.DIALECT)) - {"homeassistant", "sparkplug"}))
def test_messages_of_every_dialect_are_taken_for_what_they_are(dialect: str) -> None:
    found = [case for path in (CASES / dialect).glob("*.toml") for case in tomllib.loads(path.read_text())["case"]]
    told = [case for case in found if case.get("rows") and "payload" in case and not OWN_TOPICS.match(case["topic"])]
    assert told
    for case in told:
        assert dialect in fitting(case["payload"].encode(), case["topic"]), case


def test_a_report_of_iotda_is_told_with_the_profile_for_it() -> None:
    case = cases("json", "iotda.toml", "case")[0]
    (fit, *_) = decode(case["payload"].encode(), topic=case["topic"])
    assert (fit["protocol"], fit["profiles"]) == ("json", ["nb-iotda-generic"])


def test_a_sparkplug_payload_in_hexadecimal_digits() -> None:
    metrics = (sparkplug.Metric(name="Inputs/Smoke", datatype=DataType.BOOLEAN, value=True, kind="boolean_value"),)
    payload = sparkplug.encode(sparkplug.Payload(time=1_700_000_000_000, seq=0, metrics=metrics))
    topic = "spBv1.0/jc/DDATA/cellar/hall"
    (smoke,) = [
        line
        for line in decode(payload.hex().encode(), profile=profile("sparkplug-smoke"), topic=topic)
        if line["kind"] == "reading" and line["point"] == "smoke"
    ]
    assert (smoke["value"], smoke["address"]) == (1.0, "hall")
    assert fitting(payload, topic) == ["sparkplug"]


def test_a_discovery_message_becomes_a_device_to_paste() -> None:
    topic = "homeassistant/binary_sensor/hall/smoke/config"
    payload = b'{"name":"Hall","device_class":"smoke","state_topic":"hall/smoke","device":{"identifiers":["a1"]}}'
    said = decode(payload, topic=topic)
    assert said[0]["protocol"] == "homeassistant"
    assert (said[-1]["what"], said[-1]["profile"]) == ("discovery", "ha-smoke")
    assert tomllib.loads(said[-1]["toml"])["device"][0]["points"]["smoke"]["decode"]["topic"] == "hall/smoke"
    assert kinds(decode(b"ON", protocol="homeassistant", topic="hall/smoke")) == ["error"]


def test_a_report_is_read_by_its_profile_whatever_its_address() -> None:
    frames = [case["hex"] for case in cases("sl651", "frames.toml", "frame") if case["name"].startswith("32 ")]
    (first, *_) = decode(frames[0].encode(), protocol="sl651-river")
    assert (first["kind"], first["device"], first["address"]) == ("reading", "sl651-river", "0012345678")
    fire = cases("gb26875", "frames.toml", "frame")[0]["bytes"]
    (event, *_) = decode(fire.encode(), profile=profile("gb26875-transmitter"))
    assert (event["kind"], event["code"], event["key"]) == ("event", "fire", "1/1/2/10")
    said = decode(b"FF 04 03 01 00 7B 13 88 E2", profile=profile("winsen-ze07-co"))
    assert [(line["point"], line["value"], line["quality"]) for line in said] == [("co", 12.3, "GOOD")]
    half = decode(b"FF 04 03 01 00 7B", protocol="winsen-ze07-co")
    assert set(kinds(half)) == {"error"}


def test_protocol_and_profile_must_agree() -> None:
    assert "speaks modbus_rtu" in decode(b"{}", protocol="json", profile=profile("xy-md02"))[0]["reason"]
    assert "unknown protocol hj2112" in decode(b"{}", protocol="hj2112")[0]["reason"]


@given(
    data=st.binary(max_size=40) | st.binary(max_size=20).map(lambda raw: raw.hex().encode()),
    protocol=st.sampled_from(["", *protocols()]),
    name=st.none() | st.sampled_from(names()),
    topic=st.sampled_from(["", "zigbee2mqtt/a", "x", "+", "a/#"]),
)
def test_whatever_comes_is_told_as_json(data: bytes, protocol: str, name: str | None, topic: str) -> None:
    said = decode(data, protocol=protocol, profile=None if name is None else profile(name), topic=topic)
    json.dumps(said, allow_nan=False)
    assert set(kinds(said)) <= {"reading", "event", "message", "error"}


STREAMS = {
    "xy-md02": bytes.fromhex(REQUEST + REPLY),
    "gb26875-transmitter": bytes.fromhex(cases("gb26875", "frames.toml", "frame")[0]["bytes"]),
    "sl651-river": bytes.fromhex(
        next(case["hex"] for case in cases("sl651", "frames.toml", "frame") if case["name"] == "32 定时报, 2")
    ),
    "hj212-generic": cases("hj212", "sheet.toml", "case")[0]["packet"].encode(),
    "winsen-ze07-co": bytes.fromhex("FF 04 03 01 00 7B 13 88 E2"),
    "panel-gst5000": bytes.fromhex(cases("panel_serial", "sheet.toml", "case")[0]["hex"]),
}


@pytest.mark.parametrize("name", STREAMS)
@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_where_a_stream_is_cut_does_not_matter(name: str, data: st.DataObject) -> None:
    stream = STREAMS[name] * 2
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    ears = Ears(profile=profile(name))
    said = [line for a, b in pairwise([0, *cuts, len(stream)]) for line in ears.hear("a", stream[a:b])]
    assert said == Ears(profile=profile(name)).hear("a", stream)
    assert {"reading", "event", "message", "error"} >= set(kinds(said)) != set()
