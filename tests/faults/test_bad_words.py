"""What a person types wrong: a first configuration, refused with its place, and lines that are no request."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.main import run
from gateway.transport import unix
from tests.daemon import ROOT
from tests.faults.hearing_station import station
from tests.patience import PATIENCE


def as_process(command: str, config: Path) -> tuple[int, str]:
    line = [sys.executable, "-m", "gateway", command, "-c", str(config)]
    ended = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE)
    return ended.returncode, ended.stdout + ended.stderr


def in_process(command: str, config: Path) -> tuple[int, str]:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = run([command, "-c", str(config)])
    return code, said.getvalue()


@pytest.mark.parametrize(
    ("command", "old", "new", "said"),
    [
        ("check", "steps = [{", "stepz = [{", ["stepz", "steps", "station.toml:"]),
        ("run", 'driver = "mqtt"', 'driver = "mqttt"', ["mqttt", "mqtt", "station.toml:"]),
        ("check", 'id = "any"', 'id = "gas1"', ["gas1", "station.toml:"]),
        ("run", 'role = "squad"', 'role = "cook"', ["squad", "station.toml:"]),
        ("check", 'topic = "gas/1"', 'topic = "gas/#/1"', ["gas/#/1", "device[gas1]", "station.toml:58"]),
        ("run", "address = 1", "address = 300", ["300", "device[room]", "station.toml:"]),
    ],
)
def test_a_first_start_refuses_a_bad_configuration_and_says_where(
    tmp_path: Path, command: str, old: str, new: str, said: list[str]
) -> None:
    config = tmp_path / "station.toml"
    good = station(tmp_path, 1)
    assert good.count(old) == 1
    config.write_text(good.replace(old, new), encoding="utf-8")
    code, words = as_process(command, config) if command == "run" else in_process(command, config)
    assert code == 2, words
    for word in said:
        assert word in words, words
    assert "Traceback" not in words
    assert not (tmp_path / "station.db").exists()


def test_the_control_socket_answers_what_is_no_request(tmp_path: Path) -> None:
    """Whoever may open the socket cannot end the daemon by what he writes."""

    async def scene() -> None:
        async def answer(request: dict[str, Any], _user: str) -> dict[str, Any]:
            return {"got": request}

        async with unix.serve(tmp_path / "s", answer):
            reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
            for line, said in ((b"\xff\xfe", "not JSON"), (b"[1]", "one JSON object"), (b"[" * 10_000, "not JSON")):
                writer.write(line + b"\n")
                assert said in json.loads(await reader.readline())["error"]
            writer.close()
            await writer.wait_closed()

    asyncio.run(scene())
