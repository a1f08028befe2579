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
