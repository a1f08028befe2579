"""`firegrid init`: what it writes passes `check` without a warning, whatever was answered; and nothing is left half."""

from __future__ import annotations

import io
import os
import pty
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.app import problems_of, read
from gateway.cli import init
from gateway.cli.first import FILES, Answers, ancestry, files
from gateway.cli.main import FAILED, GOOD, REFUSED, run
from tests.patience import PATIENCE

ANSWERS = "en\nBlock 3 station\njc/3\n/dev/null\nbroker.local:1884\n/dev/zero\nLi Wei\n138 0013 8000\n"


@pytest.fixture(autouse=True)
def no_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever hangs on this machine is none of the tests' business."""
    monkeypatch.setattr(init, "PORTS", ())


def _typed(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


@pytest.mark.parametrize("language", ["zh", "en"])
def test_defaults_make_a_station_that_passes_check(language: str, tmp_path: Path) -> None:
    assert run(["init", str(tmp_path / "new"), "--yes", "--language", language]) == GOOD
    loaded = read(tmp_path / "new" / "station.toml")
    assert loaded.station is not None
    assert loaded.station.language == language
    assert [problem for problem in problems_of(loaded) if problem.warning or not problem.note] == []


def test_every_answer_is_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _typed(ANSWERS, monkeypatch)
    assert run(["init", str(tmp_path)]) == GOOD
    loaded = read(tmp_path / "station.toml")
    station = loaded.station
    assert station is not None
    assert problems_of(loaded) == []  # a station with a modem has not even a note
    assert (station.name, station.id, station.language) == ("Block 3 station", "jc-3", "en")
    assert [(source.id, source.cell) for source in station.sources] == [("bus1", "jc/3"), ("broker", "jc/3")]
    assert station.sources[0].options["port"] == "/dev/null"
    assert (station.sources[1].options["host"], station.sources[1].options["port"]) == ("broker.local", 1884)
    assert [(cell.id, cell.parent) for cell in station.cells] == [("jc", ""), ("jc/3", "jc")]
    assert [(one.name, one.phone) for one in station.contacts] == [("Li Wei", "138 0013 8000")]
    assert {(channel.kind, channel.options.get("port")) for channel in station.channels} == {
        ("console", None),
        ("sms_modem", "/dev/zero"),
    }
    assert len(station.choices) == 6
    assert all((tmp_path / name).stat().st_mode & 0o007 == 0 for name in FILES)  # phone numbers are not for everybody


def test_an_input_that_ends_early_means_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _typed("zh\n江城站\n", monkeypatch)
    assert run(["init", str(tmp_path)]) == GOOD
    station = read(tmp_path / "station.toml").station
    assert station is not None
    assert (station.name, station.contacts[0].name) == ("江城站", "值班员")


@pytest.mark.parametrize(
    ("option", "answer", "said"),
    [
        ("--language", "fr", "zh or en"),
        ("--name", "x" * 41, "at most 40"),
        ("--cell", "jc//3", "between the levels"),
        ("--port", "/dev/no-such-port", "no such serial port"),
        ("--port", "/etc/hostname", "no such serial port"),
        ("--broker", "two words", "write a host"),
        ("--broker", "host:0", "write a host"),
        ("--broker", "host:0883", "write a host"),
        ("--broker", "-", "a serial port or a broker is needed"),
        ("--modem", "/dev/no-such-port", "no such serial port"),
        ("--phone", "13800138", "11 digits"),
        ("--phone", "1.38E+10", "rounded"),
    ],
)
def test_a_wrong_answer_is_refused_with_its_reason(
    option: str, answer: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    language = [] if option == "--language" else ["--language", "en"]
    assert run(["init", str(tmp_path), "--yes", *language, f"{option}={answer}"]) == REFUSED
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_modem_without_a_number_to_call_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", str(tmp_path), "--yes", "--language", "en", "--modem", "/dev/zero"]) == REFUSED
    assert "needs a phone number" in capsys.readouterr().err
    same = ["--port", "/dev/null", "--modem", "/dev/null", "--phone", "13800138000"]
    assert run(["init", str(tmp_path), "--yes", "--language", "en", *same]) == REFUSED
    assert "the sensors have this port" in capsys.readouterr().err


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_overwritten(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / name).write_text("mine", encoding="utf-8")
    assert run(["init", str(tmp_path), "--yes"]) == REFUSED
    assert name in capsys.readouterr().err
    assert [(path.name, path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()] == [(name, "mine")]


def test_a_file_that_comes_up_meanwhile_is_left_and_the_others_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def contested(source: Path, target: Path) -> None:
        if target.name == "station.toml":
            target.write_text("mine", encoding="utf-8")
        link(source, target)

    monkeypatch.setattr(os, "link", contested)
    assert run(["init", str(tmp_path), "--yes"]) == REFUSED
    assert [(path.name, path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()] == [("station.toml", "mine")]


def test_an_interrupt_while_writing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def interrupted(source: Path, target: Path) -> None:
        if target.name == "station.toml":
            raise KeyboardInterrupt
        link(source, target)

    monkeypatch.setattr(os, "link", interrupted)
    assert run(["init", str(tmp_path), "--yes"]) == FAILED
    assert list(tmp_path.iterdir()) == []


def _until(terminal: int, wanted: str) -> str:
    said = b""
    while wanted.encode() not in said:
        said += os.read(terminal, 1)  # no more than is waited for: the rest is the next one's
    return said.decode(errors="replace")


def test_at_a_terminal_it_asks_again_and_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    terminal, far = pty.openpty()
    command = [sys.executable, "-m", "gateway", "init", str(tmp_path / "new"), "--language", "en"]
    asked = subprocess.Popen(command, stdin=far, stdout=far, stderr=far, start_new_session=True)
    os.close(far)
    try:
        _until(terminal, "name of the station [Micro fire station]: ")
        os.write(terminal, b"x" * 41 + b"\n")
        _until(terminal, "at most 40 characters")
        _until(terminal, "name of the station")
        asked.send_signal(signal.SIGINT)
        assert asked.wait(PATIENCE) == FAILED
    finally:
        asked.kill()
        asked.wait()
        os.close(terminal)
    assert not (tmp_path / "new").exists()


@settings(deadline=None, max_examples=60)
@given(
    name=st.text(min_size=1, max_size=40).filter(
        lambda text: text.strip() and init.good_name(text.strip()) == ("", "")
    ),
    contact=st.text(min_size=1, max_size=40).filter(
        lambda text: text.strip() and init.good_name(text.strip()) == ("", "")
    ),
    cell=st.from_regex(r"[\w-]{1,9}(/[\w-]{1,9}){0,3}", fullmatch=True).filter(lambda c: init.good_cell(c) == ("", "")),
    broker=st.from_regex(r"[a-z0-9.-]{1,20}(:[0-9]{1,5})?", fullmatch=True).filter(
        lambda host: init.good_broker(host, needed=True) == ("", "")
    ),
    language=st.sampled_from(["zh", "en"]),
)
def test_whatever_passes_the_questions_passes_check(
    name: str, contact: str, cell: str, broker: str, language: str
) -> None:
    answers = Answers(
        language, name.strip(), cell, "/dev/null", broker, "/dev/zero", contact.strip(), "13800138000", "s.db"
    )
    with tempfile.TemporaryDirectory() as folder:
        for file, text in files(answers).items():
            (Path(folder) / file).write_text(text, encoding="utf-8")
        loaded = read(Path(folder) / "station.toml")
        assert problems_of(loaded) == []
        station = loaded.station
        assert station is not None
        assert (station.name, station.contacts[0].name) == (answers.name, answers.contact)
        assert [(one.id, one.parent) for one in station.cells] == ancestry(cell)
