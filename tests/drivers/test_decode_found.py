"""Devices that were heard as TOML: dialects, announcements, callers; whatever comes, what is printed is TOML."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers._decode_found import Calling, OnBroker

CASES = Path(__file__).parents[1] / "cases"
FIRE = bytes.fromhex(
    tomllib.loads((CASES / "gb26875" / "frames.toml").read_text(encoding="utf-8"))["frame"][0]["bytes"]
)
TOPICS = st.sampled_from(
    [
        "zigbee2mqtt/a",
        'zigbee2mqtt/a"\n[x]',
        "tele/t/SENSOR",
        "tele/t/LWT",
        "node/sensor/a/state",
        "shelly-1/events/rpc",
        "application/1/device/0102030405060708/event/up",
        "v3/app@ttn/devices/d/up",
        "spBv1.0/g/NBIRTH/n",
        "$sys/p/d/thing/property/post",
        "homeassistant/sensor/a/config",
        "other/\u2028topic",
    ]
)
PAYLOADS = st.binary(max_size=30) | st.sampled_from(
    [
        b'{"smoke":true,"linkquality":3}',
        b'{"gas":false}',
        b'{"messageType":"dataReport","deviceId":"x\\"\\n","payload":{"smoke_state":1}}',
        b'{"state_topic":"a/b","device_class":"smoke","name":"a\\nb"}',
        b'{"method":"NotifyStatus","params":{"smoke:0":{"alarm":true}}}',
    ]
)


def test_the_profile_that_reads_most_of_all_messages_is_taken() -> None:
    found = OnBroker()
    found.hear("zigbee2mqtt/hall", b'{"battery":97,"linkquality":90}')
    found.hear("zigbee2mqtt/hall", b'{"battery":97,"linkquality":90,"smoke":false}')
    (device,) = tomllib.loads(found.toml("broker"))["device"]
    assert device["topic"] == "zigbee2mqtt/hall"


def test_a_device_that_is_announced_and_known_stands_there_once() -> None:
    found = OnBroker()
    config = {
        "name": "Hall",
        "device_class": "smoke",
        "state_topic": "zigbee2mqtt/hall",
        "device": {"identifiers": ["z"]},
    }
    config["value_template"] = "{{ value_json.smoke }}"
    found.hear("homeassistant/binary_sensor/z/smoke/config", json.dumps(config).encode())
    found.hear("zigbee2mqtt/hall", b'{"smoke":false,"linkquality":90}')
    text = found.toml("broker")
    (device,) = tomllib.loads(text)["device"]
    assert device["profile"] == "zigbee2mqtt-smoke"
    assert "announced too; it stands above" in text


def test_what_a_gateway_publishes_is_no_device() -> None:
    found = OnBroker()
    own = {
        "firegrid/s1/readings/hall/temperature": b'{"value":21.5}',
        "firegrid-ha/s1/status": b"online",
        "spBv1.0/STATE/firegrid": b'{"online":true,"timestamp":1}',
        "homeassistant/device/s1_hall/config": json.dumps(
            {
                "dev": {"ids": ["s1_hall"], "mf": "firegrid"},
                "o": {"name": "firegrid"},
                "cmps": {"t": {"p": "sensor", "state_topic": "firegrid-ha/s1/hall/t", "unique_id": "t"}},
            }
        ).encode(),
    }
    for topic, payload in own.items():
        found.hear(topic, payload)
    assert found.toml("broker") == ""
    found.hear("zigbee2mqtt/hall", b'{"smoke":false,"linkquality":90}')
    text = found.toml("broker")
    assert [device["topic"] for device in tomllib.loads(text)["device"]] == ["zigbee2mqtt/hall"]
    assert found.left_out() == (
        4,
        ["firegrid/s1", "firegrid-ha/s1", "spBv1.0/STATE/firegrid", "homeassistant/device/s1_hall/config"],
    )


def test_what_a_gateway_publishes_under_a_name_of_its_own_is_no_device() -> None:
    found = OnBroker()
    announced = {"dev": {"ids": ["s1"]}, "o": {"name": "firegrid"}, "cmps": {}}
    own = {
        "city/fire/s1/event": b'{"n":1,"device":"hall","code":"fire","text":""}',
        "city/fire/s1/point/hall/smoke": b'{"v":0,"available":"online","smoke":false,"linkquality":90}',
        "zigbee2mqtt/s1/hall": b'{"smoke":false,"linkquality":90}',  # a prefix that is a dialect's
        "city/fire/s1/status": b'{"online":true,"instance":"i1"}',  # its root is known only now
        "zigbee2mqtt/s1/status": b'{"online":false,"instance":"i2"}',
        "ha/device/s1/config": json.dumps(announced).encode(),
    }
    for topic, payload in own.items():
        found.hear(topic, payload)
    assert found.toml("broker") == ""
    assert found.left_out() == (6, ["city/fire/s1", "zigbee2mqtt/s1", "ha/device/s1/config"])
    for topic in ("city/fire/s2/status", "city/fire"):  # not this gateway's
        found.hear(topic, b'{"online":true}')
    assert found.toml("broker").count("of no known dialect") == 2


def test_a_device_behind_iotda_is_told_with_its_profile() -> None:
    found = OnBroker()
    cases = tomllib.loads((CASES / "json" / "iotda.toml").read_text(encoding="utf-8"))["case"]
    found.hear(cases[0]["topic"], cases[0]["payload"].encode())
    text = found.toml("broker")
    assert "nb-iotda-generic with [device.points] of its own" in text
    assert 'topic = "$oc/devices/d1/sys/properties/report"' in text
    assert "of no known dialect" not in text


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(TOPICS, PAYLOADS), max_size=5))
def test_whatever_a_broker_brings_is_told_as_toml(messages: list[tuple[str, bytes]]) -> None:
    found = OnBroker()
    for topic, payload in messages:
        found.hear(topic, payload)
    tomllib.loads(found.toml("broker"))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.binary(max_size=60) | st.just(FIRE)), max_size=5), st.booleans())
def test_whatever_callers_say_is_told_as_toml(pieces: list[tuple[str, bytes]], datagrams: bool) -> None:  # noqa: FBT001 - drawn
    calling = Calling(datagrams=datagrams)
    for peer, data in pieces:
        calling.hear(peer, data)
    tomllib.loads(calling.toml("centre", {"wire": "tcp_server", "port": 7000}))
