"""The 3.1.1 codec of the simulated broker, and which topics a filter covers."""

from __future__ import annotations

from contextlib import suppress

import mqtt5
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.protocols import mqtt311
from gateway.protocols.mqtt_topics import covers, is_filter

# Published by hand from the standard's tables: section 3.1 (CONNECT with will and user), 3.3, 3.8, 3.10.
CONNECT = bytes.fromhex(
    "10 22 0004 4d515454 04 ee 003c 0003 677731 0004 77696c6c 0002 6279 0001 75 0003 736563 00 00".replace(" ", "")
)


def test_connect_with_will_user_and_password() -> None:
    data = CONNECT[:-2]
    body = data[2:]
    packet, length = mqtt311.read(memoryview(bytes((0x10, len(body))) + body))
    assert isinstance(packet, mqtt5.ConnectPacket)
    assert length == len(body) + 2
    assert (packet.client_id, packet.username, packet.password) == ("gw1", "u", b"sec")
    assert packet.will is not None
    assert (packet.will.topic, packet.will.payload, int(packet.will.qos), packet.will.retain) == (
        "will",
        b"by",
        1,
        True,
    )
    assert (packet.clean_start, packet.session_expiry_interval, packet.keep_alive) == (True, 0, 60)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\x32\x07\x00\x01t\x00\x09ab", mqtt5.PublishPacket),
        (b"\x82\x06\x00\x01\x00\x01t\x01", mqtt5.SubscribePacket),
        (b"\xa2\x05\x00\x01\x00\x01t", mqtt5.UnsubscribePacket),
        (b"\x40\x02\x00\x09", mqtt5.PubAckPacket),
        (b"\xc0\x00", mqtt5.PingReqPacket),
        (b"\xe0\x00", mqtt5.DisconnectPacket),
    ],
)
def test_what_clients_send_is_read_and_every_shorter_piece_asks_for_more(data: bytes, kind: type) -> None:
    packet, length = mqtt311.read(memoryview(data + b"\xff"))
    assert type(packet) is kind
    assert length == len(data)
    for size in range(len(data)):
        with pytest.raises(IndexError):
            mqtt311.read(memoryview(data[:size]))


@pytest.mark.parametrize(
    ("packet", "data"),
    [
        (mqtt5.ConnAckPacket(session_present=True), "20020100"),
        (mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.BAD_USER_NAME_OR_PASSWORD), "20020004"),
        (mqtt5.PublishPacket("t", b"x", retain=True), "3104000174" + "78"),
        (mqtt5.PublishPacket("t", b"", qos=mqtt5.QoS(1), packet_id=9, duplicate=True), "3a050001740009"),
        (mqtt5.PubAckPacket(9, reason_code=mqtt5.PubAckReasonCode.NO_MATCHING_SUBSCRIBERS), "40020009"),
        (mqtt5.SubAckPacket(1, [mqtt5.SubAckReasonCode(1), mqtt5.SubAckReasonCode.NOT_AUTHORIZED]), "900400010180"),
        (mqtt5.UnsubAckPacket(1, [mqtt5.UnsubAckReasonCode.SUCCESS]), "b0020001"),
        (mqtt5.PingRespPacket(), "d000"),
        (mqtt5.DisconnectPacket(), ""),
    ],
)
def test_what_servers_send_is_written(packet: mqtt5.Packet, data: str) -> None:
    assert mqtt311.write(packet).hex() == data


def test_a_long_packet_has_a_long_length() -> None:
    data = mqtt311.write(mqtt5.PublishPacket("t", b"x" * 20_000))
    packet, length = mqtt311.read(memoryview(data))
    assert isinstance(packet, mqtt5.PublishPacket)
    assert (len(packet.payload), length) == (20_000, len(data))


@settings(max_examples=400)
@given(st.sampled_from([0x10, 0x30, 0x32, 0x3D, 0x40, 0x82, 0xA2, 0xC0, 0xE0, 0x00, 0xF0]), st.binary(max_size=30))
def test_foreign_bytes_are_refused_by_a_value_error_at_most(head: int, body: bytes) -> None:
    with suppress(IndexError, ValueError):
        mqtt311.read(memoryview(bytes((head, len(body))) + body))
    with suppress(IndexError, ValueError):
        mqtt311.read(memoryview(bytes((head,)) + body))


@pytest.mark.parametrize(
    ("pattern", "topic", "expected"),
    [  # MQTT 5.0 sections 4.7.1.2, 4.7.1.3 and 4.7.2
        ("sport/tennis/player1/#", "sport/tennis/player1", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
        ("sport/tennis/+", "sport/tennis/player1", True),
        ("sport/tennis/+", "sport/tennis/player1/ranking", False),
        ("sport/+", "sport", False),
        ("sport/+", "sport/", True),
        ("+/+", "/finance", True),
        ("/+", "/finance", True),
        ("+", "/finance", False),
        ("#", "a/b/c", True),
        ("#", "$SYS/uptime", False),
        ("+/uptime", "$SYS/uptime", False),
        ("$SYS/#", "$SYS/uptime", True),
        ("a/b", "a", False),
        ("a", "a/b", False),
        ("a/+/c", "a//c", True),
    ],
)
def test_filters_cover_what_the_standard_says(pattern: str, topic: str, *, expected: bool) -> None:
    assert covers(pattern, topic) is expected


@pytest.mark.parametrize("pattern", ["", "a/#/b", "a#", "+a", "a/b+", "a\0"])
def test_what_is_no_filter(pattern: str) -> None:
    assert not is_filter(pattern)
    with suppress(ValueError):  # the codec agrees, wherever it checks
        mqtt5.TopicFilter(pattern)


@pytest.mark.parametrize("pattern", ["#", "+", "a/+/b/#", "/", "$SYS/#", "烟感/+"])
def test_what_is_a_filter(pattern: str) -> None:
    assert is_filter(pattern)
    mqtt5.TopicFilter(pattern)
