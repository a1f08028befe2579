"""The `panel_serial` driver: the serial output of a fire panel (printer, graphic display, card), over any wire.

One dialect per source, chosen by the profile; the dialects are files of `gateway.protocols.panels`. Keeps house
section 6 (an address that is not configured is an alarm "not registered", an event nobody explains is kept raw) and
section 7's last bullet: what a panel waits for in 100 to 500 ms is answered at once where it accepts nothing, and after
the commit where it stands for an event; too late it is not answered, and the panel tells it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from drivers._conversation import Decoded, Said, Talking, WireOptions, read_options
from drivers._panel_device import Dialect, Installed, PanelDeviceOptions, dialect_of, install
from gateway.errors import ConfigError
from gateway.model.batch import EventCode
from gateway.model.ports import DriverSetup
from gateway.model.time import SECOND
from gateway.model.verdict import NEVER
from gateway.protocols.panel_words import Heard, Refused, Stream

QUIET = SECOND  # ns in which the rest of a frame comes, or never
REPEAT = 30.0  # s in which the same frame is a repeat, unless something was restored meanwhile
_CLEARS = frozenset((EventCode.RESTORE, EventCode.RESET, EventCode.ENABLED))


class Options(WireOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of a `[[source]]` with `driver = "panel_serial"`, beside those of its wire.

    `mode`: `auto` polls a panel that says nothing by itself, and answers one that waits for it; `listen` never sends
    a byte, for a line on which a graphic display does that; `poll` polls wherever the dialect knows how.
    """

    mode: Literal["auto", "listen", "poll"] = "auto"


OPTIONS = Options
DEVICE_OPTIONS = PanelDeviceOptions


def create(setup: DriverSetup) -> Talking:
    """Build the driver. Raises ConfigError with every problem of the source and its devices."""
    options = read_options(setup, Options)
    panels: list[Installed] = []
    problems: list[str] = []
    for device in setup.devices:
        try:
            panels.append(install(device, setup.point_ids))
        except ValueError as error:
            problems.append(f"device {device.id}: {error}")
    names = sorted({panel.options.dialect for panel in panels})
    if len(names) > 1:
        problems.append(f"source {setup.source.id}: one line speaks one dialect, its devices have {', '.join(names)}")
    problems += _alike(panels)
    if not panels and not problems:
        problems.append(f"source {setup.source.id}: it has no device, so nobody knows the dialect")
    if problems:
        raise ConfigError("\n".join(problems))
    dialect = dialect_of(names[0])
    usual = (dialect.SETTINGS.baudrate, dialect.SETTINGS.stopbits)
    if options.wire == "serial" and (options.baudrate, options.stopbits) != usual:
        text = f"{dialect.SETTINGS.title} usually speaks with baudrate = {usual[0]}, stopbits = {usual[1]}"
        setup.report.finding("line", text)
    stranger = setup.point_ids[f"@{setup.source.id}.events"]
    return Talking(setup, options, lambda name: PanelTalk(dialect, _at(panels, name), stranger, options))


class PanelTalk:
    """The conversation with one panel, or with the panels of one line (port `Conversation`)."""

    def __init__(self, dialect: Dialect, panels: Sequence[Installed], stranger: int, options: Options) -> None:
        settings = dialect.SETTINGS
        self._settings = settings
        self._stream = Stream(dialect.read, dialect.BEGIN)
        self._panels = panels
        self._stranger = stranger
        self._datagrams = options.wire == "udp"
        self._answers = options.mode != "listen"
        self._polls = bool(settings.poll) and (options.mode == "poll" or (options.mode == "auto" and settings.silent))
        self._next_poll = 0 if self._polls else NEVER
        self._heard = 0
        self._salt = b""  # a repeat is one within this conversation: panels have no serial numbers, many have no clock
        self._generation = 0  # counts up when something is told after a reset
        self._cleared = False

    def hear(self, data: bytes, now: int, wall: int) -> list[Said]:
        """Take bytes of the stream, or one datagram."""
        del wall
        self._heard = now
        self._salt = self._salt or now.to_bytes(8, "big")
        said = self._told(self._stream.feed(data))
        while self._datagrams and self._stream.pending:
            said += self._told(self._stream.drop())
        return said

    def tick(self, now: int, wall: int) -> list[Said]:
        """Give up half a frame; poll."""
        del wall
        said: list[Said] = []
        poll = self._next_poll <= now
        while self._stream.pending and (poll or self._heard + QUIET <= now):
            said += self._told(self._stream.drop())
        if poll:
            self._next_poll = now + round(self._settings.period * SECOND)
            said.append(Said(at_once=self._settings.poll))
        return said

    def due(self) -> int:
        """Return when to poll, or to give up half a frame."""
        return min(self._next_poll, self._heard + QUIET if self._stream.pending else NEVER)

    def ask(self, device: str, point: str, value: float, now: int, wall: int) -> None:
        """Nothing of a panel can be set from outside."""
        del device, point, value, now, wall

    def _told(self, found: Sequence[Heard | Refused]) -> list[Said]:
        return [
            self._frame(one)
            if isinstance(one, Heard)
            else Said(decoded=Decoded(problems=[one.reason.value]), frame=one.data)
            for one in found
        ]

    def _frame(self, heard: Heard) -> Said:
        said = Said(frame=heard.frame)
        panel = self._panel(heard.panel)
        answer = heard.answer if self._answers else b""
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
        said.after, said.limit, said.digest, said.within = answer, self._settings.limit, same, REPEAT
        return said

    def _panel(self, number: int | None) -> Installed | None:
        """Return whose frame it is: that of its number, else the one that has no number."""
        if number is not None:
            for panel in self._panels:
                if panel.options.panel == number:
                    return panel
        return next((panel for panel in self._panels if number is None or panel.options.panel is None), None)


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
