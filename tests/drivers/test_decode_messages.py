"""`firegrid decode` for messages of a broker: what no profile reads, plain text, and what came without its topic."""

from __future__ import annotations

import pytest

from drivers._decode import decode


@pytest.mark.parametrize("topic", ["", "spBv1.0/plant/NDATA/edge"])
@pytest.mark.parametrize("protocol", ["", "sparkplug"])
def test_metrics_that_no_profile_has_are_told_as_they_are(topic: str, protocol: str) -> None:
    published = "08eaf2f5a8a02b121e0a0e537570706c7920566f6c7461676518eaf2f5a8a02b200965cdcc44411802"  # of the sheet
    *fit, said = decode(published.encode(), protocol=protocol, topic=topic)
    assert [one["protocol"] for one in fit][: not protocol] == ["sparkplug"][: not protocol]
    (metric,) = said["value"]["metrics"]
    assert (said["value"]["timestamp"], said["value"]["seq"]) == (1_486_144_502_122, 2)
    assert (metric["name"], metric["value"], metric["datatype"]) == ("Supply Voltage", pytest.approx(12.3), 9)


@pytest.mark.parametrize(
    ("topic", "text", "protocol"),
    [
        ("tele/plug/LWT", "Offline", "tasmota"),
        ("node/status", "online", "esphome"),
        ("n/sensor/t/state", "nan", "esphome"),
    ],
)
def test_plain_text_that_a_dialect_speaks_is_a_message_and_what_is_broken_is_not(
    topic: str, text: str, protocol: str
) -> None:
    assert decode(text.encode(), protocol=protocol, topic=topic)[0] == {
        "kind": "message",
        "protocol": protocol,
        "value": text,
    }
    assert decode(b'{"Time":', protocol="tasmota", topic="tele/plug/STATE") == [{"kind": "error", "reason": "not_json"}]
    assert decode(b"away", protocol="tasmota", topic="tele/plug/LWT") == [{"kind": "error", "reason": "not_json"}]


@pytest.mark.parametrize(
    ("name", "payload", "point"),
    [
        ("tasmota", '{"Time":"2021-01-01T00:00:00","Switch1":"ON"}', "contact"),
        ("tasmota-contact", '{"Switch1":{"Action":"ON"}}', "contact"),
        ("tasmota", '{"LwReceived":{"0x4AD6":{"Temperature":1}}}', "temperature"),
        ("tasmota", '{"ZbReceived":{"no":5,"Kitchen":{"Device":"0x2916","Temperature":1}}}', "temperature"),
        ("zigbee2mqtt-smoke", '{"smoke":true}', "smoke"),
        ("nb-onenet-smoke", '{"params":{"smoke":{"value":1}}}', "smoke"),
        ("chirpstack-em300-sld", '{"object":{"leakage_status":"leak"}}', "leak"),
        ("ttn-em300-sld", '{"uplink_message":{"decoded_payload":{"leakage_status":"leak"}}}', "leak"),
    ],
)
def test_a_message_that_is_said_to_be_of_a_dialect_needs_no_topic(name: str, payload: str, point: str) -> None:
    assert [(line["point"], line["value"]) for line in decode(payload.encode(), protocol=name)] == [(point, 1.0)]


def test_where_only_the_topic_could_tell_it_is_asked_for() -> None:
    for name, payload in (("esphome-smoke", b"ON"), ("sparkplug-smoke", b"0801"), ("ctwing", b'{"a":1}')):
        (said,) = decode(payload, protocol=name)
        assert said["reason"].endswith("; give its --topic")
    assert decode(b"ON", protocol="ha-smoke") == [{"kind": "error", "reason": "not_json"}]
    (said,) = decode(b'{"a":1}', protocol="ttn-em300-sld", topic="foo")
    assert said["reason"] == "neither topic nor fields are of ttn"


def test_a_discovery_message_without_its_topic_is_read_by_what_it_says() -> None:
    smoke = '{"dev_cla":"smoke","stat_t":"hall/smoke","dev":{"ids":"a1"}}'
    whole = f'{{"dev":{{"ids":"a1"}},"o":{{"name":"x"}},"cmps":{{"smoke":{{"p":"binary_sensor",{smoke[1:-1]}}}}}}}'
    for payload in (smoke, whole):
        (said,) = decode(payload.encode(), protocol="homeassistant")
        assert (said["what"], said["profile"]) == ("discovery", "ha-smoke")
