"""`firegrid doctor` finds every fault of this table and says what, where and how to mend it, in both languages."""

from __future__ import annotations

import os
import pty
import shutil
import socket
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from drivers.simulated.modbus_bus import Fault
from gateway.cli import brokers, doctor, examined_wires
from gateway.cli.examined import Level
from gateway.clock import SystemClock
from gateway.store.database import Store
from gateway.transport import at_link
from tests import real_mosquitto
from tests.commissioning import faulty
from tests.commissioning.faulty import BROKER, BUS, MODEM, SENSOR, Field
from tests.ports import free_port
from tests.store_groups import group

CERTIFICATES = Path(__file__).parent.parent / "cases" / "certificates"
HOLD = """
import fcntl, os, sys, time
port = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
fcntl.flock(port, fcntl.LOCK_EX)
print(1, flush=True)
time.sleep(60)
"""
Patch = pytest.MonkeyPatch
Sow = Callable[[Field, Patch], Path]


class Case(NamedTuple):
    """One fault: how it is sown, and what must be said of it (part of the line, in either language)."""

    sow: Sow
    area: str
    en: str
    zh: str
    mend: str
    probe: bool


FAULTS: dict[str, Case] = {}


def fault(area: str, *, en: str, zh: str, mend: str, probe: bool = False) -> Callable[[Sow], Sow]:
    """Enter a fault into the table."""

    def enter(sow: Sow) -> Sow:
        FAULTS[sow.__name__] = Case(sow, area, en, zh, mend, probe)
        return sow

    return enter


# -- serial ports and buses


@fault("serial", en="/dev/ttyUSB77 is not there", zh="/dev/ttyUSB77 不存在", mend="plug the adapter in")
def port_missing(at: Field, _: Patch) -> Path:
    return at.write(BUS.format(port="/dev/ttyUSB77"))


@fault("serial", en="may not be opened", zh="没有权限打开", mend="sudo usermod -aG")
def port_not_permitted(at: Field, patch: Patch) -> Path:
    tables = at.bus(near=Fault())
    allowed = os.access
    patch.setattr(os, "access", lambda path, mode: not str(path).startswith("/dev/") and allowed(path, mode))
    return at.write(*tables)


@fault("serial", en="station.toml is no serial port", zh="不是串口", mend="correct the path")
def port_is_a_file(at: Field, _: Patch) -> Path:
    return at.write(BUS.format(port=at.folder / "station.toml"))


@fault("serial", en="is held by python", zh="占用", mend="stop that program")
def port_taken_by_another_process(at: Field, _: Patch) -> Path:
    ours, far = pty.openpty()
    name = os.ttyname(far)
    child = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", HOLD, name],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, far, 1)],
    )
    at.stack.callback(os.waitpid, child, 0)
    at.stack.callback(os.kill, child, 9)
    os.read(ours, 1)
    at.stack.callback(os.close, ours)
    os.close(far)
    return at.write(BUS.format(port=name), SENSOR.format(name="near", address=1))


@fault("bus", en="only garbage comes at 9600 8N1", zh="只收到乱码", mend="baudrate, parity and stopbits")
def baud_rate_wrong(at: Field, _: Patch) -> Path:
    noise = Fault(before=b"\xf8\x80\x1e", wrong_crc=True)
    return at.write(*at.bus(near=noise, far=noise))


@fault("bus", en="bus: only garbage comes", zh="bus：只收到乱码", mend="baudrate, parity and stopbits")
def baud_rate_wrong_while_the_daemon_has_the_port(at: Field, _: Patch) -> Path:
    link = {"name": "bus", "up": True, "reason": "", "findings": {}, "counters": {"broken": 12, "silent": 3}}
    at.stack.enter_context(faulty.daemon(at.folder / "station.db.sock", {"links": [link]}))
    return at.write(*at.bus(near=Fault()))


@fault("bus", en="no device answers at 9600 8N1", zh="没有任何设备应答", mend="swap A and B")
def bus_wired_wrong(at: Field, _: Patch) -> Path:
    return at.write(*at.bus(near=Fault(silent=True), far=Fault(silent=True)))


@fault("bus", en="far (address 2) does not answer", zh="far（地址 2）没有应答", mend="its address")
def one_address_silent(at: Field, _: Patch) -> Path:
    return at.write(*at.bus(near=Fault(), far=Fault(silent=True)))


