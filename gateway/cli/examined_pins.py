"""What `firegrid doctor` finds at the box's own pins: whether the chip may be opened and its lines are free.

Beside `examined_wires`, while no daemon has the lines. No line is taken: an output that is asked for would move.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from drivers.gpio import SIMULATED, LineOptions, Options
from gateway.cli.examined import Finding, Level
from gateway.errors import LinkDown
from gateway.model.station import SourceSpec, Station
from gateway.transport import gpio

AREA = "gpio"


def pins(source: SourceSpec, station: Station) -> Iterator[Finding]:
    """Yield the findings of a chip and of every line that is configured on it."""
    name = f"source[{source.id}]"
    try:
        chip = msgspec.convert(source.options, Options).chip
        lines = list(_lines(source, station))
    except msgspec.ValidationError:
        return  # told as a problem of the configuration
    if chip.startswith(SIMULATED):
        return
    try:
        taken = [(line, who) for line, who in gpio.look(chip, lines) if who]
    except ImportError:
        return  # told as a problem of the configuration
    except LinkDown as error:
        yield Finding(
            AREA,
            Level.BAD,
            f"{name}：{chip} 不可用（{error}）",
            f"{name}: {chip} cannot be used ({error})",
            "用 gpiodetect、gpioinfo 查看芯片与引脚；没有权限时运行：sudo usermod -aG gpio $(id -un)，然后重新登录",
            "gpiodetect and gpioinfo show chips and lines; not permitted: sudo usermod -aG gpio $(id -un), "
            "then log in again",
        )
        return
    for line, who in taken:
        yield Finding(
            AREA,
            Level.BAD,
            f"{name}：{chip} 的引脚 {line} 被 {who} 占用",
            f"{name}: line {line} of {chip} is taken by {who}",
            "停止该程序，或删去 /boot/firmware/config.txt 中占用它的 dtoverlay，或改用其他引脚",
            "stop that program, take the dtoverlay that uses it out of /boot/firmware/config.txt, or use another line",
        )
    if not taken:
        text = f"{name}：{chip} 的 {len(lines)} 个引脚可用", f"{name}: {len(lines)} lines of {chip} are free"
        yield Finding(AREA, Level.GOOD, *text)


def _lines(source: SourceSpec, station: Station) -> Iterator[int | str]:
    for device in station.devices:
        if device.source == source.id:
            yield from (msgspec.convert(spec.decode, LineOptions).line for spec in device.profile.points)
