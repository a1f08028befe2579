"""A simulated Modbus RTU bus: any number of slaves on one line, with wire time and faults on demand.

The far end of `drivers.modbus_rtu` in demo, tests and `simulate`: real bytes over a pseudo-terminal or, on the driven
clock, over `drivers.simulated.wire.Wire`. Keeps house rule 9 (fakes ship). Frames by `gateway.protocols.modbus`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from drivers._modbus_master import Port
from drivers.simulated.behaviour import Behaviour
from gateway.clock import SECOND, Clock
from gateway.errors import LinkDown
from gateway.protocols import modbus
from gateway.protocols.modbus import ExceptionCode, Request, RequestScanner

BITS_PER_CHARACTER = 10  # 8N1
TABLES = {  # which table a function reads or writes
    modbus.READ_COILS: "coils",
    modbus.READ_INPUTS: "inputs",
    modbus.READ_HOLDING: "holding",
    modbus.READ_REGISTERS: "registers",
    modbus.WRITE_COIL: "coils",
    modbus.WRITE_COILS: "coils",
    modbus.WRITE_REGISTER: "holding",
    modbus.WRITE_REGISTERS: "holding",
}
Value = Behaviour | float


class Line(Protocol):
    """What the bus lives on: `PtyPair` or `Wire`."""

    @property
    def port(self) -> Port:
        """Our end."""

    def plug(self) -> None:
        """Bring the line back."""

    def unplug(self) -> None:
        """Take it away."""


@dataclass(slots=True, kw_only=True)
class Fault:
    """What is wrong with a device just now. Times in s.

    Attributes:
        silent: does not answer.
        wrong_crc: answers with a broken checksum.
        late: answers so much later, whatever has been asked since.
        before: bytes in front of the answer.
        after: bytes behind it.
        exception: refuses with this code.
        stuck: goes on telling what it told first since.
    """

    silent: bool = False
    wrong_crc: bool = False
    late: float = 0.0
    before: bytes = b""
    after: bytes = b""
    exception: int = 0
    stuck: bool = False


@dataclass(slots=True, kw_only=True)
class SimulatedSlave:
    """One slave. Values are raw words or bits by zero-based address, numbers or behaviours; negative ones wrap.

    What a master writes becomes a constant. A register that is not there is refused as ILLEGAL_ADDRESS.
    """

    address: int
    coils: dict[int, Value] = field(default_factory=dict)
    inputs: dict[int, Value] = field(default_factory=dict)
    holding: dict[int, Value] = field(default_factory=dict)
    registers: dict[int, Value] = field(default_factory=dict)
    delay: float = 0.01  # s before it answers
    fault: Fault = field(default_factory=Fault)
    asked: int = 0
    _frozen: dict[tuple[int, int], int] = field(default_factory=dict)

    def answer(self, request: Request, t: float) -> bytes:
        """Return the answer to a request at `t` s since the simulation began."""
        if self.fault.exception:
            return modbus.encode_exception(request, self.fault.exception)
        table: dict[int, Value] = getattr(self, TABLES[request.function])
        places = range(request.start, request.start + request.count)
        if any(place not in table for place in places):
            return modbus.encode_exception(request, ExceptionCode.ILLEGAL_ADDRESS)
        if request.function not in modbus.READS:
            for place, value in zip(places, request.values, strict=True):
                table[place] = int(value == modbus.COIL_ON) if request.function == modbus.WRITE_COIL else value
            return modbus.encode_reply(request)
        if not self.fault.stuck:
            self._frozen.clear()
        values = tuple(self._value(request.function, place, table[place], t) for place in places)
        return modbus.encode_reply(request, values)

    def _value(self, function: int, place: int, value: Value, t: float) -> int:
        number = value(t) if callable(value) else value
        raw = int(number != 0) if function in modbus.BIT_READS else round(number) & 0xFFFF
        return self._frozen.setdefault((function, place), raw)


class ModbusBus:
    """Slaves on one line. `run` serves until cancelled; `unplug` and `plug` pull the adapter.

    Paced at `baudrate`, a request or answer takes its wire time; None is as fast as possible. With `echo`, the line
    gives the master's own bytes back as cheap two-wire adapters do. `asked` counts requests by address, also of
    addresses where nobody lives.
    """

    def __init__(
        self,
        line: Line,
        clock: Clock,
        slaves: Iterable[SimulatedSlave],
        *,
        baudrate: int | None = 9600,
        echo: bool = False,
    ) -> None:
        self.slaves = {slave.address: slave for slave in slaves}
        self.asked: Counter[int] = Counter()
        self._line = line
        self._clock = clock
        self._character = 0.0 if baudrate is None else BITS_PER_CHARACTER / baudrate
        self._echo = echo
        self._plugged = asyncio.Event()
        self._plugged.set()
        self._start = clock.mono()

    async def run(self) -> None:
        """Serve until cancelled, over any number of unplugs."""
        while True:
            await self._plugged.wait()
            port, answers = self._line.port, set[asyncio.Task[None]]()
            try:
                await self._serve(port, answers)
            except LinkDown:
                if self._line.port is port and self._plugged.is_set():
                    await self._clock.sleep(0.1)  # lost without our doing; do not spin
            finally:
                for answer in answers:
                    answer.cancel()

    def unplug(self) -> None:
        """Pull the adapter: whoever has the line open loses it."""
        self._plugged.clear()
        self._line.unplug()

    def plug(self) -> None:
        """Put the adapter back."""
        self._line.plug()
        self._plugged.set()

    async def _serve(self, port: Port, answers: set[asyncio.Task[None]]) -> None:
        scanner = RequestScanner()
        while True:
            data = await port.read()
            if self._echo:
                port.write(data)
            for request in scanner.feed(data):
                self.asked[request.address] += 1
                slave = self.slaves.get(request.address)
                if slave is not None:
                    slave.asked += 1
                    if not slave.fault.silent:
                        answer = asyncio.create_task(self._answer(port, slave, request), name=f"slave {slave.address}")
                        answers.add(answer)
                        answer.add_done_callback(answers.discard)

    async def _answer(self, port: Port, slave: SimulatedSlave, request: Request) -> None:
        fault = slave.fault
        frame = slave.answer(request, (self._clock.mono() - self._start) / SECOND)
        if fault.wrong_crc:
            frame = frame[:-1] + bytes((frame[-1] ^ 0x55,))
        frame = fault.before + frame + fault.after
        # One sleep for both directions: every sleep of a real clock is late by up to a millisecond.
        wire = (request.request_size() + len(frame)) * self._character
        await self._clock.sleep(wire + slave.delay + fault.late)
        with contextlib.suppress(LinkDown):  # who listens finds the loss
            port.write(frame)
