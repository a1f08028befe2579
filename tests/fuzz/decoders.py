"""Every decoder of foreign bytes: real inputs to begin with, and what must hold whatever the bytes are.

A decoder here is a function of bytes that returns nothing and raises only when a promise is broken: what a decoder is
allowed to raise (its own closed error) is caught here. `tests/fuzz/test_decoders.py` feeds them.
"""

from __future__ import annotations

import re
import ssl
from contextlib import suppress
from functools import cache

import mqtt5
import numpy as np

from gateway.config import spreadsheet, text
from gateway.config.kept import dump, undump
from gateway.config.people import CONTACTS, GRID
from gateway.errors import ConfigError, ProtocolViolation, StoreCorrupt
from gateway.escalation import reply
from gateway.model.batch import Event, EventCode, make_batch
from gateway.model.moment import Epoch
from gateway.model.ports import Decoded, Dialect
from gateway.model.station import Station, StoreSpec
from gateway.protocols import mqtt311, nut, x509
from gateway.protocols.at import LINE_LIMIT, Parser, fields
from gateway.protocols.modbus import ReplyMatcher, RequestScanner, decode_request
from gateway.protocols.modbus_line import is_whole
from gateway.protocols.mqtt_stream import PacketStream
from gateway.protocols.smsparts import Joiner
from gateway.protocols.smspdu import Deliver, StatusReport, decode
from gateway.store import journal
from rules.language import ExpressionError, Scope, parse
from tests.drivers import test_dialect_json as json_dialect
from tests.drivers import test_dialect_zigbee2mqtt as zigbee2mqtt
from tests.fuzz import payloads, streams, talks, told
from tests.fuzz.feeding import CASES, Decoder, cases, halves

STREAM_LIMIT = 1_000
SCOPE = Scope({"value": "%[LEL]", "rate": "%[LEL]/s"}, {"open": 1.0, "closed": 0.0, "开": 1.0})
FRAMES = cases("modbus_rtu/frames.toml", "frame")
PDUS = [bytes.fromhex(case["pdu"]) for name in ("submit", "status_report") for case in cases(f"smspdu/{name}.toml")]
REQUESTS = [decode_request(bytes.fromhex(frame["request"])) for frame in FRAMES]
ASKED = [request for request in REQUESTS if request is not None and request.address][:4]


def modbus_reply(data: bytes) -> None:
    """A reply is one frame of the bytes, of this address and function, whole, with as many values as asked."""
    for request in ASKED:
        matcher = ReplyMatcher(request)
        found = None
        for part in halves(data):
            found = found or matcher.feed(part)
        if found is None:
            assert matcher.unmatched() == len(data)
        else:
            assert found.frame in data
            assert is_whole(found.frame)
            assert found.frame[0] == request.address
            assert found.frame[1] & 0x7F == request.function
            assert found.exception or len(found.values) in (0, request.count)


def modbus_request(data: bytes) -> None:
    """Every request heard stands in the bytes."""
    scanner = RequestScanner()
    for part in halves(data):
        for request in scanner.feed(part):
            assert request.encode()[:6] in data  # padding bits of coils may be anything
    decode_request(data)


def sms_pdu(data: bytes) -> None:
    """A message or a ProtocolViolation; parts of texts never wait without bound."""
    joiner = Joiner(limit=4)
    for length in (None, len(data)):
        with suppress(ProtocolViolation):
            message = decode(data, length)
            if isinstance(message, Deliver):
                for received in [*joiner.add(message, 1, 0), *joiner.flush()]:
                    received.text.encode("utf-8", errors="strict")
            elif isinstance(message, StatusReport):
                assert message.outcome


def at_talk(data: bytes) -> None:
    """Tokens whatever comes; no line above the limit is kept."""
    for command, prompt in (("", False), ("AT+CMGL=4", False), ("AT+CMGS=23", True)):
        parser = Parser()
        if command:
            parser.sent(command, prompt=prompt)
        for part in halves(data):
            for token in parser.feed(part):
                line = getattr(token, "text", "")
                assert len(line) <= LINE_LIMIT
                fields(line)
        parser.done()
        parser.feed(b"\r\nOK\r\n")


def json_payload(data: bytes) -> None:
    """Rows and events that fit the arrays, or a counted problem."""
    for name in json_dialect.DIALECTS:
        json_dialect.check(data, name, retained=bool(len(data) % 2))


@cache
def zigbee() -> Dialect:
    """Make the dialect; it learns from what it hears."""
    return zigbee2mqtt.made(zigbee2mqtt.device({"topic": "z/a", "attributes": True}))


def zigbee_payload(data: bytes) -> None:
    """Likewise, by every topic of a device."""
    dialect = zigbee()
    for topic in zigbee2mqtt.TOPICS:
        into = Decoded()
        dialect.decode(topic, data, retained=bool(len(data) % 2), into=into)
        make_batch("b", 1, into.rows, events=into.events)


def mqtt_stream(data: bytes) -> None:
    """Packets or a reason why the stream is broken, in both versions; memory stays bounded."""
    for stream in (PacketStream(STREAM_LIMIT), PacketStream(STREAM_LIMIT, mqtt311.read)):
        for part in halves(data):
            stream.feed(part)
            assert len(stream._tail) <= STREAM_LIMIT + 65_546  # noqa: SLF001 - a topic at most beside the limit


def toml_text(data: bytes) -> None:
    """A document whose broken places lie inside it."""
    written, _ = text.decode(data)
    document = text.parse(written)
    assert all(place.line >= 1 for place in document.broken)


