"""The `panel_serial` driver: the serial output of a fire panel (printer, graphic display, card), over any wire.

One dialect per source, chosen by the profile; the dialects are files of `gateway.protocols.panels`. Keeps house
section 6 (an address that is not configured is an alarm "not registered", an event nobody explains is kept raw) and
section 7's last bullet: what a panel waits for in 100 to 500 ms is answered at once where it accepts nothing, and after
the commit where it stands for an event; too late it is not answered, and the panel tells it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from drivers._conversation import Decoded, Said, Talking, WireOptions, read_options
from drivers._installing import read_each
from drivers._panel_device import Dialect, Installed, PanelDeviceOptions, dialect_of, install
from drivers._panel_polling import Addressed, NoPolls, Polls
from gateway.config.quantities import Seconds
from gateway.errors import ConfigError
from gateway.model.batch import EventCode
from gateway.model.ports import DriverSetup
from gateway.model.time import SECOND
from gateway.model.verdict import NEVER
from gateway.protocols.panel_words import Heard, Refused, Settings, Stream
from gateway.transport import serial_ninth
from gateway.transport.wires import attend

LONG = 10 * SECOND  # ns in which the longest frame has come: what waits longer, on a line that is never quiet, is none
SHORTEST = 0.1  # s between two polls
REPEAT = 30.0  # s in which the same frame is a repeat, unless something was restored meanwhile
_CLEARS = frozenset((EventCode.RESTORE, EventCode.RESET, EventCode.ENABLED))


class Options(WireOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of a `[[source]]` with `driver = "panel_serial"`, beside those of its wire.

    `mode`: `auto` polls a panel that says nothing by itself, and answers one that waits for it; `listen` never sends
    a byte, for a line on which a graphic display does that; `poll` polls wherever the dialect knows how. `period`:
    seconds between two polls, 0: as is usual; one that is not answered by then is given up. `address`: by which a GST
    CRT is polled.
    """

    mode: Literal["auto", "listen", "poll"] = "auto"
    period: Annotated[Seconds, msgspec.Meta(ge=0, le=60)] = 0.0
    address: Annotated[int, msgspec.Meta(ge=0, le=255)] = 0

    def __post_init__(self) -> None:
        """Check. Raises ValueError, which msgspec reports as a ValidationError."""
        super().__post_init__()
        if 0 < self.period < SHORTEST:
            raise ValueError(f"period is too short: no panel answers in less than {SHORTEST} s")


OPTIONS = Options
DEVICE_OPTIONS = PanelDeviceOptions


def create(setup: DriverSetup) -> Talking:
    """Build the driver. Raises ConfigError with every problem of the source and its devices."""
    options = read_options(setup, Options)
    found, problems = read_each(setup, install)
    panels = list(found.values())
    names = sorted({panel.options.dialect for panel in panels})
    if len(names) > 1:
        problems.append(f"source {setup.source.id}: one line speaks one dialect, its devices have {', '.join(names)}")
    problems += _alike(panels)
    dialect = dialect_of(names[0]) if names else None
    if dialect is not None and _addresses(dialect.SETTINGS, options) and options.wire != "serial":
        fix = f'{options.wire} carries no ninth bit; fix: wire = "serial", or mode = "listen"'
        problems.append(f"source {setup.source.id}: {dialect.SETTINGS.title} is polled with a ninth bit, and {fix}")
    if not panels and not problems:
        problems.append(f"source {setup.source.id}: it has no device, so nobody knows the dialect")
    if problems or dialect is None:
        raise ConfigError("\n".join(problems))
    settings = dialect.SETTINGS
    usual = (settings.baudrate, settings.stopbits, settings.parity)
    if options.wire == "serial" and (options.baudrate, options.stopbits, options.parity) != usual:
        keys = f'baudrate = {usual[0]}, stopbits = {usual[1]}, parity = "{usual[2]}"'
        setup.report.finding("line", f"{settings.title} usually speaks with {keys}")
    stranger = setup.point_ids[f"@{setup.source.id}.events"]
    return Talking(
        setup,
        options,
        lambda name: PanelTalk(dialect, _at(panels, name), stranger, options),
        wire=serial_ninth.attend if _addresses(settings, options) else attend,
    )


