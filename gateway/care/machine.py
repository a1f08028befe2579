"""What the kernel tells of the box: disk, card, processor, memory, supply, as figures by the names of `care.own`.

Beside the flow, called in a thread: a dying disk may hold a look for ever. Every file is read under a root, so that
tests and other boxes can be shown one (house rule 9). A file that is absent or makes no sense leaves its figure out: a
box without a battery is no fault (house rule 5 is kept by the silence of the whole device).
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.model.time import DAY, HOUR, MINUTE

SECTOR = 512  # bytes: what block statistics count in, whatever the disk's own sectors
_SAMPLE_EVERY = 10 * MINUTE
_CPU = re.compile(r"cpu|soc|pkg|x86|package", re.IGNORECASE)
_UNDER_VOLTAGE, _SOFT_LIMITS, _UNDER_VOLTAGE_SEEN = 1 << 0, 0b1110, 1 << 16  # bits of get_throttled


@dataclass(frozen=True, slots=True)
class Volume:
    """What statvfs(3) and stat(2) say of the store's folder: shares in %, `number` major and minor of its device."""

    free: int
    free_share: float
    inodes_share: float | None  # None: a file system that has no fixed number of them
    number: tuple[int, int]


def volume(folder: Path) -> Volume:
    """Look at a folder's file system. Raises OSError."""
    found, device = os.statvfs(folder), folder.stat().st_dev
    return Volume(
        free=found.f_bavail * found.f_frsize,
        free_share=100 * found.f_bavail / found.f_blocks if found.f_blocks else 0.0,
        inodes_share=100 * found.f_favail / found.f_files if found.f_files else None,
        number=(os.major(device), os.minor(device)),
    )


class Daily:
    """How much of a growing count comes together in a day: from what the last day, or the life so far, brought."""

    def __init__(self) -> None:
        self._samples: deque[tuple[int, int]] = deque()

    def take(self, now: int, count: int) -> float | None:
        """Return the count's growth a day; None in the first hour, which says nothing of a day."""
        samples = self._samples
        if samples and count < samples[-1][1]:  # it began anew
            samples.clear()
        if not samples or now - samples[-1][0] >= _SAMPLE_EVERY:
            samples.append((now, count))
        while len(samples) > 1 and now - samples[1][0] >= DAY:
            samples.popleft()
        since, before = samples[0]
        return (count - before) * DAY / (now - since) if now - since >= HOUR else None


