"""The journal's codec: what goes in comes out, bit by bit, and damaged bytes are said to be damaged."""

from __future__ import annotations

import zlib

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gateway.errors import StoreCorrupt
from gateway.model.alarm import OperatorAct, Verb
from gateway.model.batch import Batch, Event, EventCode, Mark, make_batch
from gateway.model.moment import Epoch, Input, Start
from gateway.model.notification import ChannelState, DeliveryState, Receipt, Reply
from gateway.store import journal
from gateway.store.columns import pack_bytes, pack_floats, pack_ints, unpack_bytes, unpack_floats, unpack_ints

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
TEXT = st.text(max_size=12)
DECIMALS = st.integers(-(10**6), 10**6).map(lambda n: n / 100)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    n = draw(st.integers(0, 12))
    values = draw(st.lists(DECIMALS | st.floats(), min_size=n, max_size=n))
    return Batch(
        source=draw(TEXT),
        point=draw(arrays.arrays(np.int32, n)),
        time=draw(arrays.arrays(np.int64, n)),
        arrival=draw(arrays.arrays(np.int64, n)),
        value=np.array(values, dtype=np.float64),
        quality=draw(arrays.arrays(np.uint8, n)),
        events=tuple(draw(st.lists(EVENTS, max_size=2))),
        event_arrival=draw(INT64),
        heard=tuple(draw(st.lists(st.integers(0, 9999), max_size=3))),
        waiting=draw(st.booleans()),
    )


EVENTS = st.builds(
    Event,
    point=st.integers(0, 9999),
    key=TEXT,
    code=st.sampled_from(EventCode),
    text=TEXT,
    time=INT64,
    registered=st.booleans(),
    ends=st.none() | st.sampled_from(EventCode),
)
OTHERS = st.one_of(
    st.builds(
        OperatorAct,
        verb=st.sampled_from(Verb),
        alarms=st.lists(INT64, max_size=3).map(tuple),
        who=TEXT,
        via=TEXT,
        at=INT64,
        until=INT64,
        reason=TEXT,
        request=TEXT,
    ),
    st.builds(Receipt, notice=INT64, state=st.sampled_from(DeliveryState), at=INT64, failure=TEXT),
    st.builds(Reply, channel=TEXT, number=TEXT, text=TEXT, at=INT64, token=TEXT),
    st.builds(ChannelState, channel=TEXT, up=st.booleans(), at=INT64, reason=TEXT),
    st.builds(Start, boot=TEXT, at=INT64, shift=st.none() | INT64, configuration=TEXT, volatile=st.booleans()),
    st.builds(Epoch, boot=TEXT, mono_from=INT64, wall_offset=INT64, error=INT64, source=TEXT, trusted=st.booleans()),
)
STEPS = st.lists(st.tuples(INT64, st.lists(batches() | OTHERS, max_size=4)), max_size=3)


def same(one: Input, other: Input) -> bool:
    if not isinstance(one, Batch) or not isinstance(other, Batch):
        return one == other
    columns = all(
        left.dtype == right.dtype and left.tobytes() == right.tobytes()
        for left, right in (
            (one.point, other.point),
            (one.time, other.time),
            (one.arrival, other.arrival),
            (one.value, other.value),
            (one.quality, other.quality),
        )
    )
    rest = (one.source, one.events, one.event_arrival, one.heard, one.waiting)
    return columns and rest == (other.source, other.events, other.event_arrival, other.heard, other.waiting)


@given(STEPS)
def test_steps_come_back_as_they_were(steps: list[tuple[int, list[Input]]]) -> None:
    back = journal.decode(journal.encode(steps))
    assert [now for now, _ in back] == [now for now, _ in steps]
    for (_, before), (_, after) in zip(steps, back, strict=True):
        assert len(before) == len(after)
        assert all(same(one, other) for one, other in zip(before, after, strict=True))


