"""SMS messages in PDU mode: published messages read and written as their sources say, and nothing else gets through."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ProtocolViolation
from gateway.protocols import gsm7
from gateway.protocols.smsfields import Alphabet, Concatenation, UserData, alphabet_of, read_time
from gateway.protocols.smspdu import (
    RELATIVE,
    Deliver,
    Outcome,
    StatusReport,
    Submit,
    decode,
    encode,
    relative_validity,
    tpdu_length,
)

CASES = Path(__file__).parent.parent / "cases" / "smspdu"


def cases(name: str) -> list[dict[str, Any]]:
    """Golden cases of one kind of message."""
    found: list[dict[str, Any]] = tomllib.loads((CASES / f"{name}.toml").read_text(encoding="utf-8"))["case"]
    return found


def source(case: dict[str, Any]) -> str:
    """Name a case in the test report."""
    return str(case["source"])


ALL_PDUS = [bytes.fromhex(case["pdu"]) for name in ("submit", "deliver", "status_report") for case in cases(name)]


def same_user_data(user: UserData, case: dict[str, Any]) -> bool:
    concatenation = Concatenation(*case["concatenation"]) if "concatenation" in case else None
    return (user.text, user.alphabet.value, user.concatenation) == (case["text"], case["alphabet"], concatenation)


@pytest.mark.parametrize("case", cases("submit"), ids=source)
def test_published_submit_is_read_and_written_back(case: dict[str, Any]) -> None:
    pdu = bytes.fromhex(case["pdu"])
    message = decode(pdu)
    assert isinstance(message, Submit)
    assert same_user_data(message.user, case)
    for field in ("smsc", "number", "coding", "reference", "report", "number_type"):
        assert getattr(message, field) == case[field], field
    if "valid_until" in case:
        assert read_time(message.validity) == case["valid_until"]
    else:
        assert message.validity.hex().upper() == case.get("validity", "")
    assert tpdu_length(pdu) == case["tpdu_length"]
    assert encode(message) == pdu


@pytest.mark.parametrize("case", cases("deliver"), ids=source)
def test_published_deliver_is_read(case: dict[str, Any]) -> None:
    pdu = bytes.fromhex(case["pdu"])
    message = decode(pdu, case["tpdu_length"])
    assert isinstance(message, Deliver)
    assert same_user_data(message.user, case)
    for field in ("smsc", "number", "coding", "sent"):
        assert getattr(message, field) == case[field], field
    assert tpdu_length(pdu) == case["tpdu_length"]
    assert decode(encode(message)) == message


@pytest.mark.parametrize("case", cases("status_report"), ids=source)
def test_published_status_report_is_read(case: dict[str, Any]) -> None:
    pdu = bytes.fromhex(case["pdu"])
    message = decode(pdu, case["tpdu_length"])
    assert isinstance(message, StatusReport)
    for field in ("smsc", "number", "reference", "sent", "discharged", "status"):
        assert getattr(message, field) == case[field], field
    assert message.outcome is Outcome.DELIVERED
    if case["rewritten"]:
        assert encode(message) == pdu
    else:
        assert decode(encode(message)) == message


def test_a_length_that_no_message_can_have_is_not_believed() -> None:
    message = decode(bytes.fromhex("0041010C910661345542F60008A0050003000301306F3044"))
    assert isinstance(message, Submit)
    assert (message.number, message.user.text) == ("+60164355246", "はい")
    assert message.user.concatenation == Concatenation(0, 3, 1)


@pytest.mark.parametrize(
    ("cut", "status", "discharged"),
    [(-1, None, True), (-8, None, False), (-7, 0x00, False), (-15, None, False)],
    ids=["no status", "one time", "one time and status", "neither time nor status"],
)
def test_a_shortened_status_report_still_names_its_message(cut: int, status: int | None, *, discharged: bool) -> None:
    whole = bytes.fromhex("0006D60B911326880736F4111011719551401110117195714000")
    pdu = whole[:cut] if status is None else whole[: cut - 1] + whole[-1:]
    message = decode(pdu)
    assert isinstance(message, StatusReport)
    assert (message.reference, message.number, message.status) == (214, "+31628870634", status)
    assert (message.discharged is not None) == discharged


def test_a_status_report_with_more_fields_or_unreadable_times_is_read() -> None:
    message = decode(bytes.fromhex("0006D60B911326880736F4" + "FF" * 14 + "46" + "070004"))
    assert isinstance(message, StatusReport)
    assert (message.sent, message.discharged, message.status) == (None, None, 0x46)
    assert message.outcome is Outcome.FAILED


def test_the_announced_length_tells_a_pdu_without_service_centre_part() -> None:
    tpdu = bytes.fromhex("06D60B911326880736F4111011719551401110117195714000")
    message = decode(tpdu, len(tpdu))
    assert isinstance(message, StatusReport)
    assert message.number == "+31628870634"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0x00, Outcome.DELIVERED),
        (0x02, Outcome.DELIVERED),
        (0x20, Outcome.WAITING),
        (0x3F, Outcome.WAITING),
        (0x46, Outcome.FAILED),
        (0x60, Outcome.FAILED),
        (None, Outcome.WAITING),
    ],
)
def test_status_says_done_waiting_or_failed(status: int | None, outcome: Outcome) -> None:
    assert StatusReport(1, "138", status=status).outcome is outcome


def test_a_named_sender_is_text() -> None:
    pdu = "00040ED0" + gsm7.pack(gsm7.septets_of("ChinaMob") or b"").hex() + "0000" + "52117221436523" + "0131"
    message = decode(bytes.fromhex(pdu))
    assert isinstance(message, Deliver)
    assert (message.number, message.user.text) == ("ChinaMob", "1")
    assert message.sent == datetime(2025, 11, 27, 12, 34, 56, tzinfo=timezone(timedelta(hours=8)))
    assert decode(encode(message)) == message


def test_gsm_text_behind_a_sixteen_bit_reference_has_no_fill() -> None:
    # 7 octets of header are exactly 8 septets; E8329BFD06 is the published packing of "hello"
    message = decode(
        bytes.fromhex("0044" + "0B813124819396F3" + "0000" + "52117221436523" + "0D" + "060804012C0201" + "E8329BFD06")
    )
    assert isinstance(message, Deliver)
    assert (message.user.text, message.user.concatenation) == ("hello", Concatenation(300, 2, 1))
    assert decode(encode(message)) == message


def test_sixteen_bit_concatenation_and_foreign_elements_are_read() -> None:
    assert UserData(Alphabet.UCS2, b"", bytes.fromhex("0504158A0000" + "0804012C0302")).concatenation == Concatenation(
        300, 3, 2
    )
    assert UserData(Alphabet.UCS2, b"", bytes.fromhex("0003010203")).concatenation is None  # third of two
    assert UserData(Alphabet.UCS2, b"", bytes.fromhex("00FF0102")).concatenation is None  # element longer than header


@pytest.mark.parametrize(
    ("coding", "alphabet"),
    [
        (0x00, Alphabet.GSM7),
        (0x04, Alphabet.OCTETS),
        (0x08, Alphabet.UCS2),
        (0x10, Alphabet.GSM7),
        (0x18, Alphabet.UCS2),
        (0x28, Alphabet.OCTETS),
        (0x48, Alphabet.UCS2),
        (0x84, Alphabet.GSM7),
        (0xC0, Alphabet.GSM7),
        (0xE0, Alphabet.UCS2),
        (0xF0, Alphabet.GSM7),
        (0xF5, Alphabet.OCTETS),
    ],
)
def test_data_coding_names_the_alphabet(coding: int, alphabet: Alphabet) -> None:
    assert alphabet_of(coding) is alphabet


@pytest.mark.parametrize(
    ("seconds", "octet"),
    [
        (0, 0x00),
        (300, 0x00),
        (301, 0x01),
        (3_600, 0x0B),
        (7_200, 0x17),
        (43_200, 0x8F),
        (86_400, 0xA7),
        (4 * 86_400, 0xAA),
        (30 * 86_400, 0xC4),
        (52 * 604_800, 0xF4),
        (1e9, 0xFF),
    ],
)
def test_validity_is_never_shorter_than_asked(seconds: float, octet: int) -> None:
    assert relative_validity(seconds) == bytes((octet,))


@pytest.mark.parametrize(
    ("pdu", "reason"),
    [
        ("", "service centre length cut short"),
        ("0003", "message type 3"),
        ("0C91", "service centre of 12"),
        ("00040B91", "address cut short"),
        ("0004FF91", "address of 255 digits"),
        ("000401D0", "address cut short"),
        ("000400810000" + "00" * 7, "user data length cut short"),
        ("000400810000" + "00" * 7 + "0541", "user data cut short"),
        ("004400810008" + "00" * 7 + "020500", "header longer"),
        ("004400810000" + "00" * 7 + "0405000301", "header longer"),
        ("004400810008" + "00" * 7 + "00", "header longer"),
        ("000400810000" + "00" * 7 + "FF41", "user data cut short"),
    ],
)
def test_broken_messages_are_refused_with_the_reason(pdu: str, reason: str) -> None:
    with pytest.raises(ProtocolViolation, match=reason):
        decode(bytes.fromhex(pdu))


def read_or_refuse(pdu: bytes) -> None:
    try:
        message = decode(pdu)
    except ProtocolViolation:
        return
    if not isinstance(message, StatusReport):
        message.user.text.encode()


@given(st.binary(max_size=200))
def test_any_octets_are_a_message_or_a_violation(pdu: bytes) -> None:
    read_or_refuse(pdu)


@given(
    st.sampled_from(ALL_PDUS), st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4), st.integers(0)
)
def test_real_messages_with_wrong_octets_never_crash(pdu: bytes, changes: list[tuple[int, int]], cut: int) -> None:
    octets = bytearray(pdu)
    for place, value in changes:
        octets[place % len(octets)] = value
    read_or_refuse(bytes(octets[: cut % (len(octets) + 1)]))


GSM_TEXT = st.text(alphabet=[char for char in map(chr, range(1000)) if gsm7.septets_of(char)] + ["€"], max_size=80)


@given(GSM_TEXT, st.integers(0, 6))
def test_gsm_text_survives_packing_behind_any_fill(text: str, fill: int) -> None:
    septets = gsm7.septets_of(text)
    assert septets is not None
    assert gsm7.text_of(gsm7.unpack(gsm7.pack(septets, fill=fill), len(septets), fill=fill)) == text


def test_unknown_escapes_show_something() -> None:
    assert gsm7.text_of(bytes((0x1B, 0x41, 0x1B, 0x1B, 0x1B))) == "A  "
    assert gsm7.septets_of("火") is None


@given(
    user=st.one_of(
        GSM_TEXT.map(lambda text: UserData(Alphabet.GSM7, gsm7.septets_of(text[:70]) or b"")),
        st.binary(max_size=140).map(lambda data: UserData(Alphabet.OCTETS, data)),
        st.binary(max_size=130).map(lambda data: UserData(Alphabet.UCS2, data, b"\x00\x03\x07\x02\x01")),
    ),
    number=st.from_regex(r"\+?[0-9*#abc]{1,20}", fullmatch=True),
    report=st.booleans(),
    validity=st.integers(0, 255),
)
def test_every_submit_reads_back_equal(user: UserData, number: str, *, report: bool, validity: int) -> None:
    coding = {Alphabet.GSM7: 0, Alphabet.OCTETS: 4, Alphabet.UCS2: 8}[user.alphabet]
    number_type = 0x91 if number.startswith("+") else 0x81
    message = Submit(
        number,
        user,
        coding,
        number_type,
        "+8613800100500",
        7,
        report,
        validity_format=RELATIVE,
        validity=bytes((validity,)),
    )
    assert decode(encode(message)) == message


@given(st.datetimes(datetime(2000, 1, 1), datetime(2089, 12, 31)), st.integers(-48, 56))  # noqa: DTZ001 - zone added
def test_times_read_back_equal_in_every_zone(moment: datetime, quarters: int) -> None:
    zoned = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=15 * quarters)))
    message = Deliver("+8613800138000", UserData(Alphabet.GSM7, b"1"), 0, 0x91, sent=zoned)
    back = decode(encode(message))
    assert isinstance(back, Deliver)
    assert back.sent == zoned
    assert back.sent.utcoffset() == zoned.utcoffset()


def test_what_cannot_be_sent_is_said() -> None:
    user = UserData(Alphabet.UCS2, b"\x4e\x00")
    for number in ("", "+", "+8613800138000123456789", "12 34", "一二"):
        with pytest.raises(ValueError, match="cannot be dialled"):
            encode(Submit(number, user, 8))
    with pytest.raises(ValueError, match="does not fit"):
        encode(Submit("10086", UserData(Alphabet.UCS2, bytes(142)), 8))
    with pytest.raises(ValueError, match="cannot be a sender"):
        encode(Deliver("微型消防站", user, 8, 0xD0, sent=datetime(2026, 1, 1, tzinfo=UTC)))
