"""A station as `firegrid run` has it, between devices of the field's own protocols and a modem; what is asked of it.

The daemon is a process (`tests.faults.faulty`: the same `serve`, with a disk that can be told to fail); devices are
simulated ones of `drivers/simulated` on real sockets and pseudo-terminals.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from gateway.cli.main import run
from gateway.model.batch import Event
from gateway.store.read import Reader, Series
from gateway.transport.unix import ask
from tests import station_toml as toml
from tests.daemon import Daemon
from tests.faults import faulty
from tests.field import Field
from tests.patience import until

NOTHING_FOR = 0.3  # s of looking for an answer that must not come yet
ALARMS = "".join(
    toml.table("default_policy", class_=kind, policy="p") for kind in ("fire", "gas", "flood", "supervisory")
)


class Place:
    """One station; `say` its TOML, `start` it, `kill` it, look into its store and at the phones."""

    def __init__(self, folder: Path, field: Field) -> None:
        self.folder = folder
        self.field = field
        self.config = folder / "station.toml"
        self.store = folder / "station.db"
        self._plan = folder / "plan.json"
        self._daemon: Daemon | None = None
        self.disk()

    def write(self, text: str) -> None:
        """Write station.toml: modem, squad leader and policies, and these sources and devices."""
        head = toml.station(self.folder, limits=toml.WELL, socket=str(self.folder / "control"))
        self.config.write_text(head + ALARMS + text, encoding="utf-8")

    def disk(self, **plan: str) -> None:
        """Let the disk be like this from now on: fail point → what it does there (`tests.faults.faulty`)."""
        faulty.write(self._plan, plan)

    def hangs(self) -> int:
        """Return how often the disk has begun to hang."""
        told = self.folder / "unsteady"
        return told.read_text(encoding="ascii").split().count("hang") if told.exists() else 0

    async def start(self) -> None:
        """Begin a life; returns when it is armed and has every link."""
        command = [sys.executable, "-m", "tests.faults.faulty", str(self.config), str(self._plan)]
        self._daemon = Daemon(self.config, command=command)
        await asyncio.to_thread(self._daemon.wait_armed)
        await until(lambda: all(link["up"] for link in self.ask("status")["links"]))

    def kill(self) -> None:
        """SIGKILL, if it lives."""
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon = None

    def ask(self, what: str) -> dict[str, Any]:
        """Ask the daemon."""
        return ask(self.folder / "control", {"do": what})

    def alarms(self) -> list[dict[str, Any]]:
        """Return the open alarms."""
        found: list[dict[str, Any]] = self.ask("alarms")["alarms"]
        return found

    def events(self, code: str = "", key: str = "") -> list[Event]:
        """Return what the store has of events of a code and a key."""
        with Reader(self.store) as reader:
            found = [entry.body for entry in reader.events()]
        return [one for one in found if code in ("", one.code.name.lower()) and key in ("", one.key)]

    def readings(self, point: str) -> Series:
        """Return what the store has of a point."""
        with Reader(self.store) as reader:
            return reader.readings(reader.points()[point])

    def values(self, point: str) -> list[float]:
        """Return the values of a point, as they came."""
        found: list[float] = self.readings(point).value.tolist()
        return found

    async def told(self, *words: str) -> str:
        """Wait until a phone got a text with all these words, and return it."""
        await until(lambda: bool(self.texts(*words)))
        return self.texts(*words)[0]

    def texts(self, *words: str) -> list[str]:
        """Return the texts at phones that have all these words."""
        return [text for text in self.field.texts() if all(word in text for word in words)]

    def command(self, *arguments: str) -> list[dict[str, Any]]:
        """Return the JSON lines of `firegrid …`."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            code = run([*arguments, "-c", str(self.config)])
        assert code == 0, out.getvalue()
        return [json.loads(line) for line in out.getvalue().splitlines() if line.startswith("{")]

    async def after_commit(self, say: Callable[[], Awaitable[None]], answered: Callable[[], bool]) -> None:
        """Let a device say something while no commit returns: it is answered when one does, and not before."""
        before = self.hangs()
        self.disk(before_commit="hang")
        try:
            await say()
            await until(lambda: self.hangs() > before)
            await asyncio.sleep(NOTHING_FOR)
            assert not answered(), "answered before the commit"
        finally:
            self.disk()
        await until(answered)


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    """Run a field around a station; its daemon is killed at the end."""
    with Field(folder) as field:
        found = Place(folder, field)
        try:
            yield found
        finally:
            found.kill()


@asynccontextmanager
async def living(*devices: Awaitable[None]) -> AsyncIterator[None]:
    """Let devices live meanwhile; what one of them dies of is raised."""
    tasks = [asyncio.ensure_future(device) for device in devices]
    try:
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