def csv_table(data: bytes) -> None:
    """Rows and findings."""
    for form in (GRID, CONTACTS):
        spreadsheet.read(data, file="people.csv", form=form)


def expression(data: bytes) -> None:
    """A condition or an ExpressionError."""
    with suppress(ExpressionError):
        parse(data.decode("utf-8", errors="replace"), SCOPE)


def sms_reply(data: bytes) -> None:
    """A meaning, perhaps none."""
    reply.parse(data.decode("utf-8", errors="replace"))


def journal_row(data: bytes) -> None:
    """Inputs as they were written, or StoreCorrupt."""
    with suppress(StoreCorrupt):
        journal.decode(data)
    with suppress(StoreCorrupt):
        journal.decode_readings(data)


def kept_configuration(data: bytes) -> None:
    """The station that was kept, or ConfigError."""
    with suppress(ConfigError):
        undump(data)


def ups_variables(data: bytes) -> None:
    """Figures of a UPS, or ProtocolViolation."""
    with suppress(ProtocolViolation):
        nut.figures(nut.variables(data.decode("utf-8", errors="replace").splitlines(), "ups"))


def certificate(data: bytes) -> None:
    """Two moments, or ValueError."""
    with suppress(ValueError):
        assert len(x509.validity(data)) == 2


def _tables() -> list[bytes]:
    """Return the tables of good files one by one: whole files are slow to read, and a table has all the grammar."""
    files = [path.read_bytes() for path in sorted((CASES / "config" / "good").glob("*.toml"))]
    return [table for file in files for table in re.split(rb"\n(?=\[)", file)]


def _certificates() -> list[bytes]:
    found = [path.read_text(encoding="ascii") for path in sorted((CASES / "certificates").glob("*.pem"))]
    return [ssl.PEM_cert_to_DER_cert(text_[text_.index("-----BEGIN") :]) for text_ in found]


def _journal_rows() -> list[bytes]:
    event = Event(3, "3/17", EventCode.FIRE, "火警", 5, b"raw")
    rows = [(number % 3, 0, float(number), 0) for number in range(60)]
    batch = make_batch("b", 9, rows, events=[event], heard=[1])
    epoch = Epoch(boot="b", mono_from=1, wall_offset=2, trusted=True)
    bodies = [journal.encode([(10, [batch, epoch])]), journal.encode([(11, [epoch])])]
    return [*bodies, journal.encode([(12, [make_batch("b", 9, [(1, 0, np.nan, 192)])])])]


def _mqtt_packets() -> list[bytes]:
    once = mqtt5.QoS.AT_LEAST_ONCE
    publish = mqtt5.PublishPacket("烟感/厨房", b"{}", qos=once, packet_id=7).write()
    return [publish, publish * 3, mqtt5.PingRespPacket().write(), mqtt5.PubAckPacket(7).write(), publish[:9]]


def _bytes(name: str, key: str) -> list[bytes]:
    return [case[key].encode() for case in cases(name) if case.get(key)]


DECODERS: dict[str, Decoder] = {
    "modbus reply": Decoder(
        modbus_reply,
        [bytes.fromhex(frame["reply"]) for frame in FRAMES if "reply" in frame],
        sealed=True,
        covers=["modbus", "modbus_line"],
    ),
    "modbus request": Decoder(modbus_request, [bytes.fromhex(frame["request"]) for frame in FRAMES], sealed=True),
    "sms pdu": Decoder(sms_pdu, PDUS, covers=["smspdu", "smsfields", "smsparts", "gsm7"]),
    "at talk": Decoder(
        at_talk,
        [
            b"\r\n+CSQ: 23,0\r\n\r\nOK\r\n",
            b'\r\n+CMTI: "SM",3\r\n> ',
            b"\r\n+CMGL: 1,1,,25\r\n0006D60B911326880736F4111011719551401110117195714000\r\n\r\nOK\r\n",
            b"\r\n+CMS ERROR: 322\r\n\r\nRDY\r\n+CREG: 1,5\r\n",
        ],
        covers=["at"],
    ),
    "json readers": Decoder(json_payload, json_dialect.payloads()),
    "zigbee2mqtt attributes": Decoder(zigbee_payload, zigbee2mqtt.payloads(), renew=zigbee.cache_clear),
    "mqtt stream": Decoder(mqtt_stream, _mqtt_packets(), covers=["mqtt311", "mqtt_stream"]),
    "toml": Decoder(toml_text, _tables(), cost=4),
    "csv": Decoder(
        csv_table, ["id,name,phone\nli,李伟,138 0013 8000\n".encode(), "网格;名称\na;一号楼\n".encode("gb18030")]
    ),
    "expression": Decoder(
        expression, [b"value > 10 and rate >= 0.5 %[LEL]/s", b'not (value == "open")', b"1 < value < 2"]
    ),
    "sms reply": Decoder(sms_reply, _bytes("replies/replies.toml", "text")),
    "journal row": Decoder(journal_row, _journal_rows()),
    "kept configuration": Decoder(
        kept_configuration,
        [dump(Station(id="s", name="站", store=StoreSpec(path="/tmp/s.db")))],  # noqa: S108 - a name
    ),
    "ups variables": Decoder(
        ups_variables,
        [b'BEGIN LIST VAR ups\nVAR ups ups.status "OL"\nVAR ups battery.charge "97"\nEND LIST VAR ups', b"ERR X"],
        covers=["nut"],
    ),
    "certificate": Decoder(certificate, _certificates(), covers=["x509"]),
    **streams.DECODERS,
    **talks.DECODERS,
    **payloads.DECODERS,
    **told.DECODERS,
}
