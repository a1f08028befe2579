"""A device whose profile speaks another driver's language than its source is told in one line, with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app import problems_of, read
from gateway.registry import Group, names, serves

STATION = """
[station]
id = "s"
language = "en"

[store]
path = "{folder}/station.db"

[[source]]
id = "a"
driver = "{driver}"
{source}

[[device]]
id = "d"
source = "a"
profile = "{profile}"
{device}

[[channel]]
id = "sms"
kind = "sms_modem"
port = "/dev/zero"

[[contact]]
id = "li"
phone = "13800138000"
"""


SOURCES = {
    "gb26875": 'wire = "tcp_server"\nport = 5300',
    "hj212": 'wire = "tcp_server"\nport = 5301',
    "mqtt": 'host = "127.0.0.1"',
    "modbus_tcp": 'host = "127.0.0.1"',
    "modbus_rtu": 'port = "/dev/null"',
    "uart": 'wire = "serial"\nport = "/dev/null"',
}


def told(folder: Path, driver: str, profile: str, device: str) -> list[str]:
    config = folder / "station.toml"
    given = {"driver": driver, "source": SOURCES[driver], "profile": profile, "device": device}
    config.write_text(STATION.format(folder=folder, **given), encoding="utf-8")
    return [problem.text("en") for problem in problems_of(read(config)) if not problem.note]


@pytest.mark.parametrize(
    ("driver", "profile", "device", "speaks"),
    [
        ("gb26875", "panel-gst5000", "", "panel_serial"),
        ("gb26875", "hj212-generic", 'mn = "1"', "hj212"),
        ("mqtt", "sl651-river", "", "sl651"),
        ("hj212", "panel-gst5000", 'mn = "1"', "panel_serial"),
        ("uart", "xy-md02", "address = 3", "modbus_rtu"),
        ("modbus_rtu", "zigbee2mqtt-smoke", "", "zigbee2mqtt (mqtt)"),
    ],
)
def test_one_line_says_what_does_not_fit(tmp_path: Path, driver: str, profile: str, device: str, speaks: str) -> None:
    found = told(tmp_path, driver, profile, device)
    assert len(found) == 1, found
    (line,) = found
    assert f'profile "{profile}" speaks {speaks}, source "a" has driver {driver};' in line
    assert line.startswith(f"{tmp_path}/station.toml:")
    assert ": device[d].profile: " in line
    assert 'driver = "' in line


def test_what_may_share_profiles_is_let_through(tmp_path: Path) -> None:
    assert told(tmp_path, "modbus_tcp", "xy-md02", "address = 3") == []
    assert told(tmp_path, "mqtt", "zigbee2mqtt-smoke", 'topic = "zigbee2mqtt/hall"') == []
    pairs = {(driver, one) for driver in names(Group.DRIVER) for one in names(Group.DRIVER) if serves(driver, one)}
    own = {(driver, driver) for driver in names(Group.DRIVER)}
    assert pairs - own == {("modbus_rtu", "modbus_tcp"), ("modbus_tcp", "modbus_rtu")}
    assert {driver for driver in names(Group.DRIVER) if serves(driver, "zigbee2mqtt")} == {"mqtt"}
    assert serves("modbus_rtu", "their-own")
    assert serves("their-own", "modbus_rtu")
