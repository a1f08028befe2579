"""A simulated AT modem on a pseudo-terminal: real bytes, real PDUs, and every fault on demand.

Shipped fake (house rule 9): the demo, the tests and `firegrid simulate` talk to it as to a module on a serial port,
also from another process. It answers the start-up ladder, sends (`sent`), receives (`receive`), reports and stores;
`faults` makes it silent, unregistered, noisy or full; `unplug` and `plug` are the USB adapter being pulled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from drivers.simulated.modem_network import NO_NETWORK, NO_SIM, Faults, Network, SentMessage
from gateway.clock import Clock
from gateway.errors import LinkDown, ProtocolViolation
from gateway.protocols.smspdu import Submit, decode, tpdu_length
from gateway.transport.serial import open_pty

_ESCAPE, _SUBMIT, _RETURN = 0x1B, 0x1A, 0x0D
_PLAIN = frozenset({"AT", "AT+CMEE=1", "AT+CSMS=0", "AT+CLIP=1", "AT+COLP=0", "AT+CMGF=0", "AT+CREG=1", "AT+CEREG=1"})
_IDENTITY = {"AT+CGMI": "firegrid", "AT+CGMM": "simulated modem", "AT+CGMR": "1", "AT+CGSN": "860000000000001"}


class SimulatedModem:
    """A modem and its network. `run` serves until cancelled; everything else may be called while it runs."""

    def __init__(
        self,
        clock: Clock,
        *,
        link: Path | None = None,
        seconds_per_sms: float = 0.0,
        pin: str = "1234",
        storage: int = 20,
        on_sms: Callable[[str, str], None] | None = None,
    ) -> None:
        self.faults = Faults()
        self.seconds_per_sms = seconds_per_sms
        self.commands: list[str] = []
        self.network = Network(clock, places=storage, on_sms=on_sms)
        self._clock = clock
        self._pin = pin
        self._pair = open_pty(link)
        self._plugged = asyncio.Event()
        self._plugged.set()
        self._handlers: dict[str, Callable[[str], None]] = {
            "ATE0": lambda _: self._set_echo(on=False),
            "ATE1": lambda _: self._set_echo(on=True),
            "AT+CPIN": self._sim,
            "AT+CSQ": lambda _: self._answer(f"+CSQ: {self.faults.signal},99"),
            "AT+CREG": lambda _: self._answer(f"+CREG: 1,{self.faults.registration}"),
            "AT+CEREG": lambda _: self._answer(f"+CEREG: 1,{self.faults.registration_lte}"),
            "AT+COPS": lambda _: self._answer('+COPS: 0,0,"CHINA MOBILE",7'),
            "AT+CPMS": self._storage,
            "AT+CSCA": self._set_centre,
            "AT+CNMI": self._indicate,
            "AT+CMGR": self._read,
            "AT+CMGL": self._list,
            "AT+CMGD": self._delete,
            "AT+CFUN": lambda _: self._answer(),
            "AT+CTZU": self._follow,
            "AT+CCLK": lambda _: self._answer(f'+CCLK: "{self._time()}"'),
        }
        self._reset()

    @property
    def path(self) -> Path:
        """The serial port of the modem."""
        return self._pair.path

    @property
    def sent(self) -> list[SentMessage]:
        """Whole texts that arrived at far phones, in order."""
        return self.network.sent

    async def run(self) -> None:
        """Serve until cancelled; closes the port then."""
        try:
            while True:
                await self._plugged.wait()
                with suppress(LinkDown):  # unplugged: `plug` makes a new pseudo-terminal
                    await self._serve()
        finally:
            self._pair.close()

    def receive(self, number: str, text: str) -> None:
        """Let a far phone write to us."""
        for pdu in self.network.written(number, text):
            self.deliver(pdu)

    def deliver(self, pdu: bytes, memory: str = "") -> None:
        """Let the network hand over one PDU, whole or not."""
        memory = memory or self._incoming
        index = self.network.keep(memory, pdu)
        if index is not None:
            name = "+CDSI" if memory == "SR" else "+CMTI"
            self._unsolicited(f'{name}: "{memory}",{index}')

    def announce(self, line: str) -> None:
        """Say an unsolicited line."""
        self._unsolicited(line)

    def restart(self, *, announced: bool = True) -> None:
        """Start the module anew, as after a dip of its supply: the settings are gone."""
        self._reset()
        if announced:
            self._unsolicited("RDY")

    def unplug(self) -> None:
        """Pull the adapter."""
        self._plugged.clear()
        self._pair.unplug()

    def plug(self) -> None:
        """Put the adapter back; the modem has lost its settings."""
        self._reset()
        self._pair.plug()
        self._plugged.set()

    def _reset(self) -> None:
        self._echo = True
        self._memory = self._incoming = "ME"  # to read from; where the network puts messages
        self._indication = "2,1,0,0,0"
        self._unlocked = False
        self._following = False  # takes its clock from the network

    async def _serve(self) -> None:
        buffer = bytearray()
        began = 0
        while True:
            data = await self._pair.port.read()
            now = self._clock.mono()
            if self.faults.silent:
                continue
            if not buffer:
                began = now
            buffer += data
            if self._echo:
                self._pair.port.write(data)
            while (end := buffer.find(_RETURN)) >= 0:
                line = bytes(buffer[:end]).decode("ascii", errors="replace")
                del buffer[: end + 1]
                await self._command(line.replace(chr(_ESCAPE), ""), buffer, began)
                began = now

    async def _command(self, line: str, buffer: bytearray, began: int) -> None:
        command = line.strip()
        self.commands.append(command)
        name = command.partition("=")[0].rstrip("?")
        if name in self.faults.unanswered_commands:
            return
        if name in self.faults.refused_commands:
            self._answer(final="ERROR")
        elif command.startswith("AT+CMGS="):
            await self._cmgs(buffer, began)
        elif command in _IDENTITY:
            self._answer(_IDENTITY[command])
        elif command in _PLAIN:
            self._answer()
        else:
            handler = self._handlers.get(name)
            if handler is None:
                self._answer(final="ERROR")
            else:
                handler(command.partition("=")[2])

    async def _cmgs(self, buffer: bytearray, began: int) -> None:
        if self.faults.no_prompt:
            self.faults.no_prompt -= 1
            return
        self._pair.port.write(b"\r\n> ")
        while not (ends := [octet for octet in buffer if octet in (_SUBMIT, _ESCAPE)]):
            data = await self._pair.port.read()
            buffer += data
            if self._echo:
                self._pair.port.write(data)
        text, _, rest = bytes(buffer).partition(bytes(ends[:1]))
        buffer[:] = rest
        if ends[0] == _ESCAPE:
            self._answer()
            return
        if self.seconds_per_sms:
            await self._clock.sleep(self.seconds_per_sms)
        self._transmit(text, began)

    def _transmit(self, text: bytes, began: int) -> None:
        error = self._refusal()
        try:
            message = decode(bytes.fromhex(text.decode("ascii", errors="replace")))
        except (ValueError, ProtocolViolation):
            message = None
        if error is None and not isinstance(message, Submit):
            error = 304
        if error is not None or not isinstance(message, Submit):
            self._answer(final=f"+CMS ERROR: {error}")
            return
        reference = self.network.submit(message, began)
        if self.faults.no_result:
            self.faults.no_result -= 1
            return
        self._answer(f"+CMGS: {reference}")
        self._report(self.network.report(message, reference))

    def _refusal(self) -> int | None:
        if self.faults.refuse:
            return self.faults.refuse.popleft()
        if self.faults.sim != "READY":
            return NO_SIM
        if not self.faults.service_centre:
            return 330
        registered = {self.faults.registration, self.faults.registration_lte} & {1, 5}
        return None if registered else NO_NETWORK

    def _report(self, pdu: bytes | None) -> None:
        mode = self._indication.split(",")[3]
        if pdu is None or mode == "0":
            return
        if mode == "2":
            self.deliver(pdu, "SR")
        else:
            self._unsolicited(f"+CDS: {tpdu_length(pdu)}", pdu.hex().upper())

    def _answer(self, *lines: str, final: str = "OK") -> None:
        for line in (*lines, final):
            self._say(line)
            if self.faults.interject and line != final:
                self._say(self.faults.interject.pop(0))

    def _unsolicited(self, *lines: str) -> None:
        with suppress(LinkDown):  # unplugged: nobody hears it
            for line in lines:
                self._say(line)

    def _say(self, line: str) -> None:
        if not self.faults.silent:
            self._pair.port.write(self.faults.noise + f"\r\n{line}\r\n".encode("ascii"))

    def _sim(self, argument: str) -> None:
        if self.faults.sim_busy:
            self.faults.sim_busy -= 1
            self._answer(final="+CME ERROR: 14")
        elif not self.faults.sim:
            self._answer(final="+CME ERROR: 10")
        elif argument:
            right = argument.strip('"') == self._pin
            self.faults.sim = "READY" if right else self.faults.sim
            self._answer(final="OK" if right else "+CME ERROR: 16")
        else:
            self._answer(f"+CPIN: {self.faults.sim}")

    def _storage(self, argument: str) -> None:
        if argument:
            memory = argument.partition(",")[0].strip('"')
            if memory not in self.network.stored:
                self._answer(final="+CMS ERROR: 302")
                return
            self._memory = memory
            self._incoming = memory if argument.count(",") == 2 else self._incoming
        used = f"{len(self.network.stored[self._memory])},{self.network.places}"
        each = used if argument else f'"{self._memory}",{used}'
        self._answer(f"+CPMS: {each},{each},{each}")

    def _indicate(self, argument: str) -> None:
        if not argument:
            self._answer(f"+CNMI: {self._indication}")
        elif argument in self.faults.indications:
            self._indication = argument
            self._answer()
        else:
            self._answer(final="+CMS ERROR: 302")

    def _read(self, argument: str) -> None:
        places = self.network.stored[self._memory]
        index = int(argument) if argument.isdecimal() else 0
        if index not in places:
            self._answer(final="+CMS ERROR: 321")
            return
        state, pdu = places[index]
        places[index] = (1, pdu)
        body = [pdu.hex().upper()]
        if self.faults.garbled_reads:
            self.faults.garbled_reads -= 1
            body.insert(0, "0006FF")
        self._answer(f"+CMGR: {state},,{tpdu_length(pdu)}", *body)

    def _list(self, _argument: str) -> None:
        lines = []
        for index, (state, pdu) in self.network.stored[self._memory].items():
            lines += [f"+CMGL: {index},{state},,{tpdu_length(pdu)}", pdu.hex().upper()]
        self._answer(*lines)

    def _delete(self, argument: str) -> None:
        index = argument.partition(",")[0]
        self.network.stored[self._memory].pop(int(index) if index.isdecimal() else 0, None)
        self._answer()

    def _set_echo(self, *, on: bool) -> None:
        self._echo = on
        self._answer()

    def _follow(self, argument: str) -> None:
        self._following = argument == "1"
        self._answer()

    def _time(self) -> str:
        """Return its clock: a module that the network told nothing begins on the first day of GPS."""
        told = self._following and {self.faults.registration, self.faults.registration_lte} & {1, 5}
        return self.faults.clock or (self.network.clock() if told else "80/01/06,00:00:00+00")

    def _set_centre(self, argument: str) -> None:
        if argument:
            self.faults.service_centre = argument.partition(",")[0].strip('"')
            self._answer()
        else:
            self._answer(f'+CSCA: "{self.faults.service_centre}",145')
