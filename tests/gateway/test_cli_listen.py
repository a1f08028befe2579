"""`firegrid listen`: serial lines, TCP, UDP and brokers, with meaning; recordings; ports that others hold."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers._decode import protocols
from drivers._decode_live import Ears
from gateway.cli.main import BAD_CONFIGURATION, FAILED, GOOD, run
from gateway.transport.serial import SerialPort, open_pty
from tests.patience import PATIENCE
from tests.ports import free_port

REQUEST, REPLY = bytes.fromhex("01 04 00 01 00 02 20 0B"), bytes.fromhex("01 04 04 01 31 02 22 2A CE")
CASES = Path(__file__).parents[1] / "cases"
FIRE = bytes.fromhex(
    tomllib.loads((CASES / "gb26875" / "frames.toml").read_text(encoding="utf-8"))["frame"][0]["bytes"]
)


@contextmanager
def speaking(say: Callable[[], object], record: Path, lines: int) -> Iterator[None]:
    """Speak again and again until so much was recorded, then press Ctrl-C."""
    over = threading.Event()

    def work() -> None:
        for _ in range(round(PATIENCE / 0.02)):
            if over.wait(0.02):
                return
            if record.exists() and len(record.read_bytes().splitlines()) > lines:
                break
            say()
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_bus_is_heard_with_its_requests_and_its_replies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pair, record = open_pty(), tmp_path / "bus.jsonl"
    try:
        near = os.open(pair.path, os.O_RDWR | os.O_NOCTTY)  # keeps the line up while nobody listens
        far = pair.port._descriptor  # noqa: SLF001 - written to from a thread without a loop
        with speaking(lambda: os.write(far, REQUEST + REPLY), record, 4):
            code = run(["listen", str(pair.path), "--profile", "xy-md02", "--record", str(record), "--json"])
        os.close(near)
    finally:
        pair.close()
    said = objects(capsys.readouterr().out)
    assert code == GOOD
    assert next(line["hex"] for line in said if line["kind"] == "bytes")
    assert {(line["point"], line["value"]) for line in said if line["kind"] == "reading"} == {
        ("temperature", 30.5),
        ("humidity", 54.6),
    }
    assert any(line.get("what") == "request" and line["start"] == 1 for line in said)
    assert said[-1]["what"] == "counters"
    assert said[-1]["reading"] >= 2
    assert run(["listen", "--replay", str(record), "--json"]) == GOOD
    again = objects(capsys.readouterr().out)
    assert [line for line in again if line["kind"] == "reading"] == [line for line in said if line["kind"] == "reading"]


def test_a_caller_on_tcp_is_heard_and_is_answered_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port, record = free_port(), tmp_path / "tcp.jsonl"
    heard: list[bytes] = []

    def call() -> None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as caller:
                caller.sendall(FIRE)
                caller.settimeout(0.1)
                heard.append(caller.recv(100))
        except OSError:
            pass

    with speaking(call, record, 1):
        code = run(
            ["listen", f"tcp:{port}", "--as", "gb26875-transmitter", "--record", str(record), "--language", "en"]
        )
    printed = capsys.readouterr().out
    assert code == GOOD
    assert "40 40 01 00 01 01" in printed
    assert "    gb26875-transmitter fire 1/1/2/10" in printed
    assert "counted: " in printed
    assert not any(heard)


def test_a_datagram_is_heard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port, record = free_port(socket.SOCK_DGRAM), tmp_path / "udp.jsonl"
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        speaking(lambda: sender.sendto(FIRE, ("127.0.0.1", port)), record, 1),
    ):
        code = run(["listen", f"udp:127.0.0.1:{port}", "--record", str(record), "--language", "zh"])
    printed = capsys.readouterr().out
    assert code == GOOD
    assert "可能是 gb26875 (" in printed  # nobody said what it is: bytes as they are, and what they could be


def test_a_port_that_somebody_holds_is_told_as_that(capsys: pytest.CaptureFixture[str]) -> None:
    pair = open_pty()
    try:
        holder = SerialPort.open(pair.path)
        assert run(["listen", str(pair.path), "--for", "5s", "--language", "en"]) == FAILED
        assert "stop" in capsys.readouterr().err
        holder.close()
    finally:
        pair.close()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert run(["listen", f"tcp:{taken.getsockname()[1]}", "--for", "5s", "--language", "en"]) == FAILED
        assert "is taken, see by whom: sudo ss -lnpt" in capsys.readouterr().err


HOLD = """
import socket, sys
held = socket.socket(socket.AF_INET, int(sys.argv[1]))
held.bind(("127.0.0.1", 0))
if int(sys.argv[1]) == socket.SOCK_STREAM:
    held.listen()
