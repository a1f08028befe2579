"""`firegrid decode`: arguments, standard input, exit codes. What the bytes mean is tested with `drivers._decode`."""

from __future__ import annotations

import io
import json
import tomllib
from pathlib import Path
from typing import Any, Protocol

import pytest

from gateway.cli.main import run

Said = tuple[int, list[dict[str, Any]]]
CASES = Path(__file__).parents[1] / "cases"
REPLY = "01 04 04 01 31 02 22 2A CE"
TEMPERATURE = {
    "kind": "reading",
    "device": "xy-md02",
    "point": "temperature",
    "value": 30.5,
    "unit": "Cel",
    "quality": "GOOD",
    "time": None,
}


class Decode(Protocol):
    """Runs the command; returns exit code and JSON lines."""

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Said:
        """Run `firegrid decode` with these arguments and this input."""


@pytest.fixture
def decode(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Decode:
    def call(*arguments: str, stdin: bytes = b"") -> Said:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = run(["decode", *arguments])
        return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return call


def test_a_frame_as_one_or_several_arguments(decode: Decode) -> None:
    assert decode("--profile", "xy-md02", REPLY) == decode("--profile", "xy-md02", *REPLY.split())
    code, said = decode("--profile", "xy-md02", REPLY)
    assert code == 0
    assert said[0] == TEMPERATURE


def test_lines_of_standard_input(decode: Decode) -> None:
    two = f"{REPLY}\n\n{REPLY}\n".encode()
    code, said = decode("--profile", "xy-md02", "-", stdin=two)
    assert code == 0
    assert said[0::2] == [TEMPERATURE, TEMPERATURE]
    assert decode("--profile", "xy-md02", stdin=two) == (code, said)


def test_one_document_over_several_lines_and_bytes_that_are_no_text(decode: Decode) -> None:
    document = b'{\n "gas": true,\n "linkquality": 80\n}\n'
    code, said = decode("--as", "zigbee2mqtt", "--topic", "zigbee2mqtt/kitchen", stdin=document)
    assert (code, said[0]["point"], said[0]["value"]) == (0, "gas", 1.0)
    code, said = decode("--profile", "xy-md02", stdin=bytes.fromhex("01 04 04 01 31 02 F2 2B 52"))
    assert code == 0, said


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["hello"], "no protocol fits"),
        (["--as", "hj2112", "xx"], "unknown protocol"),
        (["--as", "modbus_rtu", "01 04 04 01 31 02 22 2A CF"], "CRC"),
        (["--as", "at-pdu", "07 91"], ""),
        ([], "no protocol fits"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(decode: Decode, arguments: list[str], reason: str) -> None:
    code, said = decode(*arguments)
    assert code == 3
    assert said[-1]["kind"] == "error"
    assert reason in said[-1]["reason"]


def test_one_bad_line_does_not_hide_the_good_ones(decode: Decode) -> None:
    code, said = decode("--profile", "xy-md02", stdin=f"hello\n{REPLY}\n".encode())
    assert code == 3
    assert [line["kind"] for line in said] == ["error", "reading", "reading"]


def test_a_good_frame_with_an_element_that_no_point_takes_is_read(decode: Decode) -> None:
    frames = tomllib.loads((CASES / "sl651" / "frames.toml").read_text(encoding="utf-8"))["frame"]
    river = next(one["hex"] for one in frames if "0025020003" in one["hex"])
    code, said = decode("--as", "sl651-river", river)
    assert [line["kind"] for line in said] == ["reading", "reading", "event", "error"]
    assert (code, said[-1]["reason"]) == (0, "unmapped_element:EJ")


def test_three_bytes_that_have_no_check_are_told_as_that(decode: Decode) -> None:
    code, said = decode("01 03 02")
    assert (code, said[0]["protocol"], said[-1]["protocol"]) == (0, "ld128e", "ld128e")
    assert "no check in it" in said[0]["why"]


def test_a_profile_of_ones_own_is_named_by_its_file(decode: Decode, tmp_path: Path) -> None:
    own = tmp_path / "mine.toml"
    own.write_text(
        'title = "mine"\ndriver = "modbus_rtu"\nsource = "me"\n[[point]]\nname = "level"\nunit = "m"\n'
        "decode = { fc = 4, address = 1, scale = 0.01 }\n",
        encoding="utf-8",
    )
    code, said = decode("--profile", str(own), f"01 04 00 01 00 02 20 0B {REPLY}")
    assert (code, said[0]["device"]) == (0, "mine")
    assert said[0]["value"] == pytest.approx(3.05)


def test_an_unknown_profile_is_a_problem_of_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["decode", "--profile", "renke-smok", "00"]) == 2
    assert 'did you mean "renke-smoke"' in capsys.readouterr().err