class PanelTalk:
    """The conversation with one panel, or with the panels of one line (port `Conversation`)."""

    def __init__(self, dialect: Dialect, panels: Sequence[Installed], stranger: int, options: Options) -> None:
        settings = dialect.SETTINGS
        self._settings = settings
        self._stream = Stream(dialect.read, dialect.BEGIN)
        self._panels = panels
        self._alone = panels[0].id if len(panels) == 1 else ""
        self._stranger = stranger
        self._datagrams = options.wire == "udp"
        self._answers = options.mode != "listen"
        self._polls = _polls(settings, options)
        self._heard = 0
        self._quiet = round(settings.quiet * SECOND)
        self._half = (-1, 0)  # where in the stream half a frame waits, and since when (ns)
        self._salt = b""  # a repeat is one within this conversation: panels have no serial numbers, many have no clock
        self._generation = 0  # counts up when something is told after a reset
        self._cleared = False

    def hear(self, data: bytes, now: int, wall: int) -> list[Said]:
        """Take bytes of the stream, or one datagram."""
        del wall
        self._heard = now
        self._salt = self._salt or now.to_bytes(8, "big")
        data, question = self._polls.hear(data)
        said = self._told(self._stream.feed(data), now)
        if not self._stream.pending:
            self._half = (-1, now)
        elif self._half[0] != self._stream.passed:
            self._half = (self._stream.passed, now)
        while self._datagrams and self._stream.pending:
            said += self._told(self._stream.drop(), now)
        return [*said, Said(at_once=question)] if question else said

    def tick(self, now: int, wall: int) -> list[Said]:
        """Give up half a frame; poll."""
        del wall
        said: list[Said] = []
        while self._stream.pending and min(self._polls.due, self._given_up()) <= now:
            said += self._told(self._stream.drop(), now)
            self._half = (
                self._stream.passed,
                max(self._half[1], now - LONG + self._quiet),
            )  # what was hidden behind it
        if self._polls.due <= now:
            if self._polls.missed():
                said.append(Said(decoded=Decoded(problems=["no_answer"]), device=self._alone))
            said.append(Said(at_once=self._polls.poll(now)))
        return said

    def due(self) -> int:
        """Return when to poll, or to give up half a frame."""
        return min(self._polls.due, self._given_up() if self._stream.pending else NEVER)

    def ask(self, device: str, point: str, value: float, now: int, wall: int) -> None:
        """Nothing of a panel can be set from outside."""
        del device, point, value, now, wall

    def _given_up(self) -> int:
        """Return when half a frame is given up."""
        return min(self._heard + self._quiet, self._half[1] + LONG)

    def _told(self, found: Sequence[Heard | Refused], now: int) -> list[Said]:
        return [
            self._frame(one, now)
            if isinstance(one, Heard)
            else Said(decoded=Decoded(problems=[one.reason.value]), frame=one.data)
            for one in found
        ]

    def _frame(self, heard: Heard, now: int) -> Said:
        said = Said(frame=heard.frame)
        panel = self._panel(heard.panel)
        answer = self._polls.taken(now) or (heard.answer if self._answers else b"")
        if panel is None:
            said.decoded.problems.append("unknown_device")
        else:
            said.device = panel.id
        if heard.unknown:
            said.decoded.problems.append("unknown_event")
        if not heard.events:
            said.at_once = answer
            if panel is not None:
                said.decoded.heard.append(panel.events)
            return said
        for event in heard.events:
            problems = said.decoded.problems
            if panel is None:
                stray = Installed.stranger(self._stranger)
                said.decoded.events.append(stray.event(event, heard, problems, registered=False))
            else:
                said.decoded.events.append(panel.event(event, heard, problems))
        clears = any(event.code in _CLEARS for event in heard.events)
        self._generation += self._cleared and not clears  # copies of what clears are repeats of each other
        self._cleared = clears
        same = (heard.same or heard.frame) + self._salt + self._generation.to_bytes(8, "big")
        limit = self._settings.limit or self._polls.limit
        said.after, said.limit, said.digest, said.within = answer, limit, same, REPEAT
        return said

    def _panel(self, number: int | None) -> Installed | None:
        """Return whose frame it is: that of its number, else the one that has no number."""
        if number is not None:
            for panel in self._panels:
                if panel.options.panel == number:
                    return panel
        return next((panel for panel in self._panels if number is None or panel.options.panel is None), None)


def _addresses(settings: Settings, options: Options) -> bool:
    """Whether the panel is polled by its address."""
    return bool(settings.taken) and options.mode == "poll"


def _polls(settings: Settings, options: Options) -> Polls:
    """Return how the panel is polled."""
    if _addresses(settings, options):
        return Addressed(settings, options.period, options.address)
    if settings.poll and (options.mode == "poll" or (options.mode == "auto" and settings.silent)):
        return Polls(settings, options.period)
    return NoPolls(settings)


def _at(panels: Sequence[Installed], name: str) -> list[Installed]:
    """Return the panels that may speak from a peer."""
    host = name.rpartition(":")[0].strip("[]")
    return [panel for panel in panels if panel.options.peer in ("", host)]


def _alike(panels: Sequence[Installed]) -> list[str]:
    owners: dict[tuple[str, int | None], str] = {}
    problems = []
    for panel in panels:
        other = owners.setdefault((panel.options.peer, panel.options.panel), panel.id)
        if other != panel.id:
            problems.append(f"device {panel.id}: peer and panel are those of {other}")
    return problems
