"""Faults of the box itself, its store, clock and page, for `firegrid doctor` to find."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

from gateway.clock import SystemClock
from gateway.store.database import Store
from tests.commissioning.faulty import BROKER, Field
from tests.commissioning.sown import Faults, Patch
from tests.store_groups import group

FAULTS = Faults()
fault = FAULTS.fault


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
