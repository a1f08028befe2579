"""The field around a daemon under test: modem, Modbus bus and leaders who answer, in a thread that outlives daemons.

Everything a daemon sees is real bytes over pseudo-terminals whose paths stay the same from one life to the next.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

from drivers.simulated.modbus_bus import ModbusBus, SimulatedSlave
from drivers.simulated.modem import SimulatedModem
from drivers.simulated.modem_network import SentMessage
from gateway.clock import SystemClock
from gateway.transport.serial import open_pty
from tests.patience import PATIENCE

CODE = re.compile(r"码(\d{2,3})")


class Field:
    """Modem at `folder/modem`, bus at `folder/bus`; start and stop with `with`."""

    def __init__(
        self,
        folder: Path,
        *,
        slaves: int = 0,
        seconds_per_sms: float = 0.0,
        answers: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self.modem_path = folder / "modem"
        self.bus_path = folder / "bus"
        self._slaves = slaves
        self._seconds_per_sms = seconds_per_sms
        self._answers = answers
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()), name="field", daemon=True)
        self.modem: SimulatedModem
        self.bus: ModbusBus
        self.slaves: list[SimulatedSlave] = []

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self.call(self._stop.set)
        self._thread.join(PATIENCE)

    def call(self, what: Callable[[], None]) -> None:
        """Do something in the field's thread."""
        if self._loop is None:
            raise AssertionError("the field does not live yet")
        self._loop.call_soon_threadsafe(what)

    def read_all(self) -> None:
        """Return when the modem has read what was written to it before this call."""

        async def turns() -> None:
            for _ in range(10):
                await asyncio.sleep(0)

        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(turns(), self._loop).result(PATIENCE)

    @property
    def sent(self) -> list[SentMessage]:
        """What arrived at phones so far."""
        return list(self.modem.sent)

    def texts(self) -> list[str]:
        """Return the texts that arrived at phones so far."""
        return [message.text for message in self.sent]

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        clock = SystemClock()
        self.modem = SimulatedModem(
            clock, link=self.modem_path, seconds_per_sms=self._seconds_per_sms, on_sms=self._read_sms
        )
        self.slaves = [
            SimulatedSlave(
                address=n, holding={0: 20 + n, 1: 50}, registers={1: 200 + n, 2: 500}, inputs={0: 0, 1: 0, 2: 0}
            )
            for n in range(1, self._slaves + 1)
        ]
        self.bus = ModbusBus(open_pty(self.bus_path), clock, self.slaves, baudrate=None)
        tasks = [asyncio.create_task(self.modem.run()), asyncio.create_task(self.bus.run())]
        self._ready.set()
        await self._stop.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _read_sms(self, number: str, text: str) -> None:
        """A leader reads a message, and answers with its code if it is one he answers."""
        found = CODE.search(text)
        if found and "回复" in text and self._answers(text):
            asyncio.get_running_loop().call_later(0.05, self.modem.receive, number, found[1])
