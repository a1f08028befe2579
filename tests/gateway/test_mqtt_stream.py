"""MQTT packets come out of any cut of the stream, and nothing that comes in can crash the reader."""

from __future__ import annotations

import itertools

import mqtt5
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.protocols.mqtt_stream import AckWindow, OversizePublish, PacketStream

ONE = mqtt5.QoS.AT_LEAST_ONCE
LIMIT = 1_000

# The codec panics on text that is not UTF-8 and leaves the UnicodeDecodeError behind as unraisable.
panics = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def publish(packet_id: int, payload: bytes = b"{}") -> bytes:
    return mqtt5.PublishPacket("烟感/厨房", payload, qos=ONE, retain=True, packet_id=packet_id).write()


STREAM = [
    publish(1, b"x" * 300),
    mqtt5.PingRespPacket().write(),
    publish(2, b"y" * 5_000),  # above the limit
    mqtt5.PubAckPacket(7).write(),
    publish(3, b""),
]


def summary(packets: list[mqtt5.Packet | OversizePublish]) -> list[str]:
    return [f"{type(p).__name__} {getattr(p, 'packet_id', None)}" for p in packets]


EXPECTED = ["PublishPacket 1", "PingRespPacket None", "OversizePublish 2", "PubAckPacket 7", "PublishPacket 3"]


@given(st.lists(st.integers(0, sum(map(len, STREAM))), max_size=12))
def test_any_cut_gives_the_same_packets(cuts: list[int]) -> None:
    data = b"".join(STREAM)
    stream = PacketStream(LIMIT)
    found: list[mqtt5.Packet | OversizePublish] = []
    edges = sorted({0, *cuts, len(data)})
    for start, end in itertools.pairwise(edges):
        found += stream.feed(data[start:end])
    assert stream.broken is None
    kinds = summary(found)
    # A PUBLISH above the limit that arrives in one piece costs nothing and is handed over whole.
    assert [k.replace("OversizePublish", "PublishPacket") for k in kinds] == [
        k.replace("OversizePublish", "PublishPacket") for k in EXPECTED
    ]


def test_an_oversized_publish_in_pieces_keeps_topic_and_packet_id_and_no_payload() -> None:
    stream = PacketStream(LIMIT)
    data = publish(9, b"z" * 10_000_000) + publish(10)
    found: list[mqtt5.Packet | OversizePublish] = []
    most = 0
    for start in range(0, len(data), 65_536):
        found += stream.feed(data[start : start + 65_536])
        most = max(most, len(stream._tail))  # noqa: SLF001 - the bound is the point of the test
    assert found[0] == OversizePublish("烟感/厨房", 1, retain=True, duplicate=False, packet_id=9)
    assert summary(found[1:]) == ["PublishPacket 10"]
    assert most <= LIMIT


def test_packets_before_a_broken_one_are_kept() -> None:
    stream = PacketStream(LIMIT)
    assert summary(stream.feed(publish(4) + b"\x00\x00" + publish(5))) == ["PublishPacket 4"]
    assert stream.broken is not None
    assert stream.feed(publish(6)) == []


def test_a_puback_with_a_reason_outside_the_standard_is_an_error_and_no_broken_stream() -> None:
    stream = PacketStream(LIMIT)
    packets = stream.feed(b"\x40\x04\x00\x07\x95\x00" + publish(1))
    assert summary(packets) == ["PubAckPacket 7", "PublishPacket 1"]
    assert isinstance(packets[0], mqtt5.PubAckPacket)
    assert int(packets[0].reason_code) == 0x80
    assert stream.feed(b"\x40\x01\x00") == []
    assert stream.broken is not None


@panics
def test_text_that_is_not_utf8_breaks_the_stream_and_nothing_else() -> None:
    stream = PacketStream(LIMIT)
    assert stream.feed(b"\x30\x05\x00\x02\xff\xfe\x00") == []
    assert stream.broken == "text that is not UTF-8"


def test_a_giant_packet_that_is_no_publish_breaks_the_stream() -> None:
    stream = PacketStream(LIMIT)
    assert stream.feed(b"\x90\xff\xff\xff\x7f\x00\x01") == []
    assert stream.broken == "packet of 268435460 bytes"


@panics
@settings(max_examples=300)
@given(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from(STREAM)), max_size=8))
def test_no_bytes_raise(chunks: list[bytes]) -> None:
    stream = PacketStream(LIMIT)
    for chunk in chunks:
        stream.feed(chunk)
        assert len(stream._tail) <= LIMIT + 65_546  # noqa: SLF001 - a topic at most beside the limit


@given(st.permutations(list(range(1, 30))), st.integers(1, 7))
def test_pubacks_leave_in_order_of_arrival_whatever_is_done_first(order: list[int], group: int) -> None:
    window = AckWindow()
    for packet_id in range(1, 30):
        window.owe(packet_id)
    out = b""
    for start in range(0, len(order), group):
        out += window.done(order[start : start + group])
        acknowledged = len(out) // 4
        assert set(range(1, acknowledged + 1)) <= set(order[: start + group])
    assert out == b"".join(mqtt5.PubAckPacket(packet_id).write() for packet_id in range(1, 30))
    assert len(window) == 0


def test_an_id_nobody_owes_is_ignored() -> None:
    window = AckWindow()
    window.owe(3)
    window.owe(3)
    assert window.done([9]) == b""
    assert window.done([3, 3]) == mqtt5.PubAckPacket(3).write()
    assert window.done([3]) == b""


def test_an_acknowledgement_is_settled_by_a_proof_that_began_after_it_and_not_for_an_id_used_again() -> None:
    window = AckWindow()
    for packet_id in (1, 2, 3):
        window.owe(packet_id)
    window.done([1])
    assert window.begin_proof()
    window.done([2])
    assert not window.begin_proof(), "one at a time"
    window.owe(1)  # the peer saw the PUBACK and gave the number to another message
    window.proven()
    assert window.unsettled == {1, 2, 3}, "2 left after the proof had begun"
    window.done([1])
    assert window.begin_proof()
    window.proven()
    assert window.unsettled == {1, 3}, "the second 1 may not leave before 3"


def test_an_id_used_again_and_acknowledged_again_is_settled_by_the_second_proof() -> None:
    window = AckWindow()
    window.owe(1)
    window.done([1])
    assert window.begin_proof()
    window.owe(1)
    window.done([1])
    window.proven()
    assert window.unsettled == {1}
    assert window.begin_proof()
    window.proven()
    assert not window.unsettled
