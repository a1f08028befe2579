"""`firegrid doctor`: each thing that can be wrong with a station is found, said in both languages, and has a fix."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.app import read
from gateway.cli import brokers, examined, links
from gateway.cli.examined import Finding, Level
from gateway.cli.main import BAD_CONFIGURATION, FAILED, GOOD, run
from gateway.clock import SystemClock
from gateway.model.station import Station, StoreSpec
from gateway.store.database import Store
from gateway.testing import FakeClock
from gateway.transport import unix
from gateway.transport.serial import open_pty
from tests import real_mosquitto
from tests.patience import PATIENCE
from tests.ports import free_port
from tests.store_groups import group

STATION = """
[station]
id = "t1"
clock = "trusted"
[store]
path = "station.db"
[[source]]
id = "broker"
driver = "mqtt"
host = "127.0.0.1"
port = {port}
{login}
[[device]]
id = "gas"
source = "broker"
profile = "zigbee2mqtt-gas"
topic = "zigbee2mqtt/gas"
cell = "a"
[[cell]]
id = "a"
[[contact]]
id = "li"
phone = "13800138000"
cell = "a"
role = "squad"
[[channel]]
id = "screen"
kind = "console"
"""


REFUSED_BY_DEVICE = "127.0.0.1:5020: [Errno 111] Connect call failed ('127.0.0.1', 5020)"
REFUSED = "broker 127.0.0.1:1883 refused the connection: NOT_AUTHORIZED"


@pytest.fixture(autouse=True)
def _brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brokers of these tests are on this machine: silence is told sooner."""
    monkeypatch.setattr(brokers, "QUIET", 0.3)


def _file(folder: Path, *, port: int = 1, login: str = "", more: str = "") -> Path:
    path = folder / "station.toml"
    path.write_text(STATION.format(port=port, login=login) + more, encoding="utf-8")
    return path


def _station(folder: Path, *, port: int = 1, login: str = "", more: str = "") -> Station:
    station = read(_file(folder, port=port, login=login, more=more)).station
    assert station is not None
    return station


def _bad(findings: Iterator[Finding]) -> list[Finding]:
    found = [finding for finding in findings if finding.level is Level.BAD]
    assert all(finding.mend_zh and finding.mend_en for finding in found), "what is wrong comes with a fix"
    return found


def _login(folder: Path, password: str) -> str:
    file = folder / "password"
    file.write_text(password + "\n", encoding="utf-8")
    file.chmod(0o600)
    return f'username = "{real_mosquitto.USER}"\npassword_file = "password"'


def test_the_shipped_broker_keeps_what_comes_while_we_are_away(tmp_path: Path) -> None:
    with real_mosquitto.running_shipped(tmp_path) as broker:
        station = _station(tmp_path, port=broker.port, login=_login(tmp_path, real_mosquitto.PASSWORD))
        found = list(brokers.brokers(station, SystemClock(), probe=True))
        assert [finding.level for finding in found] == [Level.GOOD, Level.GOOD]
        wrong = _station(tmp_path, port=broker.port, login=_login(tmp_path, "guessed"))
        (refused,) = _bad(brokers.brokers(wrong, SystemClock(), probe=True))
        assert "user name or password is wrong" in refused.en
        assert "password_file" in refused.mend_en


def test_a_stock_broker_is_found_out(tmp_path: Path) -> None:
    with real_mosquitto.running(tmp_path, "allow_anonymous true\n") as broker:
        station = _station(tmp_path, port=broker.port)
        assert not _bad(brokers.brokers(station, SystemClock(), probe=False))
        lost, qos0 = _bad(brokers.brokers(station, SystemClock(), probe=True))
    assert "of 1500 messages published while we were away 1000 were kept" in lost.en
    assert "max_queued_messages 200000" in lost.mend_zh
    assert "queue_qos0_messages true" in qos0.mend_en


def test_a_broker_that_does_not_run(tmp_path: Path) -> None:
    station = _station(tmp_path, port=free_port())
    (found,) = _bad(brokers.brokers(station, SystemClock(), probe=True))
    assert "systemctl status mosquitto" in found.mend_en


