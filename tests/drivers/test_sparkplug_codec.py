"""Sparkplug B payloads on the wire: the published example, every type with its sign, topics, and any bytes whatever."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols import sparkplug, sparkplug_pb2
from gateway.protocols.sparkplug import Address, DataType, Metric, Payload, Refused, address_of, value_of

PROTO = Path(sparkplug.__file__).with_suffix(".proto")

# Sparkplug 3.0 chapter 6.4: the field numbers that this gateway reads.
FIELDS = {
    "Payload": {"timestamp": 1, "metrics": 2, "seq": 3, "uuid": 4, "body": 5},
    "Metric": {
        "name": 1,
        "alias": 2,
        "timestamp": 3,
        "datatype": 4,
        "is_historical": 5,
        "is_transient": 6,
        "is_null": 7,
        "properties": 9,
        "int_value": 10,
        "long_value": 11,
        "float_value": 12,
        "double_value": 13,
        "boolean_value": 14,
        "string_value": 15,
        "bytes_value": 16,
        "dataset_value": 17,
        "template_value": 18,
    },
    "PropertySet": {"keys": 1, "values": 2},
    "PropertyValue": {"type": 1, "is_null": 2, "int_value": 3, "long_value": 4},
}


def read(data: bytes) -> Payload:
    found = sparkplug.decode(data)
    assert isinstance(found, Payload)
    return found


def test_the_generated_module_has_the_published_field_numbers() -> None:
    file = sparkplug_pb2.DESCRIPTOR
    numbers = {
        name: {field.name: field.number for field in kind.fields} for name, kind in file.message_types_by_name.items()
    }
    assert numbers == FIELDS


def test_the_generated_module_is_what_the_proto_gives(tmp_path: Path) -> None:
    out = tmp_path / "set"
    root = PROTO.parents[2]
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", f"-I{root}", f"--descriptor_set_out={out}", str(PROTO)], check=True
    )
    found = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file[0]
    for field in (field for message in found.message_type for field in message.field):
        field.ClearField("json_name")
    assert found == descriptor_pb2.FileDescriptorProto.FromString(sparkplug_pb2.DESCRIPTOR.serialized_pb)


def test_the_example_of_the_specification() -> None:
    data = bytes.fromhex("08eaf2f5a8a02b121e0a0e537570706c7920566f6c7461676518eaf2f5a8a02b200965cdcc44411802")
    found = read(data)
    assert (found.time, found.seq) == (1486144502122, 2)
    (metric,) = found.metrics
    assert (metric.name, metric.alias, metric.datatype) == ("Supply Voltage", None, DataType.FLOAT)
    value = value_of(metric, metric.datatype)
    assert value == struct.unpack("<f", struct.pack("<f", 12.3))[0]
    assert sparkplug.encode(found) == data


@pytest.mark.parametrize(
    ("datatype", "wire", "meant"),
    [
        (DataType.INT8, 0xFF, -1),
        (DataType.INT8, 0xFFFF_FFFF, -1),  # extended to the field
        (DataType.INT8, 0x7F, 127),
        (DataType.INT8, 0x80, -128),
        (DataType.INT8, 0x100, None),  # no Int8 whichever way
        (DataType.INT16, 65510, -26),
        (DataType.INT16, 4294967270, -26),
        (DataType.INT16, 0xFFFF_FFFF_FFFF_FFE6, -26),
        (DataType.INT16, 0x1_0001, None),
        (DataType.INT32, 0xFFFF_FFE6, -26),
        (DataType.INT64, (1 << 64) - 26, -26),
        (DataType.UINT8, 255, 255),
        (DataType.UINT8, 256, None),
        (DataType.UINT16, 65510, 65510),
        (DataType.UINT32, 0xFFFF_FFFF, 0xFFFF_FFFF),
        (DataType.UINT64, (1 << 64) - 1, (1 << 64) - 1),
        (DataType.DATETIME, 1486144502122, 1486144502122),
        (DataType.BOOLEAN, 1, True),
        (DataType.BOOLEAN, 0, False),
        (DataType.BOOLEAN, 2, None),
        (DataType.STRING, 5, None),
        (0, 7, 7),
        (99, 7, 7),
    ],
)
def test_a_number_means_what_its_type_says(datatype: int, wire: int, meant: int | None) -> None:
    kind = "long_value" if wire >> 32 else "int_value"
    metric = read(sparkplug.encode(Payload(metrics=(Metric(name="m", value=wire, kind=kind),)))).metrics[0]
    assert value_of(metric, datatype) == meant


INTEGERS = {
    DataType.INT8: (-128, 127),
    DataType.INT16: (-(1 << 15), (1 << 15) - 1),
    DataType.INT32: (-(1 << 31), (1 << 31) - 1),
    DataType.INT64: (-(1 << 63), (1 << 63) - 1),
    DataType.UINT8: (0, 255),
    DataType.UINT16: (0, (1 << 16) - 1),
    DataType.UINT32: (0, (1 << 32) - 1),
    DataType.UINT64: (0, (1 << 64) - 1),
}


@st.composite
def metrics(draw: st.DrawFn) -> Metric:
    datatype = draw(st.sampled_from([*INTEGERS, DataType.DOUBLE, DataType.FLOAT, DataType.BOOLEAN, DataType.STRING]))
    values: dict[int, st.SearchStrategy[bool | int | float | str]] = {
        DataType.DOUBLE: st.floats(allow_nan=False),
        DataType.FLOAT: st.floats(width=32, allow_nan=False),
        DataType.BOOLEAN: st.booleans(),
        DataType.STRING: st.text(max_size=10),
    }
    whole = INTEGERS.get(datatype)
    return Metric(
        name=draw(st.text(st.characters(codec="utf-8"), max_size=10)),
        alias=draw(st.none() | st.integers(0, (1 << 64) - 1)),
        time=draw(st.none() | st.integers(1, 1 << 42)),
        datatype=datatype,
        value=draw(st.none() | (st.integers(*whole) if whole else values[datatype])),
        historical=draw(st.booleans()),
        quality=draw(st.sampled_from([None, 0, 192, 500])),
    )


@given(st.lists(metrics(), max_size=4), st.none() | st.integers(0, 255), st.none() | st.integers(1, 1 << 42))
def test_what_is_encoded_is_decoded(sent: list[Metric], seq: int | None, time: int | None) -> None:
    found = read(sparkplug.encode(Payload(time=time, seq=seq, metrics=tuple(sent))))
    assert (found.time, found.seq) == (time, seq)
    for metric, was in zip(found.metrics, sent, strict=True):
        assert (metric.name, metric.alias, metric.time) == (was.name, was.alias, was.time)
        assert (metric.historical, metric.quality) == (was.historical, was.quality)
        assert value_of(metric, was.datatype) == was.value


@pytest.mark.parametrize(
    ("datatype", "value"), [(DataType.INT8, 128), (DataType.UINT8, -1), (DataType.UINT16, 1 << 16)]
)
def test_no_value_is_bent_to_fit(datatype: DataType, value: int) -> None:
    with pytest.raises(ValueError, match=f"is no {datatype.name}"):
        sparkplug.encode(Payload(metrics=(Metric(name="m", datatype=datatype, value=value),)))


@given(st.binary(max_size=80))
def test_any_bytes_are_a_payload_or_refused(data: bytes) -> None:
    found = sparkplug.decode(data)
    if isinstance(found, Payload):
        for metric in found.metrics:
            for datatype in range(36):
                assert not isinstance(value_of(metric, datatype), bytes)


def test_text_that_is_no_utf8_costs_nothing_beside_it() -> None:
    sound = sparkplug.encode(Payload(metrics=(Metric(name="ok", datatype=DataType.BOOLEAN, value=True),)))
    found = read(b"\x12\x07\x0a\x02\xff\xfe\x7a\x01\xff" + sound)
    assert [metric.name for metric in found.metrics] == ["��", "ok"]
    assert value_of(found.metrics[0], DataType.STRING) == "�"


def test_seq_beyond_255_and_times_beyond_int64_are_none() -> None:
    message = sparkplug_pb2.Payload(seq=256, timestamp=(1 << 64) - 1)
    found = read(message.SerializeToString())
    assert (found.seq, found.time) == (None, None)


def test_a_compressed_body_is_refused_and_not_read_as_nothing() -> None:
    message = sparkplug_pb2.Payload(uuid="SPBV1.0_COMPRESSED", body=b"\x1f\x8b")
    assert sparkplug.decode(message.SerializeToString()) is Refused.COMPRESSED


@pytest.mark.parametrize(
    ("topic", "address"),
    [
        ("spBv1.0/g/NBIRTH/n", Address("g", "NBIRTH", "n", "")),
        ("spBv1.0/g/DDATA/n/d", Address("g", "DDATA", "n", "d")),
        ("spBv1.0/g/NDATA/n/d", None),
        ("spBv1.0/g/DDATA/n", None),
        ("spBv1.0/g/DDATA/n/d/e", None),
        ("spBv1.0/g/DDATA//d", None),
        ("spAv1.0/g/DDATA/n/d", None),
        ("spBv1.0", None),
        ("", None),
    ],
)
def test_topics(topic: str, address: Address | None) -> None:
    assert address_of(topic) == address
    assert address is None or address.topic() == topic


def test_state_of_the_host() -> None:
    assert sparkplug.state_topic("jc-07") == "spBv1.0/STATE/jc-07"
    assert json.loads(sparkplug.state(1486144502122, online=True)) == {"online": True, "timestamp": 1486144502122}
    assert sparkplug.is_offline(sparkplug.state(1, online=False))
    assert not any(map(sparkplug.is_offline, (sparkplug.state(1, online=True), b"", b"[" * 9999, b"0", b"\xff")))


def test_the_rebirth_request() -> None:
    (metric,) = read(sparkplug.rebirth()).metrics
    assert (metric.name, metric.datatype, metric.value) == (sparkplug.REBIRTH, DataType.BOOLEAN, True)
