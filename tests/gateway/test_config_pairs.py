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
    "sl651": 'wire = "tcp_server"\nport = 5302',
    "panel_serial": 'wire = "serial"\nport = "/dev/null"',
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


@pytest.mark.parametrize(
    ("driver", "profile", "device", "lines"),
    [
        (
            "gb26875",
            "gb26875-transmitter",
            'address = "0xZZ"\nutc_offset = "8"\naddresses = ["1/1/2/10", "hall"]',
            {
                "address": '"0xZZ" is no address; write a number, "0x17C98CB8C2" or "192.168.1.4:7533"',
                "utc_offset": '"8" is no time zone; write it as "+08:00"',
                "addresses": '"hall" is no place; write "1/1/2/10" (system/address/loop/point)',
            },
        ),
        (
            "sl651",
            "sl651-river",
            'address = "zz"\nutc_offset = "8"\nmode = "M9"',
            {
                "mode": 'no mode (M1, M2, M3, M4) is called "M9"',
                "address": "hexadecimal characters only",
                "utc_offset": "+08:00",
            },
        ),
        (
            "hj212",
            "hj212-generic",
            'mn = "1"\nutc_offset = "8"\nflags = { N = "wrong" }',
            {
                "flags": 'no flags (good, uncertain, bad, fault, over_range, no_comms) is called "wrong"',
                "utc_offset": "+08:00",
            },
        ),
        (
            "panel_serial",
            "panel-gst5000",
            'codes = { zz = "fire", 0A = "fier" }\nutc_offset = "8"',
            {"codes.zz": '"zz" is no hexadecimal number', "codes.0A": "event code 'fier'", "utc_offset": "+08:00"},
        ),
    ],
)
def test_every_key_of_a_device_that_is_wrong_is_told_at_once_in_words_and_at_its_line(
    tmp_path: Path, driver: str, profile: str, device: str, lines: dict[str, str]
) -> None:
    found = told(tmp_path, driver, profile, device)
    text = (tmp_path / "station.toml").read_text(encoding="utf-8").splitlines()
    for key, words in lines.items():
        (line,) = [one for one in found if f": device[d].{key}: " in one]
        assert words in line
        assert text[int(line.split(":")[1]) - 1].startswith(key.partition(".")[0])
    assert len(found) == len(lines), found


def test_what_is_wrong_is_said_in_chinese_too(tmp_path: Path) -> None:
    told(tmp_path, "gb26875", "gb26875-transmitter", 'address = "0xZZ"\nutc_offset = "8"\naddresses = ["hall"]')
    lines = [problem.text("zh") for problem in problems_of(read(tmp_path / "station.toml")) if not problem.note]
    for words in ("“0xZZ”不是地址", '“8”不是时区；请写成 "+08:00"', "“hall”不是部位"):
        assert any(words in line for line in lines), lines