def test_a_good_store_is_weighed_and_its_chain_verified(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    with closing(Store.open(path)) as store:
        for number in range(1, 6):
            store.commit(group(number))
        found = list(examined.store(StoreSpec(path=str(path))))  # beside the writer
    assert not _bad(iter(found))
    assert any("the chain over 10 records holds" in finding.en for finding in found)


def test_a_changed_record_is_found(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    with closing(Store.open(path)) as store:
        for number in range(1, 6):
            store.commit(group(number))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE record SET body = x'00' WHERE n = 4")
    (found,) = _bad(examined.store(StoreSpec(path=str(path))))
    assert found.en == "the chain breaks at record 4: changed or damaged"


def test_a_store_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    path.write_bytes(b"not a database" * 100)
    (found,) = _bad(examined.store(StoreSpec(path=str(path))))
    assert "is not a SQLite file" in found.en
    (absent,) = _bad(examined.store(StoreSpec(path=str(tmp_path / "none" / "station.db"))))
    assert f"mkdir -p {tmp_path / 'none'}" in absent.mend_en


def test_a_full_disk_and_a_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examined, "LEAST_FREE", 1 << 62)
    monkeypatch.setattr(os, "access", lambda *_: False)
    readonly, full = _bad(examined.store(StoreSpec(path=str(tmp_path / "station.db"))))
    assert "cannot be written" in readonly.en
    assert "MiB of disk are free" in full.en


def test_serial_ports_that_are_absent_no_port_or_forbidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(open_pty()) as pty:
        names = {"good": str(pty.path), "absent": str(tmp_path / "ttyUSB9"), "file": str(_file(tmp_path))}
        more = "".join(
            f'[[source]]\nid = "{name}"\ndriver = "modbus_rtu"\nport = "{port}"\n' for name, port in names.items()
        )
        station = _station(tmp_path, more=more)
        found = {finding.en.split("]")[0]: finding for finding in examined.ports(station)}
        assert found["source[good"].level is Level.GOOD
        assert "is not there" in found["source[absent"].en
        assert "is no serial port" in found["source[file"].en
        monkeypatch.setattr(os, "access", lambda *_: False)
        forbidden = _bad(examined.ports(station))[0]
        assert forbidden.mend_en.startswith("run: sudo usermod -aG ")


@pytest.mark.parametrize(
    ("synchronised", "configured", "level"),
    [(True, "ntp", Level.GOOD), (False, "trusted", Level.GOOD), (False, "ntp", Level.REMARK)],
)
def test_the_clock(tmp_path: Path, synchronised: bool, configured: str, level: Level) -> None:  # noqa: FBT001 - a case
    clock = FakeClock()
    clock.trust(synchronised=synchronised)
    station = msgspec.structs.replace(_station(tmp_path), clock=configured)
    (found,) = examined.clock_of(clock, station)
    assert found.level is level


def test_a_clock_that_was_never_set(tmp_path: Path) -> None:
    (found,) = _bad(examined.clock_of(FakeClock(wall=3600 * 10**9), _station(tmp_path)))
    assert found.en == "the clock says 1970"


@contextmanager
def _daemon(path: Path, status: dict[str, Any]) -> Iterator[None]:
    """Answer at a control socket, as the daemon does."""
    up, stop = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        async def answer(_: dict[str, Any], __: str) -> dict[str, Any]:
            return status

        loops.append(asyncio.get_running_loop())
        async with unix.serve(path, answer):
            up.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert up.wait(PATIENCE)
    try:
        yield
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(PATIENCE)


def test_what_the_running_daemon_says_of_itself(tmp_path: Path) -> None:
    station = _station(tmp_path)
    line = "zigbee2mqtt/gas is a life-safety topic sent at QoS 0. In configuration.yaml put `qos: 1` and `retain: true`"
    status: dict[str, Any] = {
        "volatile": True,
        "refused": 2,
        "dropped": 0,
        "overflowed": 7,
        "unrecorded": 5,
        "links": [
            {"name": "broker", "up": True, "reason": "", "findings": {"qos0": line}},
            {"name": "spare", "up": False, "reason": REFUSED, "findings": {}},
            {"name": "channel sms", "up": False, "reason": "no SIM", "findings": {}},
            {"name": "meters", "up": False, "reason": REFUSED_BY_DEVICE, "findings": {}},
        ],
    }
    status["links"][0]["findings"]["twice panel"] = "10.0.0.7:2 and 10.0.0.7:1 both speak as panel"
    status["links"][0]["findings"]["unread gas not_json"] = "3 smoke=1"
    with _daemon(tmp_path / "station.db.sock", status):
        found = list(links.daemon(station))
    said = [finding.en for finding in found]
    assert "store fault: running in RAM, notices say they are not recorded" in said
    assert "2 inputs were refused" in said
    assert "7 readings came faster than they could be judged and were dropped" in said
    assert "5 messages were accepted and not recorded" in said
    assert f"broker: {line}" in said
    assert "link down: channel sms: no SIM" in said
    (login,) = [finding for finding in found if "NOT_AUTHORIZED" in finding.en]
    assert login.en.startswith("link down: spare: user name or password is wrong or missing (")
    assert "username and password_file" in login.mend_en
    assert login.zh.startswith("链路中断 spare：用户名或密码不对")
    unread = "broker: 3 messages of gas not understood (not JSON), the last: smoke=1"
    assert unread in said
    assert "broker：gas 有 3 条消息无法理解（不是 JSON），最近一条：smoke=1" in [finding.zh for finding in found]
    (meters,) = [finding for finding in found if "meters" in finding.en]
    assert meters.en.startswith("link down: meters: nothing listens there (")
    assert "switched on" in meters.mend_en
    assert "mosquitto" not in meters.mend_en + meters.mend_zh
    (twice,) = [finding for finding in found if "panel" in finding.en]
    assert twice.en == "broker: 10.0.0.7:2 and 10.0.0.7:1 both speak as panel"
    assert twice.zh == "broker：10.0.0.7:2 和 10.0.0.7:1 两处都以 panel 的地址通信"
    assert "correct that of one" in twice.mend_en
    assert len(_bad(iter(found))) == 4
    (absent,) = links.daemon(station)
    assert absent.en == "the daemon is not running"


def test_what_was_counted_of_devices_is_told_the_most_first(tmp_path: Path) -> None:
    station = _station(tmp_path)
    counters = {"overflow": 1, "unknown unknown_station": 3, "river unmapped_element:EJ": 40, "river bad_time": 1}
    position = {"position": "已送至 sent up to commit 12, 没有积压 nothing waits"}
    well = {"up": True, "reason": "", "findings": {}}
    links_ = [
        {**well, "name": "stations", "counters": {**counters, "river repeat": 99}},
        {**well, "name": "sink vm", "findings": position, "counters": {"sent": 7}},
        {**well, "name": "loggers", "counters": {f"r{number} crc": 1 for number in range(12)}},
    ]
    with _daemon(tmp_path / "station.db.sock", {"links": links_}):
        _, river, strangers, sent, *rest = links.daemon(station)
    assert river.en == "stations: counted of river: unmapped_element:EJ 40, bad_time 1"
    assert river.zh == "stations：river 计数：unmapped_element:EJ 40, bad_time 1"
    assert strangers.en == "stations: counted of devices nobody registered: unknown_station 3"
    assert (sent.zh, sent.en) == (
        "sink vm：已送至第 12 次提交, 没有积压",
        "sink vm: sent up to commit 12, nothing waits",
    )
    assert (len(rest), rest[-1].en) == (11, "loggers: counted of 2 more devices, see /links of the page")


def test_json_and_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with real_mosquitto.running(tmp_path) as broker:
        path = _file(tmp_path, port=broker.port)
        assert run(["doctor", "-c", str(path), "--json", "--no-probe"]) == GOOD
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {tuple(row) for row in rows} == {("area", "level", "what", "fix")}
    assert {row["area"] for row in rows} >= {"software", "configuration", "clock", "store", "daemon", "broker"}
    assert run(["doctor", "-c", str(path), "--language", "en"]) == FAILED  # the broker is gone
    assert "✗ broker: " in capsys.readouterr().out
    path.write_text("[station\n", encoding="utf-8")
    assert run(["doctor", "-c", str(path)]) == BAD_CONFIGURATION
    assert run(["doctor", "-c", str(tmp_path / "none.toml")]) == BAD_CONFIGURATION
