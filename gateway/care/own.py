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
_LOOKS = 65.0  # s: three looks agree; a fault may be held back for 100 s at most


def _alarm(
    when: str, clear: str | None, alarm_class: AlarmClass, severity: Severity, on_delay: float = _LOOKS
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
    return (_alarm(f"value > {limit:.15g}", f"value < {clear:.15g}", alarm_class, severity, on_delay),)


def _measure(name: str, unit: str, title: tuple[str, str], alarms: tuple[AlarmSpec, ...] = ()) -> PointSpec:
    return PointSpec(name=name, unit=unit, title=title[0], title_en=title[1], alarms=alarms)


def _state(name: str, title: tuple[str, str], labels: tuple[str, ...], *alarms: AlarmSpec) -> PointSpec:
    """Return a state whose labels stand for 0, 1 and so on."""
    numbers = {label: float(number) for number, label in enumerate(labels)}
    return PointSpec(name=name, kind=Kind.STATE, title=title[0], title_en=title[1], labels=numbers, alarms=alarms)


def _when(label: str, alarm_class: AlarmClass, severity: Severity, on_delay: float) -> AlarmSpec:
    return _alarm(f'value == "{label}"', None, alarm_class, severity, on_delay)


_FAULT, _SUPERVISORY, _MAINTENANCE = AlarmClass.FAULT, AlarmClass.SUPERVISORY, AlarmClass.MAINTENANCE
_WARNING, _CRITICAL = Severity.WARNING, Severity.CRITICAL

POINTS = (
    # The disk of the store.
    _measure("disk_free", "By", ("磁盘可用空间", "disk space left")),
    _measure("disk_free_share", "%", ("磁盘可用比例", "share of disk left"), _low(10, 5)),
    _measure("inodes_free_share", "%", ("磁盘可用文件数比例", "share of inodes left"), _low(5, 2)),
    _measure("store_size", "By", ("存储文件大小", "size of the store")),
    # Beyond its budget, or on a full disk, readings go before their time: said before it begins, and while it goes on.
    _measure(
        "store_budget",
        "%",
        ("存储预算已用比例", "share of the store's budget used"),
        _high(90, 85, _MAINTENANCE, _LOOKS),
    ),
    _measure("readings_kept", "d", ("原始读数保留天数", "days of readings kept")),
    _state(
        "thinning",
        ("读数提前删除", "readings go before their time"),
        ("no", "yes"),
        _when("yes", _FAULT, _WARNING, 0.0),
    ),
    # The WAL is cut back to 16 MiB: one that stays far above has a reader that never ends, or a disk that lags.
    _measure("wal_size", "By", ("存储日志大小", "size of the store's log"), _high(256 << 20, 64 << 20, _FAULT, _LOOKS)),
    # 1 GiB a day is what 50 points at 1 Hz cost; a card of 32 GB bears about 4 GiB a day for ten years.
    _measure(
        "written_day",
        "By/d",
        ("网关每日写入量", "written a day by the gateway"),
        _high(4 << 30, 3 << 30, _MAINTENANCE, _HOUR),
    ),
    _measure(
        "disk_written_day",
        "By/d",
        ("磁盘每日写入量", "written a day to the disk"),
        _high(16 << 30, 12 << 30, _MAINTENANCE, _HOUR),
    ),
    # JEDEC eMMC 5.0 life time estimate in steps of 10 %; many SD cards have none.
    _measure(
        "card_wear",
        "%",
        ("存储卡磨损", "wear of the card"),
        (
            _alarm("value >= 80", "value < 80", _MAINTENANCE, _WARNING),
            _alarm("value > 100", "value <= 100", _FAULT, _CRITICAL),
        ),
    ),
    _state(
        "card_reserve",
        ("存储卡备用块", "spare blocks of the card"),
        ("normal", "warning", "urgent"),
        _when("warning", _MAINTENANCE, _WARNING, _LOOKS),
        _when("urgent", _FAULT, _CRITICAL, _LOOKS),
    ),
    # Processor and supply. A Pi slows itself from 80 °C on.
    _measure("cpu_temperature", "Cel", ("处理器温度", "processor temperature"), _high(80, 75, _FAULT, _LOOKS)),
    _state("under_voltage", ("供电欠压", "supply voltage"), ("normal", "low"), _when("low", _FAULT, _WARNING, 0.0)),
    _state(
        "under_voltage_seen",
        ("开机后曾欠压", "supply was low since boot"),
        ("no", "yes"),
        _when("yes", _MAINTENANCE, _WARNING, 0.0),
    ),
    _state(
        "throttled",
        ("处理器降频", "processor slowed down"),
        ("no", "yes"),
        _when("yes", _MAINTENANCE, _WARNING, 5 * _MINUTES),
    ),
    _measure("memory_available", "%", ("可用内存", "memory left"), _low(8, 4)),
    _measure("memory_used", "By", ("网关占用内存", "memory of the gateway")),
    _measure("load", "1", ("每核负载", "load per core"), _high(3, 2, _MAINTENANCE, 15 * _MINUTES)),
    _measure(
        "loop_lag", "s", ("主循环停顿", "loop lag")
    ),  # its alarm is an event of the gateway: it must not wait for this look
    _measure("uptime", "s", ("开机时间", "time since boot")),
    _measure("restarts_day", "1", ("24 小时内启动次数", "starts in 24 h"), _high(5, 3, _FAULT, 0.0)),
    # A box without a clock chip needs minutes until a time server has answered.
    _state(
        "clock_trusted",
        ("时间校准", "clock trusted"),
        ("no", "yes"),
        _when("no", _SUPERVISORY, _WARNING, 10 * _MINUTES),
    ),
    _measure(
        "clock_error", "s", ("时间误差", "clock error"), _high(5, 2, _SUPERVISORY, 10 * _MINUTES)
    ),  # GB 50440: 5 s over the system
    # The worst of the modems. That a modem does not work at all is a fault of its channel already.
    _measure(
        "modem_signal",
        "dB[mW]",
        ("信号强度", "modem signal"),
        (_alarm("value < -105", "value > -101", _MAINTENANCE, _WARNING, 10 * _MINUTES),),
    ),
    _state(
        "modem_registered",
        ("网络注册", "modem registration"),
        ("no", "home", "roaming"),
        _when("no", _FAULT, _WARNING, _LOOKS),
    ),
    _state(
        "sim",
        ("SIM 卡", "SIM"),
        ("missing", "ready", "locked"),
        _alarm('value != "ready"', None, _FAULT, _WARNING),
    ),
    # Mains and battery, where `[power]` or the kernel knows of them.
    _state("mains", ("市电", "mains"), ("lost", "present"), _when("lost", _SUPERVISORY, _WARNING, 10.0)),
    _measure("battery_charge", "%", ("后备电池电量", "battery charge"), _low(50, 20, _SUPERVISORY)),
    _measure("battery_runtime", "s", ("后备电池可用时间", "battery runtime")),
    _state("battery_low", ("后备电池将尽", "battery low"), ("no", "yes"), _when("yes", _SUPERVISORY, _CRITICAL, 0.0)),
)


def furnished(station: Station) -> Station:
    """Return the station with the device `gateway` as this version knows it; a device of the user's keeps the name."""
    others = tuple(device for device in station.devices if device.profile.id != PROFILE)
    if named_so(station):
        return station
    replace = msgspec.structs.replace
    english = station.language != "zh"
    points = tuple(replace(point, title=point.title_en) for point in POINTS) if english else POINTS
    title = "this gateway" if english else "本网关"
    profile = Profile(id=PROFILE, title=title, points=points)
    own = Device(id=BOX, source="", profile=profile, name=title, poll=LOOK_EVERY)
    return replace(station, devices=(*others, own))


def named_so(station: Station) -> bool:
    """Whether a device of the user's has the name of the box."""
    return any(device.id == BOX and device.profile.id != PROFILE for device in station.devices)
