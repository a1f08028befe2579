"""Faults of serial ports, buses and modems, for `firegrid doctor` to find."""

from __future__ import annotations

import os
import pty
import sys
from pathlib import Path

from drivers.simulated.modbus_bus import Fault
from gateway.transport import at_link
from tests.commissioning import faulty
from tests.commissioning.faulty import BUS, SENSOR, Field
from tests.commissioning.sown import Faults, Patch

FAULTS = Faults()
fault = FAULTS.fault


HOLD = """
import fcntl, os, sys, time
port = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
fcntl.flock(port, fcntl.LOCK_EX)
print(1, flush=True)
time.sleep(60)
"""


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