class Machine:
    """Looks at one box. `root`: where /proc and /sys stand; `store`: path of the store's file."""

    def __init__(
        self,
        store: Path,
        *,
        root: Path = Path("/"),
        volume: Callable[[Path], Volume] = volume,
        cores: int | None = None,
    ) -> None:
        self._store = store
        self._root = root
        self._volume = volume
        self._cores = cores or os.cpu_count() or 1
        self._written, self._disk_written = Daily(), Daily()

    def look(self, now: int) -> dict[str, float]:
        """Return every figure that can be had. `now`: ns, monotonic."""
        figures: dict[str, float] = {}
        for part in (
            self._disk,
            self._written_day,
            self._card,
            self._processor,
            self._supply,
            self._memory,
            self._mains,
        ):
            try:
                figures.update(part(now))
            except (OSError, ValueError, IndexError):
                continue  # one file that lies costs its own group
        return figures

    # -- disk

    def _disk(self, _: int) -> Iterator[tuple[str, float]]:
        for name, path in (("store_size", self._store), ("wal_size", Path(f"{self._store}-wal"))):
            if path.exists():
                yield name, float(path.stat().st_size)
        found = self._volume(self._store.parent)
        yield "disk_free", float(found.free)
        yield "disk_free_share", found.free_share
        if found.inodes_share is not None:
            yield "inodes_free_share", found.inodes_share

    def _written_day(self, now: int) -> Iterator[tuple[str, float]]:
        written = _number(self._text("proc/self/io"), r"^write_bytes: (\d+)$")
        if written is not None and (daily := self._written.take(now, int(written))) is not None:
            yield "written_day", daily
        device = self._block()
        if device is not None:
            sectors = int(_read(device / "stat").split()[6])  # Documentation/block/stat: write sectors
            if (daily := self._disk_written.take(now, sectors * SECTOR)) is not None:
                yield "disk_written_day", daily

    def _card(self, _: int) -> Iterator[tuple[str, float]]:
        device = self._block()
        if device is None:
            return
        for folder in (device / "device", device.parent / "device"):  # a whole disk, or the disk of a partition
            life = [int(each, 16) for each in _read(folder / "life_time").split()]
            if any(life):  # 0x00: not defined
                yield "card_wear", 10.0 * max(life)
            reserve = _read(folder / "pre_eol_info").strip()
            if reserve and 1 <= int(reserve, 16) <= 3:
                yield "card_reserve", float(int(reserve, 16) - 1)

    def _block(self) -> Path | None:
        """Return the folder of the store's block device; None on tmpfs, overlays and in memory."""
        major, minor = self._volume(self._store.parent).number
        link = self._root / f"sys/dev/block/{major}:{minor}"
        return link.resolve() if link.exists() else None

    # -- processor and supply

    def _processor(self, _: int) -> Iterator[tuple[str, float]]:
        zones = sorted((self._root / "sys/class/thermal").glob("thermal_zone*"))
        own = [zone for zone in zones if _CPU.search(_read(zone / "type"))] or zones
        heat = [int(text) / 1000 for zone in own if (text := _read(zone / "temp").strip())]
        if heat:
            yield "cpu_temperature", max(heat)
        load = self._text("proc/loadavg").split()
        if load:
            yield "load", float(load[1]) / self._cores  # of five minutes
        uptime = self._text("proc/uptime").split()
        if uptime:
            yield "uptime", float(uptime[0])

    def _supply(self, _: int) -> Iterator[tuple[str, float]]:
        """A Raspberry Pi's own watch over its 5 V: the firmware's word, or the alarm of the driver rpi_volt."""
        low = [
            _read(chip / "in0_lcrit_alarm").strip() == "1"
            for chip in (self._root / "sys/class/hwmon").glob("hwmon*")
            if _read(chip / "name").strip() == "rpi_volt"
        ]
        word = next((_read(path).strip() for path in (self._root / "sys/devices/platform").glob(
            "soc*/*firmware/get_throttled")), "")  # fmt: skip
        if word:
            bits = int(word, 16)
            low.append(bool(bits & _UNDER_VOLTAGE))
            yield "throttled", float(bool(bits & _SOFT_LIMITS))
            yield "under_voltage_seen", float(bool(bits & _UNDER_VOLTAGE_SEEN))
        if low:
            yield "under_voltage", float(any(low))

    def _memory(self, _: int) -> Iterator[tuple[str, float]]:
        text = self._text("proc/meminfo")
        total, available = _number(text, r"^MemTotal: +(\d+) kB$"), _number(text, r"^MemAvailable: +(\d+) kB$")
        if total and available is not None:
            yield "memory_available", 100 * available / total
        used = _number(self._text("proc/self/status"), r"^VmRSS:\s+(\d+) kB$")
        if used is not None:
            yield "memory_used", used * 1024

    def _mains(self, _: int) -> Iterator[tuple[str, float]]:
        """A UPS board that the kernel knows (class power_supply): its charger, and the emptiest battery.

        Without a battery of the box itself a charger that calls itself offline says nothing: the box runs.
        """
        supplies = sorted((self._root / "sys/class/power_supply").glob("*"))
        kinds = {supply: _read(supply / "type").strip() for supply in supplies}
        charges = [
            _read(supply / "capacity").strip()
            for supply, kind in kinds.items()
            if kind == "Battery" and _read(supply / "scope").strip() != "Device"  # of a keyboard
        ]
        if not any(charges):
            return
        yield "battery_charge", min(float(each) for each in charges if each)
        online = [_read(supply / "online").strip() for supply, kind in kinds.items() if kind in ("Mains", "USB")]
        if any(online):
            yield "mains", float("1" in online)

    def _text(self, path: str) -> str:
        return _read(self._root / path)


def _read(path: Path) -> str:
    """Return a small file's text, nothing when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _number(text: str, pattern: str) -> float | None:
    found = re.search(pattern, text, re.MULTILINE)
    return None if found is None else float(found[1])
