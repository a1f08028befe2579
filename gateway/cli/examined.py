"""What `firegrid doctor` finds on this machine: configuration, store, serial ports, clock, software, running daemon.

Each examination yields findings and changes nothing: the store is opened read-only beside a running daemon. What a
broker does with queued messages is measured in `gateway.cli.brokers`.
"""

from __future__ import annotations

import grp
import os
import platform
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from gateway.clock import SECOND, Clock
from gateway.config.loaded import Loaded
from gateway.config.problems import Problem
from gateway.errors import GatewayError, StoreTooNew
from gateway.model.station import Station, StoreSpec
from gateway.store import chain

MIB = 1 << 20
LEAST_FREE = 200 * MIB  # below it a store of a day's readings no longer fits
LARGE_WAL = 64 * MIB  # SQLite's own is 4 MiB; sixteen times that means that something holds a snapshot open
OLDEST_YEAR = 2025  # an earlier wall clock was never set


class Level(StrEnum):
    """How bad a finding is."""

    GOOD = "good"
    REMARK = "remark"
    BAD = "bad"


class Finding(NamedTuple):
    """One thing found: what and how to mend it, Chinese and English; nothing to mend is empty."""

    area: str
    level: Level
    zh: str
    en: str
    mend_zh: str = ""
    mend_en: str = ""


def configuration(loaded: Loaded, problems: list[Problem]) -> Iterator[Finding]:
    """Yield every problem and note of the file."""
    for problem in problems:
        level = Level.REMARK if problem.note else Level.BAD
        line = f":{problem.line}" if problem.line else ""
        place = f"{problem.file}{line}{f': {problem.key}' if problem.key else ''}"
        yield Finding(
            "configuration",
            level,
            f"{place}：{problem.reason('zh')}",
            f"{place}: {problem.reason('en')}",
            problem.fix("zh"),
            problem.fix("en"),
        )
    if loaded.good and all(problem.note for problem in problems):
        yield Finding("configuration", Level.GOOD, "配置正确", "the configuration is good")


def software() -> Iterator[Finding]:
    """Yield what runs here."""
    packages = [f"{name} {metadata.version(name)}" for name in ("firegrid", "numpy", "msgspec", "mqtt5", "pyserial")]
    versions = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {', '.join(packages)}"
    yield Finding("software", Level.GOOD, versions, versions)


def clock_of(clock: Clock, station: Station | None) -> Iterator[Finding]:
    """Yield whether wall time can be believed."""
    year = datetime.fromtimestamp(clock.wall() / SECOND, tz=UTC).year
    mend = ("运行：sudo timedatectl set-ntp true，并检查网络", "run: sudo timedatectl set-ntp true; check the network")
    if year < OLDEST_YEAR:
        yield Finding("clock", Level.BAD, f"时钟显示 {year} 年", f"the clock says {year}", *mend)
    elif clock.synchronised():
        yield Finding("clock", Level.GOOD, "时钟已同步", "the clock is synchronised")
    elif station is not None and station.clock == "trusted":
        yield Finding("clock", Level.GOOD, "时钟由配置声明为可信", "the clock is trusted by the configuration")
    else:
        zh, en = "时钟未同步：短信会注明“时间未校准”", "the clock is not synchronised: messages will say so"
        own = ('；由其他方式校时的，写 [station] clock = "trusted"', '; if something else keeps it: clock = "trusted"')
        yield Finding("clock", Level.REMARK, zh, en, mend[0] + own[0], mend[1] + own[1])


