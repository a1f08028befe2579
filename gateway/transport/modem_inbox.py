"""What a modem received: storage slots read, parts joined, handed on, and freed only after acceptance.

Part of the modem session. Keeps house rule 4 for SMS: a reply is deleted from the modem only after whoever got it said
that it is committed; a process that dies before that gets it again. Reports and our own stored messages are freed at
once. The session calls `chores` between two parts of outgoing messages.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from zlib import crc32

from gateway.clock import Clock
from gateway.errors import ProtocolViolation
from gateway.model.modem import ModemStatus
from gateway.protocols.at import Line, Unsolicited, fields
from gateway.protocols.smsparts import Joiner, Received
from gateway.protocols.smspdu import Deliver, StatusReport, decode
from gateway.transport.at_link import Answer, AtLink
from gateway.transport.modem_start import Facts

LIST_LIMIT = 20.0  # s; a full storage takes its time


class ModemListener(Protocol):
    """Who hears from the modem session. Called on the loop; must not wait."""

    def replied(self, message: Received, token: str) -> None:
        """Somebody wrote. Call `ModemSession.accepted(token)` once it is committed."""

    def reported(self, report: StatusReport) -> None:
        """Take what the network says of a message that was sent."""

    def changed(self, status: ModemStatus) -> None:
        """Take the facts of the modem, which have changed."""

    def counted(self, what: str) -> None:
        """Count an occurrence of `what`."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in the modem's storage."""

    memory: str
    index: int


class Inbox:
    """Slots between the modem and the listener. `wake` tells the session that there is a chore."""

    def __init__(self, listener: ModemListener, clock: Clock, facts: Facts, wake: Callable[[], None]) -> None:
        self._listener = listener
        self._clock = clock
        self._facts = facts
        self._wake = wake
        self._joiner = Joiner()
        self._known: set[Slot] = set()  # to be read, in the joiner, in hand or to be freed
        self._in_hand: dict[str, set[Slot]] = {}
        self._reads: deque[Slot] = deque()
        self._frees: deque[Slot] = deque()
        self._again: set[Slot] = set()  # unreadable at first sight
        self._kept: list[Slot] = []  # refused to be freed; tried again with the next listing
        self._selected = ""
        self._list_due = False

    def begin(self) -> None:
        """Start over with a modem that has just come up."""
        self._joiner = Joiner()
        for held in (self._known, self._again, self._in_hand, self._reads, self._frees, self._kept):
            held.clear()
        self._selected = self._facts.memory
        self.list_soon()

    def list_soon(self) -> None:
        """Read everything that is stored, as the next chore."""
        self._list_due = bool(self._facts.memory)
        self._wake()

    def announced(self, line: Unsolicited) -> None:
        """Take +CMTI, +CDSI, +CMT or +CDS."""
        if line.text.startswith(("+CMT:", "+CDS:")):
            self._take(None, line.text, line.pdu)  # handed over without being stored: nothing to free
            return
        found = fields(line.text)
        if len(found) == 2 and found[1].isdecimal():
            self._read_soon(Slot(found[0], int(found[1])))

    def accepted(self, token: str) -> None:
        """Free the slots of a message; an unknown token is one of before the modem came up again."""
        for slot in self._in_hand.pop(token, ()):
            self._free_soon(slot)

    @property
    def waiting(self) -> bool:
        """Whether there is a chore."""
        return bool(self._reads or self._frees or self._list_due)

    async def chore(self, link: AtLink) -> None:
        """Do one command's worth of work, replies before clearing up. TimeoutError, LinkDown."""
        if self._reads:
            await self._read(link, self._reads.popleft())
        elif self._list_due:
            self._list_due = False
            await self._list(link)
        elif self._frees:
            await self._free(link, self._frees.popleft())

    def tidy(self) -> None:
        """Give out what waits too long for its other parts; read what was not announced; free what was not freed."""
        for message in self._joiner.expire(self._clock.mono()):
            self._hand_over(message)
        self._frees.extend(self._kept)
        self._kept.clear()
        if self._facts.storage_used > len(self._known):
            self.list_soon()

    async def _read(self, link: AtLink, slot: Slot) -> None:
        line = None
        if await self._select(link, slot.memory):
            line = _with_pdu(await link.ask(f"AT+CMGR={slot.index}"))
        if line is None:
            self._known.discard(slot)  # empty, gone since it was announced, or garbled: the next listing shows it
        else:
            self._take(slot, line.text, line.pdu)

    async def _list(self, link: AtLink) -> None:
        if self._facts.full:
            self._listener.counted("storage_full")
            for message in self._joiner.flush():
                self._hand_over(message)
        if not await self._select(link, self._facts.memory):
            return
        answer = await link.ask("AT+CMGL=4", limit=LIST_LIMIT)
        for line in answer.lines:
            index = "".join(fields(line.text)[:1])
            if line.text.upper().startswith("+CMGL:") and index.isdecimal():
                slot = Slot(self._facts.memory, int(index))
                if slot not in self._known:
                    self._known.add(slot)
                    self._take(slot, line.text, line.pdu)

    async def _free(self, link: AtLink, slot: Slot) -> None:
        if await self._select(link, slot.memory) and (await link.ask(f"AT+CMGD={slot.index}")).ok:
            self._known.discard(slot)
            self._again.discard(slot)
            self._facts.storage_used = max(0, self._facts.storage_used - 1)
        else:
            self._listener.counted("not_freed")
            self._kept.append(slot)

    async def _select(self, link: AtLink, memory: str) -> bool:
        if memory != self._selected and (await link.ask(f'AT+CPMS="{memory}"')).ok:
            self._selected = memory
        return memory == self._selected

    def _take(self, slot: Slot | None, header: str, pdu: str) -> None:
        announced = "".join(fields(header)[-1:])
        try:
            message = decode(bytes.fromhex(pdu), int(announced) if announced.isdecimal() else None)
        except (ValueError, ProtocolViolation):
            self._listener.counted("unreadable")
            if slot is not None and slot not in self._again:  # perhaps only the line was disturbed
                self._again.add(slot)
                self._reads.append(slot)
                return
            # A person may have written it: somebody should see it, then the slot is freed like any other.
            self._hand_over(Received("", pdu, None, (slot,), complete=False))
            return
        if isinstance(message, Deliver):
            for whole in self._joiner.add(message, slot, self._clock.mono()):
                self._hand_over(whole)
            return
        if isinstance(message, StatusReport):
            self._listener.reported(message)
        if slot is not None:
            self._free_soon(slot)

    def _hand_over(self, message: Received) -> None:
        token = _token(message)
        slots = {tag for tag in message.tags if isinstance(tag, Slot)}
        if token in self._in_hand:  # one storage under two names
            self._in_hand[token] |= slots
        else:
            self._in_hand[token] = slots
            self._listener.replied(message, token)

    def _read_soon(self, slot: Slot) -> None:
        if slot not in self._known:
            self._known.add(slot)
            self._reads.append(slot)
            self._wake()

    def _free_soon(self, slot: Slot) -> None:
        self._frees.append(slot)
        self._wake()


def _with_pdu(answer: Answer) -> Line | None:
    return next((line for line in answer.lines if line.pdu), None)


def _token(message: Received) -> str:
    """Name a message by index and content, so that a slot used again is another message."""
    places = [tag.index for tag in message.tags if isinstance(tag, Slot)]
    return f"{crc32(repr((places, message.number, message.text, message.sent)).encode()):08x}"