print(held.getsockname()[1], flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(("wire", "kind"), [("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)])
def test_who_has_a_port_that_devices_call_is_told(
    wire: str, kind: socket.SocketKind, capsys: pytest.CaptureFixture[str]
) -> None:
    with subprocess.Popen(
        [sys.executable, "-S", "-c", HOLD, str(int(kind))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        where = f"{wire}:127.0.0.1:{int(holder.stdout.readline())}"
        for command in ("listen", "discover"):
            assert run([command, where, "--for", "5s", "--language", "en"]) == FAILED
            told = capsys.readouterr().err
            assert f"{where} is held by " in told
            assert f"({holder.pid}): stop that first" in told
        holder.stdin.close()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "what is to be heard?"),
        (["tcp:99999"], "port"),
        (["tcp:7000", "--as", "hj2112"], "unknown protocol"),
        (["tcp:7000", "--as", "panel_serial"], "--profile"),
        (["tcp:7000", "--as", "sl651", "--profile", "xy-md02"], "speaks modbus_rtu"),
        (["tcp:7000", "--for", "soon"], "soon"),
        (["--replay", "/nowhere"], "/nowhere"),
        (["/dev/ttyUSB0", "--parity", "N", "--baudrate", "5"], "baudrate"),
    ],
)
def test_what_cannot_be_done_is_a_problem_of_configuration(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["listen", *arguments]) == BAD_CONFIGURATION
    assert reason in capsys.readouterr().err


def test_a_recording_is_never_written_over_and_a_broken_one_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text('{"recording": 1}\n{"time": "x", "hex": "4"}\n', encoding="utf-8")
    assert run(["listen", "tcp:7000", "--record", str(path)]) == BAD_CONFIGURATION
    assert "name a new file" in capsys.readouterr().err
    assert run(["listen", "--replay", str(path)]) == BAD_CONFIGURATION
    assert f"{path}:2: hex" in capsys.readouterr().err
    path.write_text('{"a": 1}\n', encoding="utf-8")
    assert run(["listen", "--replay", str(path)]) == BAD_CONFIGURATION
    assert "no recording" in capsys.readouterr().err


def test_a_recording_that_a_power_cut_ended_is_played_as_far_as_it_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.jsonl"
    whole = '{"recording": 1, "as": "winsen"}\n{"time": "2026-11-22T00:00:00+00:00", "from": "a", "hex": "ff0403"}\n'
    path.write_text(whole + '{"time": "2026-', encoding="utf-8")
    assert run(["listen", "--replay", str(path), "--language", "en"]) == GOOD
    printed = capsys.readouterr().out
    assert "FF 04 03" in printed
    assert "    ! garbage" in printed  # half a frame, given up at the end


UNMAPPED = tomllib.loads((CASES / "sl651" / "frames.toml").read_text(encoding="utf-8"))["frame"]


def recorded(path: Path, pieces: list[dict[str, str]], **head: object) -> Path:
    lines = [{"recording": 1, **head}, *({"time": "2026-11-22T00:00:00+00:00", **piece} for piece in pieces)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_a_word_that_cannot_be_read_is_told_with_whose_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such lines have an address and no device: an element that the profile does not map, JSON cut off."""
    river = next(case["hex"] for case in UNMAPPED if case["name"].startswith("32 ") and "0025020003" in case["hex"])
    path = recorded(tmp_path / "river.jsonl", [{"from": "a", "hex": river}], datagrams=True)
    assert run(["listen", "--replay", str(path), "--as", "sl651-river", "--language", "en"]) == GOOD
    printed = capsys.readouterr().out
    assert "    ! [0012345678] unmapped_element" in printed
    assert "counted: " in printed
    good = b'{"gas":true,"gas_value":12,"linkquality":80}'
    messages = [{"topic": "zigbee2mqtt/kitchen", "hex": said.hex()} for said in (good, b"junk{", good)]
    path = recorded(tmp_path / "kitchen.jsonl", messages)
    assert run(["listen", "--replay", str(path), "--language", "en"]) == GOOD
    printed = capsys.readouterr().out
    assert "    ! [kitchen] not_json" in printed
    assert printed.count("zigbee2mqtt-gas[kitchen].ch4 = 12") == 2


@given(
    pieces=st.lists(
        st.tuples(st.sampled_from("ab"), st.binary(max_size=40) | st.sampled_from([REQUEST, REPLY, FIRE])), max_size=6
    ),
    protocol=st.sampled_from(["", *(name for name in protocols() if name not in ("panel_serial", "uart"))]),
    datagrams=st.booleans(),
)
def test_whatever_comes_is_told_and_counted(pieces: list[tuple[str, bytes]], protocol: str, datagrams: bool) -> None:  # noqa: FBT001 - drawn
    ears = Ears(protocol, datagrams=datagrams)
    said = [line for peer, data in pieces for line in ears.hear(peer, data)] if ears.streams else []
    said += [line for peer, data in pieces for line in ears.message(f"t/{peer}", data, retained=datagrams)]
    said += [line for peer in "ab" for line in ears.quiet(peer)]
    json.dumps([said, ears.could_be()], allow_nan=False)
