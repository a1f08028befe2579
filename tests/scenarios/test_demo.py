"""`firegrid demo` and `simulate` as a person starts them: the whole story, keyboard, Ctrl-C, nothing left behind."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.cli import demo_station
from gateway.cli.demo_screen import KINDS, STATES, WORDS
from gateway.cli.main import run
from tests.daemon import ROOT, Daemon
from tests.patience import PATIENCE, limit, some_round, wait
from tests.ports import free_port

BUSY = limit(4.0)  # s that a machine with other work may take longer to start and end processes


class Shown:
    """A command with its output, read as it comes; on a terminal of its own or not."""

    def __init__(self, folder: Path, *arguments: str, terminal: bool = False) -> None:
        self.text = ""
        self._ours, theirs = pty.openpty() if terminal else os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gateway", *arguments],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(folder)},
            stdin=theirs if terminal else subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def until(self, pattern: str) -> None:
        """Read on until the pattern was seen."""
        end = time.monotonic() + PATIENCE
        while not re.search(pattern, self.text):
            assert time.monotonic() < end, f"{pattern!r} never came:\n{self.text}"
            assert self._read(), f"ended without {pattern!r}:\n{self.text}"

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self._ours, keys)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the command alone."""
        self._process.send_signal(number)

    def end(self) -> int:
        """Read to the end; return the exit code."""
        while self._read():
            pass
        return self._process.wait(PATIENCE)

    def close(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait(PATIENCE)
        os.close(self._ours)

    def _read(self) -> bool:
        if not select.select([self._ours], [], [], PATIENCE)[0]:
            return False
        try:
            data = os.read(self._ours, 1 << 16)
        except OSError:  # a terminal whose last user has gone
            return False
        self.text += data.decode("utf-8", errors="replace")
        return bool(data)


@contextmanager
def shown(folder: Path, *arguments: str, terminal: bool = False) -> Iterator[Shown]:
    """Run a command; afterwards nothing of it may be left: no file, no process."""
    command = Shown(folder, *arguments, terminal=terminal)
    try:
        yield command
    finally:
        command.close()
    assert list(folder.glob("firegrid-demo-*")) == []
    assert _processes(str(folder)) == []


def _processes(word: str) -> list[str]:
    """Return the command lines of living processes that name a word."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode("utf-8", errors="replace")
        except OSError:  # it has just ended
            continue
        if word in line:
            found.append(line)
    return found


@pytest.fixture(scope="module", autouse=True)
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Future[tuple[int, str, float]]]:
    """Tell the whole story beside the other tests of this file: exit code, what was shown, seconds."""
    with ThreadPoolExecutor(1) as beside:
        yield beside.submit(tell, tmp_path_factory.mktemp("story"))


def tell(folder: Path) -> tuple[int, str, float]:
    """Tell the whole story."""
    begun = time.monotonic()
    with shown(folder, "demo", "--for", "16s", "--language", "en") as demo:
        return demo.end(), demo.text, time.monotonic() - begun


def test_acknowledged_from_the_keyboard(tmp_path: Path) -> None:
    some_round(acknowledged_from_the_keyboard, tmp_path)


def acknowledged_from_the_keyboard(tmp_path: Path) -> None:
    with shown(tmp_path, "demo", "--for", "16s", "--language", "zh", terminal=True) as demo:
        demo.until("按 a 或回车确认报警")
        demo.press(b"a")
        demo.until("没有待确认的报警")
        demo.until("等待您确认")
        demo.press(b"\n")
        demo.until("报警未确认 → 报警已确认（李伟）")
        demo.until("王芳.*李伟 已接管|短信 → 李伟")
        demo.press(b"q")
        assert demo.end() == 0, demo.text
        assert "Traceback" not in demo.text


def test_nobody_is_asked_for_what_is_acknowledged_and_a_captain_steps_in_at_the_time_said(tmp_path: Path) -> None:
    some_round(a_captain_steps_in, tmp_path)


def a_captain_steps_in(tmp_path: Path) -> None:
    with shown(tmp_path, "demo", "--for", "16s", "--language", "en", terminal=True) as demo:
        demo.until(r"smoke alarm: normal -> ALARM")
        demo.press(b"a")
        demo.until(r"SMS to Li Wei .*Reply 10 to acknowledge")
        demo.until(r"waiting for you: .*\(in (\d) s Wang Fang")
        demo.until(r"SMS from Wang Fang \| 11")
        assert "SMS from Wang Fang | 10" not in demo.text
        asked, answered = (
            float(re.findall(rf"(\d+\.\d)s[^\n]*{text}", demo.text)[0]) for text in ("waiting for you", "SMS from Wang")
        )
        assert answered - asked < 18.0 * 16 / 60 + BUSY
        demo.press(b"q")
        assert demo.end() == 0, demo.text
        assert demo.text.count("waiting for you") == 1
        assert "End: 2 alarms" in demo.text


def test_what_it_started_ends_with_it_also_when_it_is_killed(tmp_path: Path) -> None:
    with contextlib.suppress(AssertionError), shown(tmp_path, "demo", "--language", "en") as demo:
        demo.until("is armed")
        assert len(_processes(str(tmp_path))) >= 1  # the broker and the daemon name the demo's folder
        demo.signal(signal.SIGKILL)
        demo.end()
    wait(lambda: not _processes(str(tmp_path)), what=lambda: _processes(str(tmp_path)), every=0.05)


def test_it_ends_cleanly_when_told(tmp_path: Path) -> None:
    with shown(tmp_path, "demo", "--for", "60s", "--language", "en") as demo:
        demo.until("is armed")
        demo.signal(signal.SIGINT)
        assert demo.end() == 0, demo.text
        assert "Traceback" not in demo.text


def test_a_time_too_short_for_the_story_is_refused() -> None:
    for text in ("2s", "soon"):
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            assert run(["demo", "--for", text]) == 2
        assert "--for" in said.getvalue()


def test_a_configured_station_is_played_where_it_says(tmp_path: Path) -> None:
    config = demo_station.write(tmp_path, port=free_port(), page=free_port(), language="zh", escalate=5.0)
    arguments = ("simulate", "station", "-c", str(config), "--fire", "1s", "--answer", "50ms")
    with shown(tmp_path, *arguments) as field:
        field.until("playing fire")
        daemon = Daemon(config)
        try:
            daemon.wait_armed()
            field.until(r"sms → 13800138000: 【火警】码10 .*回复10确认")
            field.until(r"13800138000 → 10\n")
            field.until(r"sms → 13800138000: 【火警】码10 .*已确认，由您接管")
        finally:
            assert daemon.stop() == 0
        field.signal(signal.SIGTERM)
        assert field.end() == 0, field.text


def test_nothing_real_is_played_over(tmp_path: Path) -> None:
    config = demo_station.write(tmp_path, port=free_port(), page=free_port(), language="en", escalate=5.0)
    (tmp_path / "modem").write_text("a real one", encoding="utf-8")
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        assert run(["simulate", "modem", "-c", str(config)]) == 2
    assert "exists and is no simulated port" in said.getvalue()
    assert (tmp_path / "modem").read_text(encoding="utf-8") == "a real one"


def test_both_languages_say_the_same_things() -> None:
    chinese, english = WORDS["zh"], WORDS["en"]
    assert chinese.keys() == english.keys()
    for word in chinese:
        assert set(re.findall(r"{(\w+)", chinese[word])) == set(re.findall(r"{(\w+)", english[word])), word
    assert len(chinese["kinds"].split()) == len(english["kinds"].split()) == len(KINDS)
    assert STATES["zh"].keys() == STATES["en"].keys()


def test_the_whole_story_without_a_terminal(told: Future[tuple[int, str, float]], tmp_path: Path) -> None:
    first = [told.result(16.0 + 2 * PATIENCE)]
    some_round(lambda place: is_whole(*(first.pop() if first else tell(place))), tmp_path)


def is_whole(code: int, text: str, seconds: float) -> None:
    """Judge what was shown."""
    assert code == 0, text
    assert seconds < 16.0 + BUSY
    moments = [float(found) for found in re.findall(r"^ *(\d+\.\d)s", text, re.MULTILINE)]
    assert moments == sorted(moments)
    assert re.search(rf"End: 2 alarms, {text.count('SMS to')} SMS, ", text.splitlines()[-1])
    story = [
        r"the gateway is armed",
        r"wire +Modbus asked [0-9A-F ]+ answered",
        r"fire in the cellar",
        r"alarm +smoke alarm: normal -> ALARM\n.*raw frame 03 03 02 00 01 00 44",
        r"SMS to Li Wei 13800138000 \| \[FIRE\] code 10 .*smoke alarm, smoke.*Reply 10 to acknowledge",
        r"SMS from Li Wei \| 10",
        r"smoke alarm: ALARM -> acknowledged \(Li Wei\)",
        r"smoke alarm: .*-> normal \(Wang Fang\)",
        r"End: \d alarms",
    ]
    place = 0
    for line in story:
        found = re.compile(line).search(text, place)
        assert found, f"{line!r} is missing after:\n{text[:place]}\n--- in\n{text[place:]}"
        place = found.start()
    for part in (r"SMS to Wang Fang .*nobody has answered", r"the fire is out", r"siren on", r"MQTT station/tank \{"):
        assert re.search(part, text), f"{part!r} is missing in:\n{text}"