@fault("bus", en="near (address 1) answers garbage", zh="可能两台设备同一地址", mend="give it another address")
def two_devices_at_one_address(at: Field, _: Patch) -> Path:
    return at.write(*at.bus(near=Fault(wrong_crc=True), far=Fault()))


@fault("bus", en="refuses the registers", zh="拒绝所读的寄存器", mend="profile and address belong")
def profile_of_another_device(at: Field, _: Patch) -> Path:
    return at.write(*at.bus(near=Fault(exception=2), far=Fault()))


# -- brokers


@fault("broker", en="nothing listens there", zh="没有代理在监听", mend="systemctl status mosquitto")
def broker_not_running(at: Field, _: Patch) -> Path:
    return at.write(BROKER.format(port=free_port(), more=""))


@fault("broker", en="user name or password is wrong", zh="用户名或密码不对", mend="password_file")
def broker_password_wrong(at: Field, _: Patch) -> Path:
    broker = at.stack.enter_context(real_mosquitto.running_shipped(at.folder))
    secret = at.folder / "secret"
    secret.write_text("guessed\n", encoding="utf-8")
    secret.chmod(0o600)
    return at.write(BROKER.format(port=broker.port, more='username = "firegrid"\npassword_file = "secret"'))


@fault(
    "broker",
    en="1000 were kept, the rest silently dropped",
    zh="被悄悄丢弃",
    mend="max_queued_messages 200000",
    probe=True,
)
def broker_queue_limited(at: Field, _: Patch) -> Path:
    broker = at.stack.enter_context(real_mosquitto.running(at.folder, "allow_anonymous true\n"))
    return at.write(BROKER.format(port=broker.port, more=""))


@fault("broker", en="keeps no QoS 0 message", zh="不保留 QoS 0 消息", mend="queue_qos0_messages true", probe=True)
def broker_keeps_no_qos0(at: Field, _: Patch) -> Path:
    own = real_mosquitto.OPEN.replace("queue_qos0_messages true", "")
    broker = at.stack.enter_context(real_mosquitto.running(at.folder, own))
    return at.write(BROKER.format(port=broker.port, more=""))


@fault("daemon", en="life-safety topic sent at QoS 0", zh="以 QoS 0 发送", mend="retain: true")
def smoke_detector_without_qos_and_retain(at: Field, _: Patch) -> Path:
    link = {"name": "broker", "up": True, "reason": "", "findings": {"qos0 zigbee2mqtt/smoke-1": "…"}}
    at.stack.enter_context(faulty.daemon(at.folder / "station.db.sock", {"links": [link]}))
    return at.write(BROKER.format(port=1, more=""))


@fault("configuration", en="can be read by others", zh="可被其他用户读取", mend="chmod 600")
def secret_readable_by_all(at: Field, _: Patch) -> Path:
    secret = at.folder / "secret"
    secret.write_text("word\n", encoding="utf-8")
    secret.chmod(0o644)
    return at.write(BROKER.format(port=1, more='username = "firegrid"\npassword_file = "secret"'))


@fault("certificate", en="the certificate expired on 2021-01-01", zh="证书已于 2021-01-01 过期", mend="new certificate")
def certificate_expired(at: Field, _: Patch) -> Path:
    shutil.copy(CERTIFICATES / "expired.pem", at.folder)
    return at.write(BROKER.format(port=1, more='tls = true\ncafile = "expired.pem"'))


@fault("certificate", en="is not valid before 2090-01-01", zh="2090-01-01 起才有效", mend="check the clock")
def certificate_of_the_future(at: Field, _: Patch) -> Path:
    shutil.copy(CERTIFICATES / "early.pem", at.folder)
    return at.write(BROKER.format(port=1, more='tls = true\ncafile = "early.pem"'))


# -- modem


@fault("modem", en="the module does not answer", zh="模块没有应答", mend="power")
def modem_silent(at: Field, patch: Patch) -> Path:
    patch.setattr(at_link, "PROBE_LIMIT", 0.1)
    return at.write(*at.modem(silent=True))


@fault("modem", en="the SIM asks for its PIN", zh="SIM 卡要求 PIN", mend="write pin in the channel")
def sim_locked(at: Field, _: Patch) -> Path:
    return at.write(*at.modem(sim="SIM PIN"))


@fault("modem", en="there is no SIM that works", zh="没有可用的 SIM 卡", mend="put a SIM in")
def sim_missing(at: Field, _: Patch) -> Path:
    return at.write(*at.modem(sim=""))


