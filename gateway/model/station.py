"""The configuration as frozen objects: what `gateway.config` makes of a TOML file and everybody else reads."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.model.care import HeartbeatSpec, PowerSpec
from gateway.model.contact import Cell, ChannelSpec, Contact, Policy, PolicyChoice
from gateway.model.point import AlarmClass, Device, Severity


class StoreSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Where and how the store keeps. Durations in seconds, sizes in bytes.

    `budget`: what the store may use, 0 without a bound of its own; `budget_share`: likewise, of the disk.
    `retain_record`: whole years of the record that are kept beside the present one, 0 for all.
    """

    path: str
    commit_interval: float = 5.0
    retain_raw: float = 30 * 86400.0
    retain_minute: float = 366 * 86400.0
    retain_hour: float = 3653 * 86400.0
    retain_record: int = 0
    journal_budget: int = 2 << 30
    budget: int = 0
    budget_share: float = 0.8


class SourceSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One link. `driver` names the file in drivers/; `options` are its own keys, checked by its schema."""

    id: str
    driver: str
    cell: str = ""
    options: dict[str, Any] = {}


class SinkSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One far end that gets copies. `kind` names the file in gateway/sinks; `options` are its own keys."""

    id: str
    kind: str
    options: dict[str, Any] = {}


class RuleSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One rule as configured. Delays in seconds.

    `points` are globs over `device.point` or selectors `unit:%`, `cell:jc/3`, `kind:measure`.
    """

    id: str
    kind: str = "threshold"
    points: tuple[str, ...] = ()
    when: str = ""
    clear: str | None = None
    on_delay: float = 0.0
    off_delay: float = 0.0
    latch: bool | None = None
    alarm_class: AlarmClass = AlarmClass.SUPERVISORY
    severity: Severity = Severity.WARNING
    policy: str = ""
    title: str = ""
    alarm: bool = True  # False switches the default alarms of its points off
    reason: str = ""  # why, needed with alarm = false
    options: dict[str, Any] = {}

    @property
    def latched(self) -> bool:
        """Whether the alarm latches: fire, gas and flood do unless told otherwise."""
        return self.alarm_class.life_safety if self.latch is None else self.latch


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Counted limits and deadlines that tests shorten. Durations in seconds."""

    keys: int = 4096  # alarm keys of devices that grow at run time
    link_fault: float = 60.0  # a link down this long is a fault alarm
    settle: float = 60.0  # faults wait this long after a start
    commit_deadline: float = 2.0  # a life-safety transition not committed by then leaves volatile
    reopen: float = 10.0  # how often a fresh connection to the store is tried
    open_deadline: float = 5.0  # a store that does not open by then is set aside
    receive_maximum: int = 8192
    send_timeout: float = 120.0  # a notice in `sending` this long without a receipt has failed
    retry: tuple[float, ...] = (10.0, 30.0, 90.0)
    first_test: float = 30 * 86400.0  # a device that was never tried so long after it was configured is due
    test_life: float = 180 * 86400.0  # likewise one that watches for fire, gas or flood, after its last test
    test_other: float = 365 * 86400.0  # … and any other


class PageSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Where the live page is served. `names`: host names by which it is asked; `phones`: roles that see numbers."""

    host: str = "127.0.0.1"
    port: int = 8080
    cert_file: str = ""
    key_file: str = ""
    names: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()


class Station(msgspec.Struct, frozen=True, kw_only=True):
    """One station, whole."""

    id: str
    name: str
    store: StoreSpec
    timezone: str = "Asia/Shanghai"
    language: str = "zh"
    clock: str = "ntp"  # "trusted": wall time is kept right by something the kernel does not know of
    sources: tuple[SourceSpec, ...] = ()
    devices: tuple[Device, ...] = ()
    rules: tuple[RuleSpec, ...] = ()
    channels: tuple[ChannelSpec, ...] = ()
    sinks: tuple[SinkSpec, ...] = ()
    policies: tuple[Policy, ...] = ()
    choices: tuple[PolicyChoice, ...] = ()
    cells: tuple[Cell, ...] = ()
    contacts: tuple[Contact, ...] = ()
    limits: Limits = Limits()
    socket: str = ""  # control socket; empty: beside the store
    page: PageSpec | None = None
    heartbeat: HeartbeatSpec | None = None
    power: PowerSpec | None = None
