"""Messages that came and could not be understood: per device and reason how many, and the last one as a sample.

Beside `_mqtt_lane.py`. A counter alone tells nobody which device it is; so there is one line in the log, again at most
every hour, and a finding that `firegrid doctor` shows. Bounded: a sender that invents topics must not fill the memory.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from drivers._mqtt_routes import Routes
from gateway.clock import SECOND, Clock
from gateway.model.ports import LinkReport

log = logging.getLogger(__name__)
USUAL = frozenset(  # read well: nothing of it is kept, or kept as an event
    {"command", "test_active", "retained_event", "repeat", "simulated", "old_death", "opaque", "server_log"}
)
AGAIN = 3600 * SECOND  # ns between two lines in the log
SAMPLE = 80  # characters
MOST = 64  # devices and reasons remembered


class Unread:
    """Counts what a lane could not read. A finding's key is `unread DEVICE REASON`, its text `COUNT SAMPLE`."""

    def __init__(self, routes: Routes, clock: Clock, report: LinkReport) -> None:
        self._routes = routes
        self._clock = clock
        self._report = report
        self._seen: dict[tuple[str, str], int] = {}
        self._logged: dict[tuple[str, str], int] = {}

    def note(self, topic: str, payload: bytes, reasons: Iterable[str]) -> None:
        """Take what a dialect said of one message."""
        for reason in reasons:
            if reason not in USUAL:
                self._note(self._routes.owner(topic), reason, payload)

    def _note(self, device: str, reason: str, payload: bytes) -> None:
        which = device, reason
        if which not in self._seen and len(self._seen) >= MOST:
            return
        count = self._seen[which] = self._seen.get(which, 0) + 1
        text = payload[: 4 * SAMPLE].decode("utf-8", errors="replace")[:SAMPLE]
        sample = "".join(char if char.isprintable() else " " for char in text)
        self._report.finding(f"unread {device} {reason}", f"{count} {sample}")
        now = self._clock.mono()
        if which not in self._logged or now - self._logged[which] >= AGAIN:
            self._logged[which] = now
            log.warning("%s: %d message(s) not understood (%s), the last: %s", device, count, reason, sample)
