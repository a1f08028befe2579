"""AT talk: whatever order and pieces the modem's bytes come in, answers and unsolicited results are told apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.at import (
    CME_ERRORS,
    CMS_ERRORS,
    LINE_LIMIT,
    Final,
    Line,
    Parser,
    Prompt,
    Token,
    Unsolicited,
    fields,
)

REPORT = "0006D60B911326880736F4111011719551401110117195714000"  # 25 octets
REPLY = "07912143658709F1040B918100551512F20000111010214365000AE8329BFD4697D9EC37"  # 28 octets
OK = Final("OK")


def talk(command: str, answer: str, *, prompt: bool = False) -> list[Token]:
    """What the parser makes of an answer to a command."""
    parser = Parser()
    if command:
        parser.sent(command, prompt=prompt)
    return parser.feed(answer.encode("latin-1"))


@pytest.mark.parametrize(
    ("command", "answer", "tokens"),
    [
        ("AT", "\r\nOK\r\n", [OK]),
        ("ATE0", "ATE0\r\r\nOK\r\n", [OK]),
        ("AT+CSQ", "AT+CSQ\r\r\n+CSQ: 23,0\r\n\r\nOK\r\n", [Line("+CSQ: 23,0"), OK]),
        ("AT+CGMI", "\r\nQuectel\r\n\r\nOK\r\n", [Line("Quectel"), OK]),
        ("AT+CGMI", "\r\nQuectel\r\nRING\r\n\r\nOK\r\n", [Line("Quectel"), Unsolicited("RING"), OK]),
        (
            "AT+CREG?",
            "\r\n+CREG: 2\r\n+CREG: 1,5\r\n\r\nOK\r\n",
            [Unsolicited("+CREG: 2"), Line("+CREG: 1,5"), OK],
        ),
        ("AT+CSQ", '\r\n+CMTI: "SM",3\r\n+CSQ: 9,99\r\n', [Unsolicited('+CMTI: "SM",3'), Line("+CSQ: 9,99")]),
        ("", '\r\n+CMTI: "SM",3\r\n', [Unsolicited('+CMTI: "SM",3')]),
        ("", "\r\nNO CARRIER\r\n", [Unsolicited("NO CARRIER")]),
        ("AT+CSQ", "\r\nNO CARRIER\r\nOK\r\n", [Unsolicited("NO CARRIER"), OK]),
        ("ATD10086;", "\r\nNO CARRIER\r\n", [Final("NO CARRIER")]),
        ("", f"\r\n+CDS: 25\r\n{REPORT}\r\n", [Unsolicited("+CDS: 25", REPORT)]),
        ("", f"\r\n+CMT: ,28\r\n{REPLY}\r\n", [Unsolicited("+CMT: ,28", REPLY)]),
        (
            "AT+CMGR=3",
            f"\r\n+CMGR: 0,,28\r\n\r\n+CDS: 25\r\n{REPORT}\r\n{REPLY}\r\n\r\nOK\r\n",
            [Unsolicited("+CDS: 25", REPORT), Line("+CMGR: 0,,28", REPLY), OK],
        ),
        (
            "AT+CMGR=3",
            f"\r\n+CMGR: 0,,28\r\n+CDS: 25\r\n{REPLY}\r\n{REPORT}\r\n\r\nOK\r\n",
            [Line("+CMGR: 0,,28", REPLY), Unsolicited("+CDS: 25", REPORT), OK],
        ),
        (
            "AT+CMGL=4",
            f"\r\n+CMGL: 1,1,,28\r\n{REPLY}\r\n+CMGL: 2,1,,28\r\n{REPLY}\r\n\r\nOK\r\n",
            [Line("+CMGL: 1,1,,28", REPLY), Line("+CMGL: 2,1,,28", REPLY), OK],
        ),
        ("AT+CMGR=3", "\r\n+CMGR: 0,,0\r\n\r\nOK\r\n", [Line("+CMGR: 0,,0"), OK]),
        ("AT+CPIN?", "\r\n+CME ERROR: 10\r\n", [Final("+CME ERROR: 10", "CME", 10)]),
        ("AT+CPIN?", "\r\n+CME ERROR: SIM busy\r\n", [Final("+CME ERROR: SIM busy", "CME", None)]),
        ("AT", "\x00\xfe\xffOK\r\n", [OK]),
    ],
    ids=lambda value: ascii(value)[:24],
)
def test_what_the_modem_says_is_cut_into_tokens(command: str, answer: str, tokens: list[Token]) -> None:
    assert talk(command, answer) == tokens


def test_the_prompt_needs_no_line_end_and_the_echo_of_command_and_pdu_is_dropped() -> None:
    parser = Parser()
    parser.sent("AT+CMGS=25", prompt=True)
    assert parser.feed(b"AT+CMGS=25\r\r\n+CREG: 1\r\n\r\n>") == [Unsolicited("+CREG: 1"), Prompt()]
    parser.sent(REPORT)
    answer = f" {REPORT}\x1a\r\n+CMGS: 17\r\n\r\nOK\r\n"
    assert parser.feed(answer.encode()) == [Line("+CMGS: 17"), OK]


def test_a_greater_sign_is_a_prompt_only_when_one_is_due() -> None:
    assert talk("AT+CGMI", "> odd\r\nOK\r\n") == [Line("> odd"), OK]
    assert talk("AT+CMGS=25", "\r\n+CMS ERROR: 330\r\n", prompt=True) == [Final("+CMS ERROR: 330", "CMS", 330)]


def test_a_late_answer_after_the_end_is_unsolicited() -> None:
    parser = Parser()
    parser.sent("AT+CSQ")
    parser.done()
    assert parser.feed(b"+CSQ: 9,99\r\n") == [Unsolicited("+CSQ: 9,99")]


@given(st.lists(st.integers(1, 9), max_size=60))
def test_pieces_do_not_matter(cuts: list[int]) -> None:
    answer = (
        f'AT+CMGR=3\r\r\n+CMGR: 0,,28\r\n+CMTI: "SM",4\r\n{REPLY}\r\n\r\nOK\r\n\r\n+CDS: 25\r\n{REPORT}\r\n'.encode()
    )
    parser = Parser()
    parser.sent("AT+CMGR=3")
    tokens: list[Token] = []
    at = 0
    for cut in [*cuts, len(answer)]:
        tokens += parser.feed(answer[at : at + cut])
        at += cut
    whole = Parser()
    whole.sent("AT+CMGR=3")
    assert tokens == whole.feed(answer)
    assert len(tokens) == 4


@given(pieces=st.lists(st.binary(max_size=300), max_size=20), prompt=st.booleans())
def test_garbage_never_crashes_and_the_next_result_is_heard(pieces: list[bytes], *, prompt: bool) -> None:
    parser = Parser()
    parser.sent("AT+CSQ", prompt=prompt)
    for piece in pieces:
        parser.feed(piece)
    assert parser.feed(b"\r\n+CSQ: 9,99\r\n\r\nOK\r\n")[-1] == OK


def test_a_line_without_end_is_bounded_and_counted() -> None:
    parser = Parser()
    parser.sent("AT")
    for _ in range(100):
        assert parser.feed(b"x" * 1000) == []
    assert parser.feed(b"\r\nOK\r\n") == [OK]
    assert parser.dropped >= 100_000 // (LINE_LIMIT + 1000)
    for _ in range(100):
        parser.feed(b"+CMT: ,28\r\n")
    assert len(parser.feed(f"{REPLY}\r\n".encode())) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('+CMTI: "SM",3', ["SM", "3"]),
        ("+CMGR: 0,,28", ["0", "", "28"]),
        ('+COPS: 0,0,"CHINA, MOBILE",7', ["0", "0", "CHINA, MOBILE", "7"]),
        ("+CREG:1", ["1"]),
        ("+CUSD: 2,", ["2", ""]),
        ("OK", []),
    ],
)
def test_fields_of_a_line(text: str, expected: list[str]) -> None:
    assert fields(text) == expected


def test_errors_say_their_reason_and_whether_another_try_helps() -> None:
    retryable = {("CMS", n) for n in (38, 41, 42, 47, 331, 332, 500)} | {("CME", n) for n in (14, 30, 31)}
    every = {("CMS", n) for n in CMS_ERRORS} | {("CME", n) for n in CME_ERRORS}
    assert {(kind, n) for kind, n in every if Final("", kind, n).retryable} == retryable
    (final,) = talk("AT+CMGS=1", "+CMS ERROR: 330\r\n")
    assert isinstance(final, Final)
    assert (final.reason, final.retryable, final.ok) == ("+CMS 330: no service centre number", False, False)
    assert Final("ERROR").reason == "ERROR"
    assert Final("", "CMS", 613).reason == "+CMS 613: vendor error"
    assert not Final("ERROR").retryable
