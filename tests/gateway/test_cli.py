"""The command line as a whole: exit codes, messages without a daemon, acts beside a running one."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from drivers.simulated.broker import SimulatedBroker
from gateway.cli.main import COMMANDS, run
from gateway.clock import SystemClock
from gateway.transport import unix
from tests.daemon import ROOT, Daemon
from tests.mqtt_clients import ours
from tests.patience import PATIENCE

STATION = """
[station]
id = "cli"
name = "测试站"
language = "en"
clock = "trusted"

[store]
path = "{folder}/station.db"
commit_interval = "1s"

[limits]
commit_deadline = "60s"
open_deadline = "60s"

[[source]]
id = "broker"
driver = "mqtt"
host = "127.0.0.1"
port = {port}

[[device]]
id = "gas"
source = "broker"
profile = "json-generic"
topic = "site/gas"
[device.points.ch4]
unit = "%[LEL]"
decode = {{ path = "$.ch4" }}

[[rule]]
id = "leak"
points = "gas.ch4"
when = "value > 10"
class = "gas"
policy = "book"

[[contact]]
id = "li"
name = "Li Wei"
phone = "13800138000"

[[channel]]
id = "book"
kind = "console"
file = "{folder}/told"

[[policy]]
id = "book"
repeat = "600s"
steps = [{{ after = "0s", by = ["book"] }}]
"""


def station(folder: Path, port: int = 1) -> Path:
    config = folder / "station.toml"
    config.write_text(STATION.format(folder=folder, port=port), encoding="utf-8")
    return config


def test_no_command_and_the_version_are_good(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    listed = capsys.readouterr().out
    assert all(f"    {name}" in listed for name in COMMANDS)
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("firegrid ")


def test_an_unknown_command_or_option_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["alarm"], ["ack", "first"], ["simulate", "moon"]):
        with pytest.raises(SystemExit) as ended:
            run(arguments)
        assert ended.value.code == 2
        assert arguments[-1] in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "check", "simulate", "readings", "events", "alarms", "notifications"])
def test_a_configuration_that_is_not_there_is_exit_2(command: str, tmp_path: Path) -> None:
    part = ["station"] if command == "simulate" else []
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        assert run([command, *part, "-c", str(tmp_path / "none.toml")]) == 2
    assert "none.toml" in out.getvalue()


def test_a_broken_configuration_is_exit_2_with_line_and_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = station(tmp_path)
    config.write_text(config.read_text(encoding="utf-8").replace("commit_interval", "comit_interval"), encoding="utf-8")
    assert run(["check", "-c", str(config)]) == 2
    said = capsys.readouterr().out
    assert "station.toml:10" in said
    assert "commit_interval" in said


@pytest.mark.parametrize("command", ["readings", "events", "alarms", "notifications"])
def test_a_store_that_is_not_there_is_exit_1(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "-c", str(station(tmp_path))]) == 1
    assert "station.db" in capsys.readouterr().err


def test_the_store_of_a_broken_configuration_is_that_which_it_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "station.toml"
    config.write_text('[station]\nid = "s1"\n[store]\npath = "own.db"\n', encoding="utf-8")
    assert run(["events", "-c", str(config)]) == 1
    assert "own.db" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    script = f"{sys.executable} -m gateway decode --as json '[1]' | true"
    done = subprocess.run(["sh", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""


def test_acts_beside_a_running_daemon(tmp_path: Path) -> None:
    async def main() -> None:
        async with SimulatedBroker(SystemClock()) as broker:
            config = station(tmp_path, broker.port)
            daemon = Daemon(config)
            try:
                await asyncio.to_thread(daemon.wait_armed)
                await _source_up(tmp_path / "station.db.sock")
                sensor = await ours(broker.port, "sensor", [])
                await sensor.publish("site/gas", b'{"ch4": 30}')
                await _become(config, ["unack", "none"])
                for arguments, code, said in ACTS:
                    assert await _command(*arguments, "-c", str(config)) == (code, said), arguments
                await _become(config, ["acked", "none"])
                assert (await _command("shelve", "1", "--for", "1h", "--as", "li", "-c", str(config)))[0] == 3
                shelve = ("shelve", "1", "--for", "1h", "--reason", "calibration", "--as", "li")
                code, said = await _command(*shelve, "-c", str(config))
                assert code == 0
                assert re.fullmatch(SHELVED, said), said
                await _become(config, ["acked", "shelved"])
                _, said = await _command("alarms", "-c", str(config))
                assert re.search(r" acked +shelved +20\d\d-\S+ +", said), said
                code, said = await _command("shelve", "1", "9", *shelve[2:], "--json", "-c", str(config))
                assert code == 1, "a part was refused"
                rows = [json.loads(line) for line in said.splitlines()]
                assert [(row["alarm"], row["done"]) for row in rows] == [(1, True), (9, False)]
                assert (rows[0]["state"], rows[0]["suppression"], rows[0]["who"]) == ("acked", "shelved", "li")
                await sensor.publish("site/gas", b'{"ch4": 0}')
                await _become(config, ["latched_acked", "shelved"])
                assert await _command("reset", "1", "--as", "li", "-c", str(config)) == (0, RESET)
                await _become(config, ["normal", "shelved"])  # it stays on the list as long as it is shelved
                await sensor.close()
            finally:
                assert await asyncio.to_thread(daemon.stop) == 0

    asyncio.run(main())


NOBODY = "firegrid: nobody is called 'li wei': `--as` takes the id of a contact; did you mean 'li' (Li Wei)?\n"
ACTS = [
    (
        ("ack", "77", "--as", "li"),
        3,
        "alarm 77: no open alarm has this id; open (reply code in brackets): 1 (10) gas.ch4\n",
    ),
    (("ack", "10"), 3, "alarm 10: no open alarm has this id; 10 is the reply code of alarm 1\n"),
    (("reset", "1", "--as", "li"), 3, "alarm 1 gas.ch4: still in alarm, and not acknowledged\n"),
    (("ack", "1", "--as", "li wei"), 3, NOBODY),
    (("ack", "--as", "li"), 0, "alarm 1 gas.ch4: acknowledged by Li Wei; still in alarm\n"),
    (("ack",), 0, "nothing to acknowledge\n"),
]
SHELVED = r"alarm 1 gas\.ch4: shelved by Li Wei until \d\d-\d\d \d\d:\d\d:\d\d; still in alarm\n"
RESET = "alarm 1 gas.ch4: reset by Li Wei; returned to normal\n"


async def _command(*arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = await asyncio.to_thread(run, arguments)
    return code, out.getvalue()


async def _become(config: Path, wanted: list[str]) -> None:
    """Wait until the only alarm is in this state and suppression, or there is none."""
    async with asyncio.timeout(PATIENCE):
        while True:
            _, said = await _command("alarms", "--json", "-c", str(config))
            rows: list[dict[str, Any]] = [json.loads(line) for line in said.splitlines()]
            if [text for row in rows for text in (row["state"], row["suppression"])] == wanted:
                return
            await asyncio.sleep(0.05)


async def _source_up(socket: Path) -> None:
    """Wait for the broker's link: a broker it never saw before keeps nothing for it."""
    async with asyncio.timeout(PATIENCE):
        while True:
            links = (await asyncio.to_thread(unix.ask, socket, {"do": "status"}))["links"]
            if any(link["up"] for link in links if link["name"] == "broker"):
                return
            await asyncio.sleep(0.05)