@given(arrays.arrays(np.int64, st.integers(0, 40)))
def test_any_column_of_integers_comes_back(column: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
    assert unpack_ints(pack_ints(column), len(column)).tolist() == column.tolist()


@given(st.integers(-(1 << 62), 1 << 62), st.sampled_from([1, 10**6, 10**9]), st.lists(st.integers(0, 5000), min_size=1))
def test_time_stamps_of_any_tick_come_back(start: int, tick: int, steps: list[int]) -> None:
    column = np.int64(start) + np.cumsum(np.array(steps, dtype=np.int64)) * tick
    assert unpack_ints(pack_ints(column), len(column)).tolist() == column.tolist()


@given(st.lists(DECIMALS | st.floats(), max_size=40))
def test_any_column_of_values_comes_back_bit_by_bit(values: list[float]) -> None:
    column = np.array(values, dtype=np.float64)
    assert unpack_floats(pack_floats(column), len(column)).tobytes() == column.tobytes()


@pytest.mark.parametrize(
    "value", [-0.0, float("nan"), float("inf"), 5e-324, 1.7e308, 2.0**53, 0.1 + 0.2, 8796093022208.0]
)
def test_values_that_are_no_decimals_are_kept_exactly(value: float) -> None:
    column = np.array([value, 21.5, 21.5], dtype=np.float64)
    assert unpack_floats(pack_floats(column), 3).tobytes() == column.tobytes()


@given(arrays.arrays(np.uint8, st.integers(0, 40)))
def test_any_column_of_qualities_comes_back(column: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> None:
    assert unpack_bytes(pack_bytes(column), len(column)).tolist() == column.tolist()


def test_frames_raw_bytes_and_marks_are_not_journalled() -> None:
    event = Event(point=7, key="3/17", code=EventCode.FIRE, text="火警", raw=b"\x40\x40secret")
    batch = make_batch(
        "bus", 5, [(1, 0, 1.0, 0)], frames=[b"secret"], frame=[0], events=[event], marks=[Mark("s", 1, b"secret")]
    )
    ((_, (back,)),) = journal.decode(journal.encode([(6, [batch])]))
    assert isinstance(back, Batch)
    assert (back.frames, back.marks, back.events[0].raw, back.events[0].text) == ((), (), b"", "火警")


def test_a_second_of_fifty_points_is_a_few_hundred_bytes() -> None:
    rng = np.random.default_rng(7)
    rows = [(point, 0, round(float(rng.normal(21, 2)), 1), 0) for point in range(1, 51)]
    steps = [(second, [make_batch("bus", second * 10**9 + 1234, rows)]) for second in range(5)]
    assert len(journal.encode(steps)) < 5 * 50 * 4


@pytest.mark.parametrize(
    "body", [b"", b"\x00", b"\x02garbage", b"\x01\xc1", b"\x09abc", b"\x02" + zlib.compress(b"\x93\x90\x05")]
)
def test_damaged_bodies_say_so(body: bytes) -> None:
    with pytest.raises(StoreCorrupt):
        journal.decode(body)


@given(st.data())
def test_a_body_with_changed_bytes_never_fails_in_another_way(data: st.DataObject) -> None:
    body = bytearray(journal.encode([(6, [make_batch("bus", 5, [(1, 0, 1.25, 0), (2, 9, 0.1 + 0.2, 129)])])]))
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    for read in (journal.decode, journal.decode_readings):
        try:
            read(bytes(body))
        except StoreCorrupt:
            continue


def test_an_event_of_a_former_version_reads() -> None:
    event = Event(7, "3/17", EventCode.RESTORE, "恢复", 5, registered=False)
    body = journal.encode([(9, [make_batch("panel", 5, events=[event])])])
    told, *rest = msgspec.msgpack.decode(body[1:])
    [[_, [[_, [*_, events]]]]] = told
    assert events[0].pop() == 0  # what ends: it was not written
    former = body[:1] + msgspec.msgpack.encode([told, *rest])
    assert len(former) < len(body)
    [(_, [batch])] = journal.decode(former)
    assert isinstance(batch, Batch)
    assert batch.events == (event,)
