"""The device `gateway`: which figures of the box are points, and which of them are alarms without being asked for.

Data beside the flow. Every station has the device without a line of configuration (house sections 6 and 7: alarms are
on by default, the gateway's own failures are alarms like any others); a `[[rule]]` that names a point refines its
alarm. A figure this box cannot tell (no battery, no modem, no card that counts its wear) is a point that never speaks.
"""

from __future__ import annotations

import msgspec

from gateway.model.inventory import BOX
from gateway.model.point import AlarmClass, AlarmSpec, Device, Kind, PointSpec, Profile, Severity
from gateway.model.station import Station

LOOK_EVERY = 30.0  # s
PROFILE = "gateway-box"
_MINUTES, _HOUR = 60.0, 3600.0


def _alarm(
    when: str, clear: str | None, alarm_class: AlarmClass, severity: Severity, on_delay: float = 2 * _MINUTES
) -> AlarmSpec:
    return AlarmSpec(when=when, clear=clear, alarm_class=alarm_class, severity=severity, on_delay=on_delay)


def _low(warning: float, critical: float, alarm_class: AlarmClass = AlarmClass.FAULT) -> tuple[AlarmSpec, ...]:
    """Return alarms of a share (%) that must not run out; each clears a fifth above its limit."""
    return tuple(
        _alarm(f"value < {limit:g}", f"value > {limit * 1.2:g}", alarm_class, severity)
        for limit, severity in ((warning, Severity.WARNING), (critical, Severity.CRITICAL))
    )


def _high(limit: float, clear: float, alarm_class: AlarmClass, on_delay: float) -> tuple[AlarmSpec, ...]:
    severity = Severity.WARNING
    return (_alarm(f"value > {limit:g}", f"value < {clear:g}", alarm_class, severity, on_delay),)


def _measure(name: str, unit: str, title: str, alarms: tuple[AlarmSpec, ...] = ()) -> PointSpec:
    return PointSpec(name=name, unit=unit, title=title, alarms=alarms)


def _state(name: str, title: str, labels: tuple[str, ...], *alarms: AlarmSpec) -> PointSpec:
    """Return a state whose labels stand for 0, 1 and so on."""
    numbers = {label: float(number) for number, label in enumerate(labels)}
    return PointSpec(name=name, kind=Kind.STATE, title=title, labels=numbers, alarms=alarms)


def _when(label: str, alarm_class: AlarmClass, severity: Severity, on_delay: float) -> AlarmSpec:
    return _alarm(f'value == "{label}"', None, alarm_class, severity, on_delay)


_FAULT, _SUPERVISORY, _MAINTENANCE = AlarmClass.FAULT, AlarmClass.SUPERVISORY, AlarmClass.MAINTENANCE
_WARNING, _CRITICAL = Severity.WARNING, Severity.CRITICAL

POINTS = (
    # The disk of the store.
    _measure("disk_free", "By", "磁盘可用空间"),
    _measure("disk_free_share", "%", "磁盘可用比例", _low(10, 5)),
    _measure("inodes_free_share", "%", "磁盘可用文件数比例", _low(5, 2)),
    _measure("store_size", "By", "存储文件大小"),
    # The WAL is cut back to 16 MiB: one that stays far above has a reader that never ends, or a disk that lags.
    _measure("wal_size", "By", "存储日志大小", _high(256 << 20, 64 << 20, _FAULT, 5 * _MINUTES)),
    # 1 GiB a day is what 50 points at 1 Hz cost; a card of 32 GB bears about 4 GiB a day for ten years.
    _measure("written_day", "By/d", "网关每日写入量", _high(4 << 30, 3 << 30, _MAINTENANCE, _HOUR)),
    _measure("disk_written_day", "By/d", "磁盘每日写入量", _high(16 << 30, 12 << 30, _MAINTENANCE, _HOUR)),
    # JEDEC eMMC 5.0 life time estimate in steps of 10 %; many SD cards have none.
    _measure(
        "card_wear",
        "%",
        "存储卡磨损",
        (
            _alarm("value >= 80", "value < 80", _MAINTENANCE, _WARNING),
            _alarm("value > 100", "value <= 100", _FAULT, _CRITICAL),
        ),
    ),
    _state(
        "card_reserve",
        "存储卡备用块",
        ("normal", "warning", "urgent"),
        _when("warning", _MAINTENANCE, _WARNING, 2 * _MINUTES),
        _when("urgent", _FAULT, _CRITICAL, 2 * _MINUTES),
    ),
    # Processor and supply. A Pi slows itself from 80 °C on.
    _measure("cpu_temperature", "Cel", "处理器温度", _high(80, 75, _FAULT, 2 * _MINUTES)),
    _state("under_voltage", "供电欠压", ("normal", "low"), _when("low", _FAULT, _WARNING, 0.0)),
    _state("under_voltage_seen", "开机后曾欠压", ("no", "yes"), _when("yes", _MAINTENANCE, _WARNING, 0.0)),
    _state("throttled", "处理器降频", ("no", "yes"), _when("yes", _MAINTENANCE, _WARNING, 5 * _MINUTES)),
    _measure("memory_available", "%", "可用内存", _low(8, 4)),
    _measure("memory_used", "By", "网关占用内存"),
    _measure("load", "1", "每核负载", _high(3, 2, _MAINTENANCE, 15 * _MINUTES)),
    _measure("loop_lag", "s", "主循环停顿"),  # its alarm is an event of the gateway: it must not wait for this look
    _measure("uptime", "s", "开机时间"),
    _measure("restarts_day", "1", "24 小时内启动次数", _high(5, 3, _FAULT, 0.0)),
    # A box without a clock chip needs minutes until a time server has answered.
    _state("clock_trusted", "时间校准", ("no", "yes"), _when("no", _FAULT, _WARNING, 15 * _MINUTES)),
    _measure("clock_error", "s", "时间误差", _high(5, 2, _FAULT, 15 * _MINUTES)),  # GB 50440: 5 s over the system
    # The worst of the modems. That a modem does not work at all is a fault of its channel already.
    _measure(
        "modem_signal",
        "dB[mW]",
        "信号强度",
        (_alarm("value < -105", "value > -101", _FAULT, _WARNING, 10 * _MINUTES),),
    ),
    _state("modem_registered", "网络注册", ("no", "home", "roaming"), _when("no", _FAULT, _WARNING, 3 * _MINUTES)),
    _state(
        "sim",
        "SIM 卡",
        ("missing", "ready", "locked"),
        _when("missing", _FAULT, _WARNING, 2 * _MINUTES),
        _when("locked", _FAULT, _WARNING, 2 * _MINUTES),
    ),
    # Mains and battery, where `[power]` or the kernel knows of them.
    _state("mains", "市电", ("lost", "present"), _when("lost", _SUPERVISORY, _WARNING, 10.0)),
    _measure("battery_charge", "%", "后备电池电量", _low(50, 20, _SUPERVISORY)),
    _measure("battery_runtime", "s", "后备电池可用时间"),
    _state("battery_low", "后备电池将尽", ("no", "yes"), _when("yes", _SUPERVISORY, _CRITICAL, 0.0)),
)


def furnished(station: Station) -> Station:
    """Return the station with the device `gateway` as this version knows it; a device of the user's keeps the name."""
    others = tuple(device for device in station.devices if device.profile.id != PROFILE)
    if any(device.id == BOX for device in others):
        return station
    profile = Profile(id=PROFILE, title="网关本机", points=POINTS)
    own = Device(id=BOX, source="", profile=profile, name="网关本机", poll=LOOK_EVERY)
    return msgspec.structs.replace(station, devices=(*others, own))
