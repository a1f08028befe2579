"""A tiny protocol for the tests of `drivers._conversation`: lines that a device repeats until they are answered.

`DEVICE SERIAL WORD [VALUE]` ends with a line feed. WORD: `value` (a reading), `fire` (an event), `poll` (answered at
once with `here`), `told SERIAL` (the answer to our `set`). The answer is `ok SERIAL`, too late it is `no SERIAL`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from drivers._conversation import Decoded, Question, Said, Talking, WireOptions, read_options
from gateway.model.batch import Event, EventCode
from gateway.model.ports import DriverSetup
from gateway.model.quality import GOOD
from gateway.model.time import SECOND
from gateway.model.verdict import NEVER

LONGEST = 200  # bytes without a line feed
HALF = 2 * SECOND  # ns that a half line may wait


class Options(WireOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of a source that speaks lines. `limit`: seconds to the answer."""

    limit: float = 0.0


class DeviceOptions(msgspec.Struct, frozen=True, kw_only=True):
    """No keys of its own."""


class LineTalk:
    """One conversation (protocol `Conversation`)."""

    def __init__(self, point_ids: Mapping[str, int], source: str, limit: float) -> None:
        self._ids = point_ids
        self._source = source
        self._limit = limit
        self._waits = b""
        self._since = 0
        self._asked: Question | None = None

    def hear(self, data: bytes, now: int, wall: int) -> list[Said]:
        """Take bytes, cut anywhere."""
        del wall
        *lines, self._waits = (self._waits + data).split(b"\n")
        self._since = now
        said = [self._said(line) for line in lines]
        if len(self._waits) > LONGEST:
            self._waits = b""
            said.append(Said(decoded=Decoded(problems=["no_end"])))
        return said

    def tick(self, now: int, wall: int) -> list[Said]:
        """Drop a half line."""
        del wall
        if not self._waits or now - self._since < HALF:
            return []
        self._waits = b""
        return [Said(decoded=Decoded(problems=["half"]))]

    def due(self) -> int:
        """Return when a half line has waited long enough."""
        return self._since + HALF if self._waits else NEVER

    def ask(self, device: str, point: str, value: float, now: int, wall: int) -> Question | None:
        """Set the one output."""
        del now, wall
        if point != "out":
            return None
        self._asked = Question(data=b"set %s %g\n" % (device.encode(), value), limit=1.0)
        return self._asked

    def _said(self, line: bytes) -> Said:
        try:
            device, serial, word, *rest = line.decode().split(" ")
            value = float(rest[0]) if rest else 0.0
        except ValueError:
            return Said(decoded=Decoded(problems=["garbage"]), frame=line)
        decoded = Decoded()
        if word == "poll":
            return Said(device=device, at_once=b"here %s\n" % serial.encode())
        if word == "told":
            return Said(device=device, settles=self._asked, refusal="" if value else "busy")
        point = self._ids.get(f"{device}.v")
        if word == "value" and point is not None:
            decoded.rows.append((point, 0, value, GOOD))
        else:
            events = self._ids.get(f"{device}.events", self._ids[f"@{self._source}.events"])
            code = EventCode.FIRE if word == "fire" else EventCode.INFO
            decoded.events.append(Event(events, device, code, word, raw=line, registered=point is not None))
        return Said(
            decoded=decoded,
            frame=line,
            after=b"ok %s\n" % serial.encode(),
            late=b"no %s\n" % serial.encode(),
            limit=self._limit,
            digest=line,
            device=device,
        )


def create(setup: DriverSetup) -> Talking:
    """Build the driver."""
    options = read_options(setup, Options)
    return Talking(setup, options, lambda _name: LineTalk(setup.point_ids, setup.source.id, options.limit))
