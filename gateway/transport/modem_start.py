"""The start-up ladder of a modem and the facts it learns: from a silent port to one that sends and receives SMS.

Run by the modem session after opening the port and after every recovery. Rungs that a module may refuse are tried and
passed over; only an unusable SIM or a missing PDU mode stops the climb (house section 7: fail towards alarming, a modem
that can send but not store is used for sending).
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.clock import SECOND, Clock
from gateway.model.modem import ModemStatus, NetworkTime
from gateway.protocols.at import clock_time
from gateway.transport.at_link import Answer, AtLink

SIM_TRIES = 5  # a SIM may be busy for some seconds after power-up
SIM_PAUSE = 1.0
USABLE_SIGNAL = 10  # AT+CSQ; below, sending is luck
_UNKNOWN_SIGNAL = 99
_MEMORIES = ("ME", "SM")
_INDICATIONS = ("2,1,0,1,0", "2,1,0,2,0", "2,1,0,0,0")  # reports direct, stored, none
_REGISTRATION = ("idle", "home", "searching", "denied", "unknown", "roaming")
_INTERNATIONAL = 145
_CLOCK_ERROR = 2 * SECOND  # a network tells whole seconds, a modem shows whole seconds


@dataclass(frozen=True, slots=True)
class Problem:
    """Why the modem cannot be used. `retryable`: the same notice may get through later; `uncertain`: it may have."""

    reason: str
    retryable: bool
    uncertain: bool = False


@dataclass(slots=True)
class Facts:
    """What is known of the modem, gathered by the ladder, polls and unsolicited results."""

    model: str = ""
    serial_number: str = ""
    sim: str = ""
    circuit: str = "unknown"  # registration for 2G/3G
    packet: str = "unknown"  # … for LTE: SMS then goes over IMS or SGs
    operator: str = ""
    signal: int | None = None
    service_centre: str = ""
    memory: str = ""
    storage_used: int = 0
    storage_total: int = 0
    pin_refused: bool = False
    indication: str = ""  # AT+CNMI as it reads back: another one means that the module has started anew

    @property
    def registered(self) -> bool:
        """Either registration will do: an LTE module may stay unregistered for 2G."""
        return "home" in (self.circuit, self.packet) or "roaming" in (self.circuit, self.packet)

    @property
    def full(self) -> bool:
        """Whether further messages would be lost."""
        return 0 < self.storage_total <= self.storage_used

    def status(self, problem: Problem | None) -> ModemStatus:
        """Return the facts as others see them; the first trouble is the reason."""
        registration = self.packet if self.packet in ("home", "roaming") else self.circuit
        reason = ""
        if problem is not None:
            reason = problem.reason
        elif not self.registered:
            reason = f"not registered: {registration}"
        elif not self.service_centre:
            reason = "no service centre number"
        return ModemStatus(
            up=not reason,
            reason=reason,
            model=self.model,
            serial_number=self.serial_number,
            sim=self.sim,
            registration=registration,
            operator=self.operator,
            signal=self.signal,
            service_centre=self.service_centre,
            storage_used=self.storage_used,
            storage_total=self.storage_total,
            pin_refused=self.pin_refused,
        )


async def climb(link: AtLink, clock: Clock, facts: Facts, *, pin: str, service_centre: str) -> Problem | None:
    """Go up the ladder; return what stopped it, None at the top. TimeoutError when the modem falls silent."""
    if not await link.probe():
        raise TimeoutError
    for command in ("ATE0", "AT+CMEE=1"):
        await link.ask(command)
    await _identify(link, facts)
    problem = await _unlock(link, clock, facts, pin)
    if problem is not None:
        return problem
    # CSMS=0: the modem acknowledges to the network itself. COLP=1 would block a later ATD until the answer.
    for command in ("AT+CSMS=0", "AT+CREG=1", "AT+CEREG=1", "AT+CLIP=1", "AT+COLP=0"):
        await link.ask(command)
    if not (await link.ask("AT+CMGF=0")).ok:
        return Problem("modem has no PDU mode", retryable=False)
    # Clock by the network's word (TS 27.007 clause 8.40). Quectel's 1 would show UTC under the local zone, 3 does not.
    await link.ask("AT+CTZU=3" if "QUECTEL" in facts.model.upper() else "AT+CTZU=1")
    facts.operator = "".join((await link.ask("AT+COPS?")).fields("+COPS")[2:3])  # slow while searching: not polled
    await look(link, facts)
    await _storage(link, facts)
    await _centre(link, facts, service_centre)
    for indication in _INDICATIONS:
        if (await link.ask(f"AT+CNMI={indication}")).ok:
            break
    facts.indication = (await link.ask("AT+CNMI?")).text
    return None


async def look(link: AtLink, facts: Facts) -> bool:
    """Refresh signal, registration, storage and SIM; False when the SIM or our settings are gone."""
    signal = _number((await link.ask("AT+CSQ")).fields("+CSQ"), 0, _UNKNOWN_SIGNAL)
    facts.signal = None if signal == _UNKNOWN_SIGNAL else -113 + 2 * signal
    facts.circuit = registration((await link.ask("AT+CREG?")).fields("+CREG")[1:])
    facts.packet = registration((await link.ask("AT+CEREG?")).fields("+CEREG")[1:])
    if facts.memory:
        used = (await link.ask("AT+CPMS?")).fields("+CPMS")
        if used[:1] == [facts.memory]:  # not while the memory of reports is selected
            facts.storage_used = _number(used, 1, facts.storage_used)
            facts.storage_total = _number(used, 2, facts.storage_total)
    sim = await link.ask("AT+CPIN?")
    facts.sim = _sim(sim)
    settled = not facts.indication or (await link.ask("AT+CNMI?")).text == facts.indication
    return settled and facts.sim == "READY"


async def ask_time(link: AtLink, clock: Clock) -> NetworkTime | None:
    """Read the modem's clock; None when it has none or shows no date with a zone."""
    before = clock.mono()
    wall = clock_time("".join((await link.ask("AT+CCLK?")).fields("+CCLK")[:1]))
    after = clock.mono()
    return None if wall is None else NetworkTime((before + after) // 2, wall * SECOND, _CLOCK_ERROR + (after - before))


def registration(found: list[str]) -> str:
    """Read the <stat> field of +CREG or +CEREG (TS 27.007 clause 7.2)."""
    stat = _number(found, 0, 4)
    return _REGISTRATION[stat] if stat < len(_REGISTRATION) else "unknown"


async def _identify(link: AtLink, facts: Facts) -> None:
    maker, model, version, serial_number = [
        (await link.ask(command)).text for command in ("AT+CGMI", "AT+CGMM", "AT+CGMR", "AT+CGSN")
    ]
    facts.model = " ".join(each for each in (maker, model, version) if each)
    facts.serial_number = serial_number


async def _unlock(link: AtLink, clock: Clock, facts: Facts, pin: str) -> Problem | None:
    """AT+CPIN?; the PIN is tried once only: three wrong ones lock the SIM."""
    for _ in range(SIM_TRIES):
        answer = await link.ask("AT+CPIN?")
        facts.sim = _sim(answer)
        if facts.sim == "READY":
            return None
        if facts.sim == "SIM PIN" and pin and not facts.pin_refused:
            facts.pin_refused = not (await link.ask(f'AT+CPIN="{pin}"')).ok
        elif answer.final.number not in (13, 14):
            break
        await clock.sleep(SIM_PAUSE)
    if facts.pin_refused:
        return Problem("SIM PIN refused: not tried again", retryable=False)
    return Problem(f"SIM: {facts.sim}", answer.final.retryable)


def _sim(answer: Answer) -> str:
    return "".join(answer.fields("+CPIN")[:1]) if answer.ok else answer.final.reason


async def _storage(link: AtLink, facts: Facts) -> None:
    facts.memory = ""
    for memory in _MEMORIES:
        answer = await link.ask(f'AT+CPMS="{memory}","{memory}","{memory}"')
        if answer.ok:
            facts.memory = memory
            facts.storage_used = _number(answer.fields("+CPMS"), 0, 0)
            facts.storage_total = _number(answer.fields("+CPMS"), 1, 0)
            return


async def _centre(link: AtLink, facts: Facts, service_centre: str) -> None:
    facts.service_centre = "".join((await link.ask("AT+CSCA?")).fields("+CSCA")[:1])
    if not facts.service_centre and service_centre:
        kind = f",{_INTERNATIONAL}" if service_centre.startswith("+") else ""
        if (await link.ask(f'AT+CSCA="{service_centre}"{kind}')).ok:
            facts.service_centre = service_centre


def _number(found: list[str], place: int, default: int) -> int:
    return int(found[place]) if place < len(found) and found[place].isdecimal() else default
