"""What LoRaWAN servers have in common: an uplink with its payload, radio figures and counter, and copies of it.

Pure, shared by `drivers/dialects/chirpstack.py` and `ttn.py`. Follows LoRaWAN 1.0.3: the frame counter begins anew when
a device joins (and when one activated by personalisation restarts), so a low counter is no repetition by itself. A copy
of the very message that came last (several gateways under two servers, a repeated delivery) is a sign of life only.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC

from drivers._report import Plan, Recent
from drivers._report_points import Report
from drivers._times import source_time
from gateway.model.batch import Event, EventCode
from gateway.model.ports import Decoded

_LONGEST_TEXT = 400


@dataclass(slots=True)
class Radio:
    """One installed LoRaWAN device: how its messages are read, and which came last."""

    plan: Plan
    recent: Recent = field(default_factory=Recent)
    last: Hashable = None

    def up(self, report: Report, *, key: str, frame: tuple[object, int], retained: bool, into: Decoded) -> None:
        """Read an uplink unless it is a copy. `key`: what the server calls it; `frame`: session and counter."""
        if not retained:
            this = (*frame, report.port, report.data)
            copy = (bool(key) and self.recent.again(key)) or (report.data is not None and this == self.last)
            self.last = this
            if copy:
                into.problems.append("repeat")
                into.heard.append(self.plan.point)
                return
        self.plan.tell(report, retained=retained, into=into)

    def joined(self, into: Decoded, *, retained: bool) -> None:
        """Begin anew: its counter does."""
        if not retained:
            self.recent.forget()
            self.last = None
            into.heard.append(self.plan.point)

    def log(self, text: str, report: Report, into: Decoded) -> None:
        """Keep what the server has to say of the device; no sign of life."""
        into.problems.append("server_log")
        if self.plan.events is not None:
            into.events.append(
                Event(self.plan.events, "", EventCode.INFO, text[:_LONGEST_TEXT], report.time, report.message)
            )


def bytes_of(raw: object, problems: list[str]) -> bytes | None:
    """Return what a base64 field holds, None without one or when it is none."""
    if not isinstance(raw, str) or not raw:
        return None
    try:
        return b64decode(raw, validate=True)
    except (Error, ValueError):  # ValueError: characters beyond ASCII
        problems.append("bad_base64")
        return None


def time_of(raw: object, problems: list[str]) -> int:
    """Return an RFC 3339 time in ns (its digits beyond the microsecond are dropped), 0 when there is none."""
    if raw is None:
        return 0
    found = source_time(raw, UTC)
    if found is None:
        problems.append("bad_time")
    return found or 0


def whole(message: Mapping[str, object], name: str) -> int:
    """Return a whole number; servers leave zeros out, and anything else is 0 too."""
    found = message.get(name, 0)
    return found if isinstance(found, int) and not isinstance(found, bool) else 0


def table(message: object, name: str) -> Mapping[str, object]:
    """Return a table inside a message, empty when it is none."""
    found = message.get(name) if isinstance(message, dict) else None
    return found if isinstance(found, dict) else {}


def radio(receptions: object) -> dict[str, object]:
    """Return what the gateways heard: the best signal, its ratio, how many they were. Zeros are left out by servers."""
    heard: Sequence[object] = receptions if isinstance(receptions, list) else ()
    levels = [
        (float(one["rssi"]), one.get("snr", 0.0))
        for one in heard
        if isinstance(one, dict) and isinstance(one.get("rssi"), int | float) and abs(one["rssi"]) < 1e6
    ]
    if not levels:
        return {}
    rssi, snr = max(levels, key=lambda level: level[0])
    return {"rssi": rssi, "snr": snr, "gateways": len(heard)}
