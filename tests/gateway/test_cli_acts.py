"""`firegrid ack`, `reset`, `shelve` without a daemon or with wishes nobody can read: said, and never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli.main import FAILED, REFUSED, run


@pytest.fixture
def station(tmp_path: Path) -> str:
    """Return a configuration whose daemon does not run."""
    path = tmp_path / "station.toml"
    path.write_text('[station]\nid = "s1"\n[store]\npath = "station.db"\n', encoding="utf-8")
    return str(path)


def test_without_a_daemon_it_says_where_nobody_answers(station: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ack", "-c", station]) == FAILED
    assert "is `firegrid run` running?" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["reset", "shelve"])
def test_which_alarm_must_be_said(command: str, station: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "-c", station]) == REFUSED
    assert "`firegrid alarms` lists them" in capsys.readouterr().err


def test_a_time_that_is_none_is_refused(station: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["shelve", "-c", station, "1", "--for", "soon", "--reason", "welding"]) == REFUSED
    assert "--for soon: no duration; write e.g. 30m or 2h" in capsys.readouterr().err
