"""What `firegrid demo` sees of the running daemon: its store and its control socket, as any other program could.

Beside `demo`; the demo never looks into the daemon's memory.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from gateway.cli.demo_screen import Screen
from gateway.model.alarm import AlarmState, Transition, Verb
from gateway.model.quality import describe
from gateway.model.station import Station
from gateway.store.read import Reader
from gateway.transport import unix

_UNITS = {"Cel": "℃", "%[LEL]": "%LEL", "1": ""}
_SHOWN = {
    "smoke": ("smoke",),
    "climate": ("temperature", "humidity"),
    "kitchen-gas": ("ch4",),
    "tank": ("level",),
}


class Watch:
    """Tells the screen what is new in the store.

    Attributes:
        moves: every transition seen so far.
    """

    def __init__(self, station: Station, screen: Screen) -> None:
        self.moves: list[Transition] = []
        self._station = station
        self._screen = screen
        self._reader = Reader(station.store.path)
        self._seen = 0
        self._devices = {device.id: device for device in station.devices}
        self._people = {contact.id: contact.name for contact in station.contacts}
        self._numbers = self._reader.points()
        self._points = {number: name for name, number in self._numbers.items()}
        self._specs = {f"{device.id}.{spec.name}": spec for device in station.devices for spec in device.profile.points}

    def close(self) -> None:
        """Close the store."""
        self._reader.close()

    def look(self) -> None:
        """Show the transitions that are new."""
        for entry in self._reader.transitions(after=self._seen):
            self._seen = entry.n
            self.moves.append(entry.body)
            self._tell(entry.body)

    def readings(self) -> str:
        """Return the newest readings worth a place on one line."""
        return " · ".join(
            " ".join([self.name_of(device), *(self._newest(f"{device}.{point}") for point in points)])
            for device, points in _SHOWN.items()
        )

    async def ask(self, **request: object) -> dict[str, Any]:
        """Ask the daemon over its control socket; its error as `error`."""
        path = Path(f"{self._station.store.path}.sock")
        try:
            return await asyncio.to_thread(unix.ask, path, request)
        except (OSError, ValueError) as error:
            return {"error": str(error)}

    async def open_alarms(self) -> list[dict[str, Any]]:
        """Return the alarm book as the daemon tells it."""
        found: list[dict[str, Any]] = (await self.ask(do="alarms")).get("alarms", [])
        return found

    async def waiting(self) -> list[str]:
        """Return the codes of alarms that nobody has acknowledged."""
        return [alarm["code"] for alarm in await self.open_alarms() if AlarmState(alarm["state"]).unacknowledged]

    async def act(self, verb: Verb, alarms: list[int], who: str) -> bool:
        """Act as a person at the box; False, and shown, when it was refused."""
        answer = await self.ask(do="act", verb=verb.value, alarms=alarms, who=who)
        refusals = answer.get("refusals", [])
        for reason in [answer["error"]] if "error" in answer else [str(refusal) for refusal in refusals]:
            self._screen.say("note", "refused", reason=reason)
        return "error" not in answer and not refusals

    def name_of(self, device: str) -> str:
        """Return a device's name for people."""
        known = self._devices.get(device)
        return (known.name or known.id) if known else device

    def _tell(self, move: Transition) -> None:
        words, states = self._screen.words, self._screen.states
        device = self._points.get(move.point, "").rpartition(".")[0]
        where = self.name_of(device)
        text = words["move"].format(where=where, before=states[move.before], after=states[move.after])
        if move.who:
            text += words["by"].format(who=self._people.get(move.who, move.who))
        self._screen.line("alarm", text)
        if move.evidence.frame:
            self._screen.say("wire", "frame", frame=move.evidence.frame.hex(" ").upper()[:120])

    def _newest(self, name: str) -> str:
        spec = self._specs[name]
        series = self._reader.readings(self._numbers[name])
        if not len(series):
            return "-"
        value, quality = float(series.value[-1]), describe(int(series.quality[-1]))
        labels = {number: self._screen.labels.get(label, label) for label, number in spec.labels.items()}
        said = labels.get(value, f"{value:.4g} {_UNITS.get(spec.unit, spec.unit)}")
        return said if quality == "GOOD" else f"{said} ({quality})"
