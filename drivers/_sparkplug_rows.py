"""What the metrics of one Sparkplug message are worth: values by type, the property Quality, what is kept raw.

Pure, beside `drivers/dialects/sparkplug.py`; follows the Sparkplug specification 3.0, 6.4.
"""

from __future__ import annotations

from collections.abc import Callable

from drivers._sparkplug_node import Installed, Node
from drivers._values import NO_COMMS, Reading
from gateway.model.batch import Event, EventCode
from gateway.model.ports import Decoded
from gateway.model.quality import GOOD, Doubt, Level, quality
from gateway.protocols import sparkplug
from gateway.protocols.sparkplug import Metric, Payload

Row = tuple[int, int, float, int]

_MS = 10**6  # ns
_DOUBTFUL = quality(Level.UNCERTAIN, Doubt.DEVICE_DOUBT)
_DISTRUSTED = quality(Level.BAD, Doubt.DEVICE_DOUBT)
_OPC_UNCERTAIN, _OPC_GOOD, _OPC_END = 64, 192, 256  # a BAD quality is below the first
_LONGEST_KEY, _LONGEST_TEXT = 64, 400


def rows_of(node: Node, device: Installed, message: Payload, *, sound: bool, anew: bool = False) -> list[Row]:
    """Return the rows of a device in the order of the metrics; of a node that is not sound they may raise only.

    `anew`: a birth after a death says what is now, and is of now. Many nodes give the time of the last change, or have
    a clock that is slow: either is before the death, and the point would stay offline.
    """
    found = []
    for metric in message.metrics:
        meant = node.meant(device.place, metric)
        installed = device.fields.get(meant[0]) if meant else None
        if meant is None or installed is None:
            continue
        point, read = installed
        value, told = _read(metric, meant[1], read)
        time = 0 if anew and not metric.historical else _time(metric, message)
        doubtful = not sound or (metric.historical and not time)  # without its time an old value would pass for new
        found.append((point, time, value, _DOUBTFUL if doubtful and told == GOOD else told))
    return found


def metric_shown(metric: Metric) -> dict[str, object]:
    """Return what a metric says by itself, for people: what was not sent is left out, the value never."""
    value = metric.value if metric.opaque else sparkplug.value_of(metric, metric.datatype)
    said = {"name": metric.name or None, "alias": metric.alias, "timestamp": metric.time, "quality": metric.quality}
    said |= {"datatype": metric.datatype or None, "is_historical": metric.historical or None}
    return {**{key: one for key, one in said.items() if one is not None}, "value": value}


def _time(metric: Metric, message: Payload) -> int:
    return (metric.time or (0 if metric.historical else message.time) or 0) * _MS


def _read(metric: Metric, datatype: int, read: Callable[[object], Reading]) -> Reading:
    """Return value and quality; the property `Quality` may only make it worse (6.4.7, OPC codes)."""
    said = metric.quality
    if said == sparkplug.Quality.STALE:
        return NO_COMMS
    value, told = read(sparkplug.value_of(metric, datatype))
    if said is None or _OPC_GOOD <= said < _OPC_END or told != GOOD:
        return value, told
    return value, _DISTRUSTED if said < _OPC_UNCERTAIN else _DOUBTFUL


def keep_raw(node: Node, device: Installed, message: Payload, raw: bytes, into: Decoded) -> None:
    """Keep raw what is no single value: data sets, templates, arrays, files. One event a message, however many."""
    kept = [metric for metric in message.metrics if metric.opaque]
    if kept:
        into.problems.append("opaque")
        if device.events is not None:
            names = [(node.meant(device.place, metric) or ("?", 0))[0] for metric in kept]
            text = ", ".join(names)[:_LONGEST_TEXT]
            time = (kept[0].time or message.time or 0) * _MS
            into.events.append(Event(device.events, names[0][:_LONGEST_KEY], EventCode.INFO, text, time, raw))
