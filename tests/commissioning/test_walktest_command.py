"""`firegrid walktest` at a running daemon: ticks as devices speak, a report on the screen and in the record."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from paho.mqtt import publish
from paho.mqtt.enums import MQTTProtocolVersion

from gateway.cli.main import FAILED, GOOD, REFUSED, run
from tests import real_mosquitto
from tests.daemon import Daemon
from tests.patience import PATIENCE

STATION = """
[station]
id = "s1"
clock = "trusted"
language = "en"
[store]
path = "station.db"
[limits]
commit_deadline = "60s"
open_deadline = "60s"
[[source]]
id = "broker"
driver = "mqtt"
host = "127.0.0.1"
port = {port}
[[cell]]
id = "jc/3"
[[contact]]
id = "li"
name = "Li Wei"
phone = "13800138000"
cell = "jc/3"
role = "squad"
[[channel]]
id = "screen"
kind = "console"
file = "told"
[[device]]
id = "gas-1"
source = "broker"
profile = "zigbee2mqtt-gas"
topic = "z/gas-1"
cell = "jc/3"
[[device]]
id = "pump"
source = "broker"
profile = "json-generic"
topic = "z/pump"
cell = "jc/3"
[device.points.level]
unit = "m"
"""


class Station:
    """A daemon with its broker."""

    def __init__(self, folder: Path, port: int) -> None:
        self.config = folder / "station.toml"
        self.told = folder / "told"
        self._port = port

    def say(self, topic: str, payload: str) -> None:
        """Let a device speak."""
        publish.single(
            topic, payload, qos=1, hostname="127.0.0.1", port=self._port, protocol=MQTTProtocolVersion.MQTTv5
        )

    @contextmanager
    def walking(self, *options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
        """Begin a test at a terminal; yields process and terminal."""
        terminal, far = pty.openpty()
        command = [sys.executable, "-m", "gateway", "walktest", "-c", str(self.config), "--as", "li", *options]
        walk = subprocess.Popen(command, stdin=far, stdout=far, stderr=far, text=True)
        os.close(far)
        try:
            yield walk, terminal
        finally:
            walk.kill()
            walk.wait()
            os.close(terminal)


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    """Return a running station."""
    folder = tmp_path_factory.mktemp("walk")
    with real_mosquitto.running(folder) as broker:
        (folder / "station.toml").write_text(STATION.format(port=broker.port), encoding="utf-8")
        daemon = Daemon(folder / "station.toml")
        try:
            daemon.wait_armed()
            yield Station(folder, broker.port)
        finally:
            daemon.stop()


def _until(terminal: int, wanted: str) -> str:
    said = b""
    while wanted.encode() not in said:
        said += os.read(terminal, 1)  # no more than is waited for: the rest is the next one's
    return said.decode(errors="replace")


def test_devices_tick_off_and_an_interrupt_ends_the_test_with_a_report(
    station: Station, capsys: pytest.CaptureFixture[str]
) -> None:
    with station.walking("--cells", "jc/3", "--for", "10m") as (walk, terminal):
        _until(terminal, "walk test of jc/3: 2 devices, 10 min")
        station.say("z/pump", '{"level": 2.0}')
        assert "✓" in _until(terminal, "pump speaks (1/2)")
        station.say("z/gas-1", '{"gas": true}')
        _until(terminal, "gas-1 alarmed (2/2)")
        assert run(["alarms", "-c", str(station.config), "--json"]) == GOOD
        (alarm,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert (alarm["test"], alarm["suppression"]) == (True, "by_design")
        assert run(["alarms", "-c", str(station.config)]) == GOOD
        assert "测试 test" in capsys.readouterr().out
        assert run(["walktest", "-c", str(station.config), "--cells", "jc/3"]) == REFUSED
        assert "still going on" in capsys.readouterr().err
        assert not station.told.exists()  # nobody was told
        station.say("z/gas-1", '{"gas": false}')
        walk.send_signal(signal.SIGINT)
        report = _until(terminal, "2/2 devices passed")
        assert "walk test 1: jc/3 by Li Wei" in report
        assert "(ended by Li Wei)" in report
        assert walk.wait(PATIENCE) == GOOD
    assert run(["walktest", "-c", str(station.config), "--report", "--json"]) == GOOD
    kept = json.loads(capsys.readouterr().out)
    assert (kept["walktest"], kept["who"], kept["end"], kept["passed"]) == (1, "li", "act", 2)
    assert all(one["heard"] and one["passed"] for one in kept["devices"])


def test_it_ends_from_elsewhere_and_says_what_is_missing(station: Station, capsys: pytest.CaptureFixture[str]) -> None:
    with station.walking("--cells", "jc/3") as (walk, terminal):
        _until(terminal, "30 min")
        assert run(["walktest", "-c", str(station.config), "--end"]) == GOOD
        said = _until(terminal, "gas-1 jc/3: was not heard")
        assert "0/2 devices passed" in said
        assert walk.wait(PATIENCE) == FAILED
    capsys.readouterr()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--cells", "jc/4"], "did you mean 'jc/3'"),
        ([], "--cells: which cells?"),
        (["--cells", "jc/3", "--for", "soon"], "--for soon: write a time of at most 12h"),
        (["--cells", "jc/3", "--for", "13h"], "at most 12h"),
        (["--cells", "jc/3", "--as", "lee"], "nobody is called 'lee'"),
        (["--end"], "no walk test is going on"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(
    options: list[str], said: str, station: Station, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["walktest", "-c", str(station.config), *options]) == REFUSED
    assert said in capsys.readouterr().err


def test_without_a_daemon_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "station.toml"
    path.write_text(STATION.format(port=1), encoding="utf-8")
    assert run(["walktest", "-c", str(path), "--cells", "jc/3"]) == FAILED
    assert "is `firegrid run` running?" in capsys.readouterr().err
