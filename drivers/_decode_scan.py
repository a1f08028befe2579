"""Who answers on a Modbus bus, and by which profile: questions that only read, one after the other, politely.

Half of `firegrid discover`; the port is the caller's (`gateway.transport` opens it). Asks with the driver's own master
and judges with its own register maps. Keeps house section 11: what a device answers never raises; only a lost port does
(LinkDown).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from drivers._decode_device import installed, shipped
from drivers._modbus_master import Manners, Master, Outcome
from drivers._modbus_points import Block, Slave
from gateway.model.point import Profile
from gateway.model.quality import Level, level_of
from gateway.protocols.modbus import Reply, Request

PROBES = (3, 4, 2)  # read functions, the usual one first: a device may pass over those that it does not know
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Answered:
    """A device at an address. `profiles`: those that read it, the fittest first. `clear`: never a garbled answer."""

    address: int
    profiles: tuple[str, ...]
    clear: bool = True


class Scan:
    """One pass over a bus with one setting of the line. `step` is called for each question."""

    def __init__(self, master: Master, timeout: float, step: Callable[[], None]) -> None:
        self._master = master
        self._manners = Manners(worst=timeout, silence=0.01)
        self._step = step
        self.garbled: set[int] = set()

    async def addresses(self, wanted: Iterable[int]) -> list[int]:
        """Return who answers, be it with a refusal. Raises LinkDown."""
        found: list[int] = []
        left = list(wanted)
        for function in PROBES:
            for address in left:
                outcome = await self._probe(Request(address, function, 0, 1))
                if outcome in (Outcome.ANSWERED, Outcome.REFUSED):
                    found.append(address)
                elif outcome is Outcome.BROKEN:
                    self.garbled.add(address)
            left = [address for address in left if address not in found]
        return sorted(found)

    async def recognise(self, address: int, baudrate: int) -> Answered:
        """Return the profiles whose registers are there and hold what they may hold. Raises LinkDown."""
        answers: dict[Request, Reply | None] = {}
        ranked: list[tuple[int, str]] = []
        for profile in shipped():
            if profile.driver != "modbus_rtu" or profile.options.get("wake") or not profile.points:
                continue
            score = await self._score(_slave(profile, address), answers)
            if score:
                usual = profile.options.get("baudrate", baudrate) == baudrate
                factory = profile.options.get("address") == address != 1
                ranked.append((-score - usual - 2 * factory, profile.id))
        return Answered(address, tuple(name for _, name in sorted(ranked)[:_SHOWN]), address not in self.garbled)

    async def _score(self, slave: Slave, answers: dict[Request, Reply | None]) -> int:
        """Return how many registers of a profile hold something sensible; 0 when one of them does not."""
        score = 0
        for block in slave.blocks:
            if block.request not in answers:
                answers[block.request] = await self._read(block.request)
            reply = answers[block.request]
            if reply is None:
                return 0
            good = _sense(slave, block, reply.values)
            if not good:
                return 0
            score += good
        return score

    async def _read(self, request: Request) -> Reply | None:
        self._step()
        answer = await self._master.ask(request, self._manners)
        return answer.reply if answer.outcome is Outcome.ANSWERED else None

    async def _probe(self, request: Request) -> Outcome:
        self._step()
        return (await self._master.ask(request, self._manners)).outcome


def _slave(profile: Profile, address: int) -> Slave:
    device, ids, _ = installed(profile, {})
    return Slave(
        device, address, ids, block=int(profile.options.get("block", 1)), holes=int(profile.options.get("holes", 0))
    )


def _sense(slave: Slave, block: Block, values: Sequence[int]) -> int:
    """Return what the answer to a block proves: a point each, more for a scale that the profile knows; 0: nothing."""
    rows = slave.rows(block, values)
    if any(level_of(quality) is Level.BAD for *_, quality in rows):
        return 0
    return len(rows) + 2 * len(block.scales)
