"""`[heartbeat]` and `[power]`: who hears that the gateway lives, and what it does when the mains fail.

Part of the configuration (house section 13). Without the tables nobody outside hears a heartbeat, and what the kernel
knows of a battery is a point like any other.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec

from gateway.config import options
from gateway.config.problems import Kind
from gateway.config.quantities import Seconds
from gateway.config.sheet import Sheet
from gateway.model.care import AtLow, HeartbeatSpec, PowerSpec
from gateway.model.point import Device
from gateway.model.station import SourceSpec

SHORTEST, LONGEST = 5.0, 30.0  # s: with the longest a way that fails is told within 100 s
_NUT = re.compile(r"[\w.-]+@(\[[0-9A-Fa-f:]+\]|[\w.-]+)(:\d{1,5})?", re.ASCII)


class HeartbeatOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Keys of `[heartbeat]`, see `HeartbeatSpec`."""

    every: Seconds = 30.0
    source: str = ""
    topic: str = ""
    url: str = ""
    secret_file: str = ""
    ca_file: str = ""
    device: str = ""
    point: str = ""
    toggle: bool = False


class PowerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Keys of `[power]`, see `PowerSpec`."""

    mains_lost: str = ""
    nut: str = ""
    low: float = 20.0
    lasts: Seconds = 0.0
    at_low: AtLow = "stay"


def read_heartbeat(
    sheet: Sheet, folder: Path, sources: Collection[SourceSpec], devices: Mapping[str, Device]
) -> HeartbeatSpec | None:
    """Read `[heartbeat]`; None when it cannot be used: the station runs without it then."""
    given = options.check(sheet, HeartbeatOptions, folder)
    own = HeartbeatSpec(**given) if not sheet.broken else HeartbeatSpec()
    if not SHORTEST <= own.every <= LONGEST:
        _out_of_range(sheet, "every", f"{own.every:g}s", f"{SHORTEST:g}s to {LONGEST:g}s")
    brokers = [source.id for source in sources if source.driver == "mqtt"]
    if own.source and own.source not in brokers:
        _unknown(sheet, "source", "mqtt source", own.source, brokers)
    if set("+#") & set(own.topic):
        sheet.report(Kind.REFUSED, "topic", error=f'"{own.topic}" has + or #, which no message can be sent to')
    if not own.url.isascii():  # as a backup without secrets leaves it
        sheet.report(Kind.REFUSED, "url", error=f'"{own.url}" is no address: write http(s)://host/path in ASCII')
    for first, second in (("url", "secret_file"), ("device", "point")):
        if getattr(own, first) and not getattr(own, second):
            sheet.report(Kind.MISSING_KEY, example=f'{second} = "…"')
    if not (sheet.broken or own.source or own.url or own.device):  # nobody would hear it
        sheet.report(Kind.MISSING_KEY, example='source = "broker"')
    if own.device:
        _output(sheet, own, devices)
    return None if sheet.broken else own


def read_power(sheet: Sheet, folder: Path, devices: Mapping[str, Device]) -> PowerSpec | None:
    """Read `[power]`; None when it cannot be used."""
    given = options.check(sheet, PowerOptions, folder)
    own = PowerSpec(**given) if not sheet.broken else PowerSpec()
    points = [f"{device.id}.{spec.name}" for device in devices.values() for spec in device.profile.points]
    if own.mains_lost and own.mains_lost not in points:
        _unknown(sheet, "mains_lost", "point", own.mains_lost, points)
    if own.nut and not _NUT.fullmatch(own.nut):
        sheet.report(Kind.REFUSED, "nut", error=f'"{own.nut}" is not ups@host or ups@host:port')
    if not 0 < own.low < 100:
        _out_of_range(sheet, "low", f"{own.low:g}", "low = 20")
    return None if sheet.broken else own


def _output(sheet: Sheet, own: HeartbeatSpec, devices: Mapping[str, Device]) -> None:
    if own.device not in devices:
        _unknown(sheet, "device", "device", own.device, devices)
        return
    points = [spec.name for spec in devices[own.device].profile.points]
    if own.point and own.point not in points:
        _unknown(sheet, "point", f'point of device "{own.device}"', own.point, points)


def _unknown(sheet: Sheet, key: str, what: str, given: str, known: Collection[str]) -> None:
    sheet.broken = True
    sheet.findings.unknown((*sheet.path, key), what, given, known)


def _out_of_range(sheet: Sheet, key: str, given: str, wanted: str) -> None:
    sheet.report(Kind.OUT_OF_RANGE, key, given=given, wanted=wanted)
