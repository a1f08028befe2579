"""`firegrid alarms` for people: which point it is, and why it was raised, in words."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from gateway.cli.main import run
from gateway.model.verdict import Cause
from gateway.store.database import Store
from gateway.store.shapes import Group
from tests import station_toml as toml
from tests.store_groups import BOOT, EPOCH, WALL, alarm, transition


def test_silence_reads_as_silence_and_points_of_a_device_are_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "station.toml"
    config.write_text(toml.station(tmp_path) + toml.broker(1) + toml.sensor("g"), encoding="utf-8")
    store = Store.open(tmp_path / "station.db")
    points = store.point_ids(["boiler-gas.co", "boiler-gas.lel"])
    silent = msgspec.structs.replace(
        alarm(1, 1), device="tank", point_name="events", cause=Cause.SILENCE, value=100.0, unit="s"
    )
    moves = [msgspec.structs.replace(transition(1, 1), point=point, key="") for point in points.values()]
    store.commit(
        Group(
            boot=BOOT,
            mono=1,
            wall=WALL,
            steps=[(1, [EPOCH])],
            records=[("transition", move) for move in moves],
            rows=[("alarm", "1", silent)],
        )
    )
    store.close()
    assert run(["alarms", "-c", str(config)]) == 0
    (row,) = capsys.readouterr().out.splitlines()[1:]
    assert " tank " in row
    assert row.endswith("100 s  设备失联 not heard from")
    assert run(["alarms", "--history", "-c", str(config)]) == 0
    _, *rows = capsys.readouterr().out.splitlines()
    assert [row.split()[3:5] for row in rows] == [["boiler-gas", "co"], ["boiler-gas", "lel"]]
