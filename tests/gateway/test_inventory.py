"""Durable points: names, numbers and renames."""

from __future__ import annotations

from pathlib import Path

from gateway.app import read
from gateway.model.inventory import names_of, numbered, points_of, renames_of
from gateway.store.database import Store

STATION = """
[station]
id = "s"
[store]
path = "{folder}/s.db"
[[source]]
id = "broker"
driver = "mqtt"
host = "127.0.0.1"
[[device]]
id = "{device}"
{was}
source = "broker"
profile = "json-generic"
topic = "t"
points = {{ v = {{ unit = "1", decode = {{ path = "$.v" }} }} }}
[[contact]]
id = "li"
name = "李"
phone = "13800138000"
[[channel]]
id = "screen"
kind = "console"
"""


def written(folder: Path, device: str, was: str = "") -> Path:
    path = folder / "station.toml"
    path.write_text(STATION.format(folder=folder, device=device, was=was), encoding="utf-8")
    return path


def test_a_renamed_device_keeps_the_ids_of_its_points(tmp_path: Path) -> None:
    old = read(written(tmp_path, "old-name")).station
    new = read(written(tmp_path, "new-name", 'was = "old-name"')).station
    assert old is not None
    assert new is not None
    store = Store.open(tmp_path / "s.db")
    before = store.point_ids(names_of(old))
    after = store.point_ids(names_of(new), renames_of(new))
    store.close()
    assert after["new-name.v"] == before["old-name.v"]
    assert {point.name: point.id for point in points_of(new, after)}["new-name.v"] == before["old-name.v"]


def test_numbers_without_a_store_start_at_one_and_are_all_different(tmp_path: Path) -> None:
    station = read(written(tmp_path, "d")).station
    assert station is not None
    numbers = numbered(station)
    assert sorted(numbers.values()) == list(range(1, len(numbers) + 1))
    assert set(numbers) == {"@gateway.events", "@broker.events", "d.v"}