@fault("modem", en="not registered in a network", zh="没有注册到网络", mend="check antenna")
def no_network(at: Field, _: Patch) -> Path:
    return at.write(*at.modem(registration=2, registration_lte=2))


@fault("modem", en="weak signal (-107 dBm)", zh="信号弱（-107 dBm）", mend="outside antenna")
def signal_low(at: Field, _: Patch) -> Path:
    return at.write(*at.modem(signal=3))


@fault("modem", en="no service centre number", zh="没有短信中心号码", mend="service_centre")
def no_service_centre(at: Field, _: Patch) -> Path:
    return at.write(*at.modem(service_centre=""))


# -- the box: store, clock, page


def _filled(at: Field) -> Path:
    path = at.folder / "station.db"
    with closing(Store.open(path)) as store:
        for number in range(1, 6):
            store.commit(group(number))
    return path


@fault("store", en="MiB of disk are free", zh="磁盘剩余", mend="shorten retention")
def disk_nearly_full(at: Field, patch: Patch) -> Path:
    usage = shutil.disk_usage
    patch.setattr(shutil, "disk_usage", lambda path: usage(path)._replace(free=50 << 20))
    return at.write(BROKER.format(port=1, more=""))


@fault("store", en="station.db cannot be written", zh="不可写", mend="sudo chown -R")
def store_read_only(at: Field, patch: Patch) -> Path:
    _filled(at)
    allowed = os.access
    patch.setattr(os, "access", lambda path, mode: not str(path).endswith("station.db") and allowed(path, mode))
    return at.write(BROKER.format(port=1, more=""))


@fault("store", en="a newer version wrote it", zh="由更新的版本写成", mend="install the version that wrote it")
def store_of_a_newer_version(at: Field, _: Patch) -> Path:
    with closing(sqlite3.connect(_filled(at))) as connection:
        connection.execute("PRAGMA user_version = 999")
    return at.write(BROKER.format(port=1, more=""))


@fault("store", en="the chain breaks at record 4", zh="记录链在第 4 条断开", mend="compare it with a backup")
def record_changed(at: Field, _: Patch) -> Path:
    with closing(sqlite3.connect(_filled(at))) as connection, connection:
        connection.execute("UPDATE record SET body = x'00' WHERE n = 4")
    return at.write(BROKER.format(port=1, more=""))


@fault("store", en="is not a SQLite file", zh="无法读取", mend="sets it aside")
def store_destroyed(at: Field, _: Patch) -> Path:
    (at.folder / "station.db").write_bytes(b"not a database" * 100)
    return at.write(BROKER.format(port=1, more=""))


@fault("clock", en="the clock says 1970", zh="时钟显示 1970 年", mend="timedatectl set-ntp true")
def clock_never_set(at: Field, patch: Patch) -> Path:
    patch.setattr(SystemClock, "wall", lambda _: 3600 * 10**9)
    return at.write(BROKER.format(port=1, more=""))


@fault("page", en="of the page is taken by another program", zh="被其他程序占用", mend="ss -ltnp")
def page_port_taken(at: Field, _: Patch) -> Path:
    other = at.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    listen = f'[page]\nlisten = "127.0.0.1:{other.getsockname()[1]}"\n'
    return at.write(BROKER.format(port=1, more=""), listen)


# -- sinks and people


def _sink(at: Field, status: int) -> Path:
    url = at.stack.enter_context(faulty.web_server(status))
    secret = at.folder / "token"
    secret.write_text("old\n", encoding="utf-8")
    secret.chmod(0o600)
    sink = f'[[sink]]\nid = "graphs"\nkind = "influx"\nurl = "{url}"\nbucket = "fire"\ntoken_file = "token"\n'
    return at.write(BROKER.format(port=1, more=""), sink)


@fault("sink", en="the token is not accepted (401", zh="令牌不被接受（401", mend="token_file")
def sink_token_wrong(at: Field, _: Patch) -> Path:
    return _sink(at, 401)


@fault("sink", en="there is no bucket 'fire'", zh="没有 bucket", mend="create it")
def sink_bucket_missing(at: Field, _: Patch) -> Path:
    return _sink(at, 404)


def _centre(port: int, **more: str) -> str:
    keys = "".join(f'{key} = "{value}"\n' for key, value in more.items())
    return f'[[sink]]\nid = "centre"\nkind = "mqtt_uplink"\nhost = "127.0.0.1"\nport = {port}\n{keys}'


