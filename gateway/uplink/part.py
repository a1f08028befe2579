"""The daemon's side of a sink: keeps its process alive, wakes it after commits, and remembers how far it has come.

A part of the annex (`gateway.annex`), supervised like everybody else. The process can hang, leak and die as it likes:
nothing here waits for it, its place is written with commits that happen anyway, and what is not written yet is sent
once more after a restart (house section 4: cursors).
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn, Protocol

import msgspec

from gateway.clock import SECOND, Clock
from gateway.errors import LinkDown
from gateway.model.batch import EventCode
from gateway.pipeline.supervisor import Supervisor
from gateway.store.shapes import MEMORY
from gateway.uplink.messages import HEARTBEAT, Order, Report, Rewind
from gateway.uplink.position import Position, Range

WAKE_EVERY = 0.25  # s
HUNG_AFTER = 6 * HEARTBEAT
WRITE_EVERY = 60 * SECOND  # a place on the disk is this old at most, unless no commit happens
_LINE = 1 << 20  # bytes of a report
_COMMAND = (sys.executable, "-P", "-m", "gateway.uplink")  # -P: nothing is imported from where it was started
_PREFIX, _SUFFIX = "sink ", " position"


class Progress(Protocol):
    """What a sink needs of the ledger: `gateway.pipeline.ledger.Ledger`."""

    seq: int  # of the newest commit that is on the disk

    def ride(self, rows: Mapping[tuple[str, str], str | None], cursors: Mapping[str, int]) -> None:
        """Write rows and cursors with a commit that happens anyway."""


class Uplink:
    """One sink. `memory`: what plug-ins remember, with rows of earlier lives. `command` is another one in tests.

    `tell`: (key, code, text) → an event of the gateway itself.
    """

    def __init__(
        self,
        sink: str,
        *,
        store: str,
        ledger: Progress,
        memory: MutableMapping[str, str],
        link: Callable[[], Supervisor],
        clock: Clock,
        tell: Callable[[str, EventCode, str], None] = lambda _key, _code, _text: None,
        command: Sequence[str] = _COMMAND,
    ) -> None:
        self._sink = sink
        self._store = store
        self._ledger = ledger
        self._memory = memory
        self._link = link
        self._clock = clock
        self._tell = tell
        self._command = command
        self._written_at = clock.mono()
        self._orders: asyncio.StreamWriter | None = None
        self.position = self._kept()

    def rewind(self, since: int) -> bool:
        """Have everything from a wall time (ns) on sent again; return whether there is a process to ask."""
        if self._orders is None:
            return False
        self._orders.write(msgspec.json.encode(Rewind(since)) + b"\n")
        return True

    def resume(self) -> None:
        """Take the place of before from what is remembered by now."""
        self.position = self._kept()

    async def run(self) -> NoReturn:
        """Run one process until it ends. Raises LinkDown with its last words; it is never left behind."""
        process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_LINE
        )
        try:
            order = Order(self._store, self._sink, cursor_of(self._sink), self.position)
            await self._attend(process, order)
        finally:
            self._write()
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _attend(self, process: asyncio.subprocess.Process, order: Order) -> NoReturn:
        orders, reports = process.stdin, process.stdout
        if orders is None or reports is None:
            raise AssertionError("it was started with pipes")
        orders.write(msgspec.json.encode(order) + b"\n")
        self._orders = orders
        waking = asyncio.create_task(self._wake(orders))
        error = ""
        try:
            while True:
                try:
                    async with self._clock.timeout(HUNG_AFTER):
                        line = await reports.readline()
                except TimeoutError:
                    raise LinkDown(f"the process says nothing for {HUNG_AFTER:g} s and was ended") from None
                if not line:
                    raise LinkDown(error or "the process has ended")
                report = msgspec.json.decode(line, type=Report)
                error = report.error
                self.take(report)
        finally:
            waking.cancel()
            self._orders = None
            orders.close()

    async def _wake(self, orders: asyncio.StreamWriter) -> None:
        """Tell of commits; the bytes are so few that a process which does not read them is ended long before."""
        told = -1
        while True:
            if self._ledger.seq != told:
                told = self._ledger.seq
                orders.write(b"\n")
            await self._clock.sleep(WAKE_EVERY)

    def take(self, report: Report) -> None:
        """Keep where it stands and show it."""
        # A reading sent twice is one reading; an alarm told twice may be two to a far end that knows no numbers.
        further = _among_notes(report.position) != _among_notes(self.position)
        self.position = report.position
        for told in report.told:
            self._tell(f"{told.key} {self._sink}", told.code, told.text)
        link = self._link()
        if report.error:
            link.failing(report.error)
        else:
            link.alive()
        self._show(link, report)
        if further or self._clock.mono() - self._written_at >= WRITE_EVERY:
            self._write()

    def _show(self, link: Supervisor, report: Report) -> None:
        position, counters = report.position, link.health.counters
        for name in ("sent", "set_aside", "undated", "expired", "unreadable", "detour"):
            if number := getattr(position, name):
                counters[name] = number
        waits = "没有积压 nothing waits"
        counters.pop("backlog_seconds", None)  # the one that is no count
        if report.waits:
            age = max(0, self._clock.wall() - report.oldest) / SECOND if report.oldest else 0.0
            counters["backlog_seconds"] = round(age)
            waits = f"最早的积压 oldest waiting: {age:.0f} s" if age else "有积压 something waits"
        link.finding("position", f"已送至 sent up to commit {position.cursor()}, {waits}")
        if position.asides:
            last = position.asides[-1]
            link.finding("aside", f"被拒绝 refused by the far end: {position.set_aside}, e.g. {last.what}: {last.why}")

    def _write(self) -> None:
        """Let the place ride along with the next commit."""
        key, text = row_of(self._sink), msgspec.json.encode(self.position).decode()
        self._written_at = self._clock.mono()
        if self._memory.get(key) != text:
            self._memory[key] = text
            self._ledger.ride({(MEMORY, key): text}, {cursor_of(self._sink): self.position.cursor()})

    def _kept(self) -> Position:
        """Return the place of before; one that cannot be read is begun anew: sent twice is better than not at all."""
        try:
            return msgspec.json.decode(self._memory.get(row_of(self._sink), ""), type=Position)
        except ValueError:
            return Position(instance=secrets.token_hex(4))


def _among_notes(position: Position) -> tuple[int, list[Range]]:
    return position.record, position.notes


def forget(known: Sequence[str], ledger: Progress, memory: MutableMapping[str, str]) -> None:
    """Let go of sinks that left the configuration: their cursors would hold the journal back."""
    for key in [key for key in memory if key.startswith(_PREFIX) and key.endswith(_SUFFIX)]:
        sink = key.removeprefix(_PREFIX).removesuffix(_SUFFIX)
        if sink not in known:
            del memory[key]
            ledger.ride({(MEMORY, key): None}, {cursor_of(sink): -1})


def cursor_of(sink: str) -> str:
    """Return the name of a sink's cursor in the store."""
    return f"sink {sink}"


def row_of(sink: str) -> str:
    """Return the key of a sink's place among what plug-ins remember."""
    return f"{_PREFIX}{sink}{_SUFFIX}"


def rewind(uplinks: Mapping[str, Uplink], request: dict[str, Any]) -> dict[str, Any]:
    """Answer `{"do": "rewind", "sink": …, "since": ns}` of the control socket."""
    sink, since = str(request.get("sink")), request.get("since")
    if sink not in uplinks:
        return {"error": f"no sink {sink!r}; there is {', '.join(uplinks) or 'none'}"}
    if type(since) is not int or since < 0:
        return {"error": "since: ns since 1970"}
    if not uplinks[sink].rewind(since):
        return {"error": f"sink {sink!r} is just being started again: try once more"}
    return {"rewound": sink}