def store(spec: StoreSpec) -> Iterator[Finding]:
    """Yield whether the store opens and verifies, what it weighs and what is free."""
    path = Path(spec.path)
    if not path.parent.is_dir():
        mend = f"mkdir -p {path.parent}"
        text = f"文件夹 {path.parent} 不存在", f"folder {path.parent} does not exist"
        yield Finding("store", Level.BAD, *text, f"运行：{mend}", f"run: {mend}")
        return
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        mend = f"sudo chown -R $(id -un) {path.parent}"
        yield Finding(
            "store", Level.BAD, f"{path} 不可写", f"{path} cannot be written", f"运行：{mend}", f"run: {mend}"
        )
    free = shutil.disk_usage(path.parent).free
    level = Level.GOOD if free >= LEAST_FREE else Level.BAD
    mends = ("", "") if level is Level.GOOD else ("请释放空间或缩短 retention", "free some space or shorten retention")
    yield Finding("store", level, f"磁盘剩余 {free // MIB} MiB", f"{free // MIB} MiB of disk are free", *mends)
    if not path.exists():
        yield Finding("store", Level.GOOD, f"{path} 尚未建立", f"{path} is not there yet: the first start makes it")
        return
    yield from _weight(path)
    try:
        checked = chain.check(path)
    except StoreTooNew as error:
        fix = "安装写它的版本或更新的版本：firegrid --version；或恢复升级前的备份"
        fix_en = "install the version that wrote it or a newer one; or restore the backup from before the upgrade"
        yield Finding(
            "store", Level.BAD, f"由更新的版本写成：{error}", f"a newer version wrote it: {error}", fix, fix_en
        )
        return
    except GatewayError as error:
        fix = "停止守护进程并备份该文件；下次启动会自动另存并接管可读部分"
        fix_en = "stop the daemon and copy the file; the next start sets it aside and takes over what can be read"
        yield Finding("store", Level.BAD, f"无法读取：{error}", f"cannot be read: {error}", fix, fix_en)
        return
    rows, fault = checked.rows, checked.broken
    if fault is None:
        yield Finding("store", Level.GOOD, f"{rows} 条记录的哈希链完整", f"the chain over {rows} records holds")
    else:
        text = f"记录链在第 {fault} 条断开：记录被改动或损坏", f"the chain breaks at record {fault}: changed or damaged"
        mend_zh = f"请保留 {path} 作为证据，并从备份核对"
        yield Finding("store", Level.BAD, *text, mend_zh, f"keep {path} as evidence and compare it with a backup")


def _weight(path: Path) -> Iterator[Finding]:
    wal = Path(f"{path}-wal")
    heavy = wal.stat().st_size if wal.exists() else 0
    size = path.stat().st_size / MIB
    yield Finding("store", Level.GOOD, f"{path}：{size:.1f} MiB", f"{path}: {size:.1f} MiB")
    if heavy > LARGE_WAL:
        text = (
            f"WAL 有 {heavy // MIB} MiB：有程序长时间占用数据库",
            f"the WAL has {heavy // MIB} MiB: a reader holds it",
        )
        yield Finding("store", Level.REMARK, *text, f"运行：fuser {path}", f"find it: fuser {path}")


def ports(station: Station) -> Iterator[Finding]:
    """Yield whether the serial ports are there and may be opened."""
    wanted = [(f"source[{source.id}]", source.options) for source in station.sources]
    wanted += [(f"channel[{channel.id}]", channel.options) for channel in station.channels]
    for owner, options in wanted:
        name = options.get("port")
        if isinstance(name, str) and name.startswith("/"):
            yield _port(owner, Path(name))


def _port(owner: str, path: Path) -> Finding:
    if not path.exists():
        there = sorted(str(found) for found in (*Path("/dev/serial/by-id").glob("*"), *Path("/dev").glob("ttyUSB*")))
        seen = ", ".join(there) or "—"
        zh, en = f"{owner}：{path} 不存在", f"{owner}: {path} is not there"
        mend = f"请接好适配器，或改为现有端口：{seen}", f"plug the adapter in, or name a port that is there: {seen}"
        return Finding("serial", Level.BAD, zh, en, *mend)
    mode = path.stat()
    if not stat.S_ISCHR(mode.st_mode):
        text = f"{owner}：{path} 不是串口", f"{owner}: {path} is no serial port"
        return Finding("serial", Level.BAD, *text, "请改正路径", "correct the path")
    if not os.access(path, os.R_OK | os.W_OK):
        group = _group(mode.st_gid)
        mend_line = f"sudo usermod -aG {group} $(id -un)"
        text = f"{owner}：没有权限打开 {path}", f"{owner}: {path} may not be opened"
        mend = f"运行：{mend_line}，然后重新登录", f"run: {mend_line}, then log in again"
        return Finding("serial", Level.BAD, *text, *mend)
    return Finding("serial", Level.GOOD, f"{owner}：{path} 可用", f"{owner}: {path} can be opened")


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return "dialout"