@fault(
    "sink", en="centre: user name or password is wrong", zh="用户名或密码不对", mend="check username and password_file"
)
def uplink_user_wrong(at: Field, _: Patch) -> Path:
    closed = real_mosquitto.OPEN.replace("allow_anonymous true", "allow_anonymous false")
    broker = at.stack.enter_context(real_mosquitto.running(at.folder, closed))
    return at.write(BROKER.format(port=1, more=""), _centre(broker.port))


@fault(
    "sink", en="centre: we may not publish there (0x87)", zh="不允许发布", mend="let this user publish to firegrid/t1/#"
)
def uplink_topic_not_allowed(at: Field, _: Patch) -> Path:
    rights = at.folder / "acl"
    rights.write_text("topic readwrite elsewhere/#\n", encoding="utf-8")
    broker = at.stack.enter_context(real_mosquitto.running(at.folder, f"{real_mosquitto.OPEN}acl_file {rights}\n"))
    return at.write(BROKER.format(port=1, more=""), _centre(broker.port))


@fault("configuration", en="has no phone, but policy", zh="没有电话，但预案", mend="add the phone")
def contact_without_phone(at: Field, _: Patch) -> Path:
    people = '[[contact]]\nid = "wang"\ncell = "a"\nrole = "captain"\n'
    steps = '[{ after = "0s", notify = ["role:captain@cell", "role:squad@cell"], by = ["sms"] }]'
    policy = f'[[policy]]\nid = "turn-out"\nsteps = {steps}\n'
    return at.write(BROKER.format(port=1, more=""), MODEM.format(port="/dev/null"), people, policy)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: Patch) -> Iterator[Field]:
    """Return the field; brokers of these tests are on this machine: their silence is told sooner."""
    monkeypatch.setattr(brokers, "QUIET", 0.3)
    monkeypatch.setattr(examined_wires, "ASKED", 2)
    at = Field(tmp_path)
    with at.stack:
        yield at


def test_there_are_more_than_twenty_of_them() -> None:
    assert len(FAULTS) >= 20


@pytest.mark.parametrize("name", FAULTS)
def test_a_seeded_fault_is_found_and_comes_with_its_fix(name: str, place: Field, monkeypatch: Patch) -> None:
    case = FAULTS[name]
    with monkeypatch.context() as patch:
        path = case.sow(place, patch)
        rows = list(doctor.findings(path, probe=case.probe))
    found = [row for row in rows if row.area == case.area and case.en in row.en]
    assert [row.level for row in found] == [Level.BAD], "\n".join(map(str, rows))
    assert case.zh in found[0].zh
    assert case.mend in found[0].mend_en
    assert found[0].mend_zh


def test_a_good_station_has_none(place: Field) -> None:
    broker = place.stack.enter_context(real_mosquitto.running(place.folder))
    place.broker = broker.port
    shutil.copy(CERTIFICATES / "good.pem", place.folder)
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    page = f'[page]\nlisten = "127.0.0.1:{port}"\ncert_file = "good.pem"\nkey_file = "good.pem"\n'
    (place.folder / "good.pem").chmod(0o600)
    url = place.stack.enter_context(faulty.web_server(204))
    sink = f'[[sink]]\nid = "graphs"\nkind = "influx"\nurl = "{url}"\nbucket = "fire"\n'
    path = place.write(*place.bus(near=Fault(), far=Fault()), *place.modem(), page, sink, _centre(broker.port))
    rows = list(doctor.findings(path, probe=False))
    assert [row for row in rows if row.level is Level.BAD] == []
    said = {row.area: row.en for row in rows}
    assert {"bus", "modem", "certificate", "sink", "broker", "serial"} <= set(said)
    assert "CHINA MOBILE -67 dBm" in said["modem"]
    assert len([row for row in rows if row.area == "sink"]) == 2


@pytest.mark.parametrize(("up", "level"), [(True, Level.GOOD), (False, Level.REMARK)])
def test_where_a_sink_stands_is_information_while_it_is_well(place: Field, up: bool, level: Level) -> None:  # noqa: FBT001 - a parameter
    place_text = "已送至 sent up to commit 7, 没有积压 nothing waits"
    link = {"name": "sink far", "up": up, "reason": "" if up else "gone", "findings": {"position": place_text}}
    place.stack.enter_context(faulty.daemon(place.folder / "station.db.sock", {"links": [link]}))
    rows = list(doctor.findings(place.write(BROKER.format(port=1, more="")), probe=False))
    assert [row.level for row in rows if "commit 7" in row.en] == [level]
