"""What `simulate` plays at rest: no rule of the station alarms at it, and it lies in the point's range."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from drivers.simulated.station import SimulatedField, mqtt_player
from gateway.app import read
from gateway.cli.calm import calm
from gateway.clock import SystemClock
from gateway.model.station import Station

HEAD = """
[station]
id = "s"
[store]
path = "s.db"
[[source]]
id = "broker"
driver = "mqtt"
host = "127.0.0.1"
[[channel]]
id = "screen"
kind = "console"
[[device]]
id = "d"
source = "broker"
profile = "json-generic"
topic = "d"
"""


def _station(folder: Path, point: str, rule: str = "") -> Station:
    path = folder / "station.toml"
    rule = f'[[rule]]\nid = "r"\npoints = "d.p"\n{rule}\n' if rule else ""
    path.write_text(f"{HEAD}[device.points.p]\n{point}\n{rule}", encoding="utf-8")
    loaded = read(path)
    assert loaded.station is not None, [problem.text() for problem in loaded.problems]
    assert loaded.good, [problem.text() for problem in loaded.problems]
    return loaded.station


@pytest.mark.parametrize(
    ("point", "rule", "low", "high"),
    [
        ('unit = "Cel"', "", 20.0, 20.0),
        ('unit = "%[LEL]"', 'when = "value > 10"\nclear = "value < 5"', 0.0, 0.0),
        ('unit = "m"', 'when = "value < 1.2"\nclear = "value > 1.5"', 1.51, 3.0),
        ('unit = "m"', 'when = "value < 3"\nclear = "value > 3.5"', 3.51, 5.0),
        ('unit = "mm"\nvalid_range = [200, 800]', "", 200.0, 800.0),
        ('unit = "kPa"\nvalid_range = [0, 1000]', 'when = "value < 500 or value > 900"', 500.0, 900.0),
        ('unit = "Cel"\nalarms = [{ when = "value < 25", class = "fault" }]', "", 25.0, 40.0),
    ],
)
def test_a_point_at_rest_is_in_range_and_no_alarm(
    point: str, rule: str, low: float, high: float, tmp_path: Path
) -> None:
    assert low <= calm(_station(tmp_path, point, rule))["d.p"] <= high


def test_it_is_what_the_device_publishes_scale_and_depth_undone(tmp_path: Path) -> None:
    point = 'unit = "m"\ndecode = { path = "$.tank.mm", scale = 0.001 }'
    station = _station(tmp_path, point, 'when = "value < 3"\nclear = "value > 3.5"')
    player = mqtt_player(station.devices[0], 1, calm(station))
    assert player is not None
    (message,) = player.at(0.0)
    shown = json.loads(message.payload)["tank"]["mm"]
    assert shown / 1000 == pytest.approx(calm(station)["d.p"])


def test_a_slave_on_a_bus_shows_it(tmp_path: Path) -> None:
    bus = HEAD.partition("[[device]]")[0].replace(
        'driver = "mqtt"\nhost = "127.0.0.1"', 'driver = "modbus_rtu"\nport = "/x"'
    )
    device = '[[device]]\nid = "c"\nsource = "broker"\nprofile = "xy-md02"\naddress = 5\n'
    path = tmp_path / "station.toml"
    path.write_text(bus + device, encoding="utf-8")
    station = read(path).station
    assert station is not None

    async def main() -> None:
        field = SimulatedField(station, SystemClock(), calm={"c.temperature": 25.0})
        register = field.slaves["c"].registers[1]
        assert (register(0.0) if callable(register) else register) == 250

    asyncio.run(main())
