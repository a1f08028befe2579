"""`firegrid check` on the wires of the field: ports with two owners, doors left open, peers, profiles, who is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli.main import BAD_CONFIGURATION, GOOD, run
from tests import station_toml as toml


def _source(name: str, driver: str = "sl651", /, **keys: object) -> str:
    return toml.table("source", id=name, driver=driver, **keys)


def _device(name: str, source: str, profile: str = "sl651-river", **keys: object) -> str:
    return toml.table("device", id=name, source=source, profile=profile, cell="a", **keys)


def _check(folder: Path, capsys: pytest.CaptureFixture[str], text: str, language: str = "en") -> tuple[int, str]:
    path = folder / "station.toml"
    path.write_text(toml.station(folder) + text, encoding="utf-8")
    code = run(["check", "-c", str(path), "--language", language])
    return code, capsys.readouterr().out


def _pair(first: dict[str, object], second: dict[str, object]) -> str:
    return (
        _source("one", **first)
        + _device("r1", "one", address="0012345678")
        + _source("two", "hj212", **second)
        + _device("g1", "two", "hj212-gas", mn="0102030405060708")
    )


EVERYWHERE = "0.0.0.0"  # noqa: S104 - what the configuration says, nothing is bound
SERVER: dict[str, object] = {"wire": "tcp_server", "port": 9003}


@pytest.mark.parametrize(
    ("first", "second", "given"),
    [
        (SERVER, SERVER, "tcp 9003"),
        (SERVER, {**SERVER, "listen": EVERYWHERE}, "tcp 9003"),
        (SERVER, {**SERVER, "listen": "localhost"}, "tcp 9003"),
        ({**SERVER, "listen": "::"}, {**SERVER, "listen": "10.0.0.5"}, "tcp 9003"),
        ({"wire": "udp", "port": 9003}, {"wire": "udp", "port": 9003}, "udp 9003"),
        ({"wire": "serial", "port": "/dev/null"}, {"wire": "serial", "port": "/dev/null"}, "/dev/null"),
    ],
)
def test_two_sources_at_one_port(
    first: dict[str, object], second: dict[str, object], given: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, printed = _check(tmp_path, capsys, _pair(first, second))
    assert code == BAD_CONFIGURATION
    assert f"source[two].port: {given} is already used by source[one]; use another port" in printed
    assert f"{given} 已被 source[one] 占用" in _check(tmp_path, capsys, _pair(first, second), "zh")[1]


@pytest.mark.parametrize(
    "second",
    [
        {"wire": "udp", "port": 9003},
        {"wire": "tcp_server", "port": 9004},
        {"wire": "tcp_client", "host": "127.0.0.1", "port": 9003},
        {"wire": "tcp_server", "port": 9003, "listen": "10.0.0.5", "allow": ["10.0.0.0/8"]},
    ],
)
def test_ports_that_do_not_meet(second: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, printed = _check(tmp_path, capsys, _pair(SERVER, second))
    assert code == GOOD, printed
    assert "allow names no network" not in printed


def test_one_adapter_under_two_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "by-id").symlink_to("/dev/null")
    text = _pair({"wire": "serial", "port": "/dev/null"}, {"wire": "serial", "port": str(tmp_path / "by-id")})
    assert f"{tmp_path}/by-id is already used by source[one]" in _check(tmp_path, capsys, text)[1]


def test_the_page_and_a_wire_at_one_port(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = _source("one", **SERVER) + _device("r1", "one", address="0012345678")
    code, printed = _check(tmp_path, capsys, text + '[page]\nlisten = "127.0.0.1:9003"\n')
    assert code == BAD_CONFIGURATION
    assert "source[one].port: tcp 9003 is already used by page" in printed


def test_a_door_left_open_is_a_remark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    door = {**SERVER, "listen": EVERYWHERE}
    device = _device("r1", "one", address="0012345678")
    code, printed = _check(tmp_path, capsys, _source("one", **door) + device)
    assert code == GOOD
    said = "whoever reaches 0.0.0.0:9003 may report in any device's name, for allow names no network"
    (line,) = (line for line in printed.splitlines() if said in line)
    assert line.startswith("note: ")
    assert 'allow = ["192.168.1.0/24"]' in line
    assert "任何人都可冒充设备上报" in _check(tmp_path, capsys, _source("one", **door) + device, "zh")[1]
    assert said not in _check(tmp_path, capsys, _source("one", **door, allow=["10.0.0.0/8"]) + device)[1]


def test_more_devices_than_peers_and_an_unconfirmed_profile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    devices = "".join(_device(f"g{n}", "one", "hj212-gas", mn=f"{n:016}") for n in range(300))
    code, printed = _check(tmp_path, capsys, _source("one", "hj212", **SERVER, peers=200) + devices)
    assert code == BAD_CONFIGURATION
    assert "peers = 200, but it has 300 devices; fix: peers = 600" in printed
    code, printed = _check(tmp_path, capsys, _source("one", "hj212", **SERVER) + devices)
    assert code == GOOD
    assert printed.count("warning: ") == 300
    assert 'device[g7].profile: profile "hj212-gas" is a template' in printed


@pytest.mark.parametrize(
    ("driver", "device"),
    [
        ("gb26875", _device("d", "one", "gb26875-transmitter", address=7)),
        ("sl651", _device("d", "one", address="0012345678")),
        ("hj212", _device("d", "one", "hj212-gas", mn="0102030405060708")),
    ],
)
def test_without_a_policy_of_its_class_everybody_is_told(
    driver: str, device: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, printed = _check(tmp_path, capsys, _source("one", driver, **SERVER) + device)
    assert code == GOOD
    lines = [line.strip() for line in printed.splitlines()]
    own = lines.index("fire · 一号楼 (a) · no policy: everybody")
    assert "d.events [event:fire]" in lines[own + 1]
    assert lines[own + 2].startswith("0 s  李伟 (li, 13800138000) by sms")
