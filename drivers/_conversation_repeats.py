"""What devices said and may say again: a repeat is answered, never stored twice, also over a restart.

Beside `_conversation.py`; keeps house section 4 (redelivery) for protocols that repeat what is not answered. A repeat
has the digest of what was said shortly before by the same device. One that is being committed is answered when that is
done, a committed one at once. Marks (`gateway.model.batch.Mark`) keep the digests of the last `SLOTS` things that
every configured device said, and of as many whose own time proves them (`Proof.TIME`), for `LASTING` at most; each
device as a session of its own, so that few bytes change with a commit. What has to make room there is remembered in RAM
alone, `OLDER` of all devices: a device that dies in a burst may say all of it again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b
from typing import Generic, TypeVar

from drivers._conversation_said import Proof
from gateway.model.batch import Mark
from gateway.model.time import DAY, MINUTE

SLOTS = 16  # a device has rarely more than one thing unanswered
STRANGERS = 256  # senders without a place in the configuration: the last ones, in RAM alone
OLDER = 4096  # a sink that lost its place says a whole backlog again
INHERITED = 30 * MINUTE  # ns after a start in which marks of the former life count,
LASTING = 7 * DAY  # and those of what its own time proves
_DIGEST = 8  # bytes

Entry = TypeVar("Entry")


class Known(Enum):
    """Whether something was said before."""

    NEW = 0
    BEFORE = 1
    PERHAPS = 2  # in a former life, or longer ago than it counts, and nothing proves that it is the same


@dataclass(slots=True)
class _Slot(Generic[Entry]):
    """One thing said. `entry` is what waits for its commit, None once that is done; `until` in ns.

    `number`: its place, from `SLOTS` on of what its time proves. `inherited`: from a former life.
    """

    number: int
    until: int
    entry: Entry | None = None
    inherited: bool = False


class Repeats(Generic[Entry]):
    """Digests per device. `marks` are those of a former life; what other sources left is passed over."""

    def __init__(self, source: str, devices: Iterable[str], marks: Iterable[Mark], now: int) -> None:
        self._prefix = f"{source} "
        self._known: dict[str, OrderedDict[bytes, _Slot[Entry]]] = {device: OrderedDict() for device in devices}
        self._strangers: OrderedDict[str, OrderedDict[bytes, _Slot[Entry]]] = OrderedDict()
        self._older: OrderedDict[tuple[str, bytes], int] = OrderedDict()  # of this life → until when it counts
        self._inherited: dict[int, list[Mark]] = {now + INHERITED: [], now + LASTING: []}  # until when each counts
        for mark in marks:
            if not mark.session.startswith(self._prefix):
                continue
            slots = self._known.get(mark.session.removeprefix(self._prefix))
            until = now + (INHERITED if slots is None or mark.packet < SLOTS else LASTING)
            self._inherited[until].append(mark)
            if slots is not None:
                slots[mark.digest] = _Slot(mark.packet, until, inherited=True)

    def find(self, device: str, digest: bytes, now: int, proof: Proof) -> tuple[Known, Entry | None]:
        """Return whether this was said before, and what waits for its commit, if anything does.

        `digest`, here and below, is of `shortened`; `proof`: of what is said now.
        """
        slot = self._slots(device).get(digest)
        over = Known.PERHAPS if proof is Proof.NOTHING else Known.NEW
        if slot is None:
            until = self._older.get((device, digest))
            return (Known.NEW if until is None else Known.BEFORE if until >= now else over), None
        if slot.until < now:
            return (Known.NEW if slot.inherited else over), None
        if slot.inherited and slot.number < SLOTS and proof is Proof.NOTHING:
            return Known.PERHAPS, None
        return Known.BEFORE, slot.entry

    def enter(self, device: str, digest: bytes, until: int, entry: Entry, proof: Proof) -> Mark | None:
        """Remember what is handed over; return the mark to keep with its commit, None for a stranger's."""
        slots = self._slots(device, make=True)
        first = SLOTS if proof is Proof.TIME else 0
        before = slots.pop(digest, None)
        stays = before is not None and first <= before.number < first + SLOTS
        number = before.number if before is not None and stays else self._free(device, slots, first)
        slots[digest] = _Slot(number, until, entry)
        return Mark(self._prefix + device, number, digest) if device in self._known else None

    def committed(self, device: str, digest: bytes, entry: Entry) -> None:
        """Enter that it is stored."""
        slot = self._slots(device).get(digest)
        if slot is not None and slot.entry is entry:
            slot.entry = None

    def settled(self, marks: Sequence[Mark], until: int, now: int) -> bool:
        """Whether marks may go from the store: their time is over, or newer ones have taken their places."""
        return now > until or not any(self._stands(mark) for mark in marks)

    def stale(self, now: int) -> list[Mark]:
        """Return marks of the former life whose time is over, once, but for what was said again since."""
        until = next(iter(self._inherited), now)
        if now <= until:
            return []
        over = self._inherited.pop(until)
        return [mark for mark in over if not self._stands(mark, renewed=True)]

    def _slots(self, device: str, *, make: bool = False) -> OrderedDict[bytes, _Slot[Entry]]:
        known = self._known.get(device)
        if known is not None:
            return known
        slots = self._strangers.get(device)
        if slots is None:
            slots = OrderedDict()
            if make:
                self._strangers[device] = slots
                if len(self._strangers) > STRANGERS:
                    self._strangers.popitem(last=False)
        return slots

    def _free(self, device: str, slots: OrderedDict[bytes, _Slot[Entry]], first: int) -> int:
        """Return a free place from `first` on, made by moving the oldest there if need be: first what is committed."""
        places = range(first, first + SLOTS)
        there = {slot.number: short for short, slot in slots.items() if slot.number in places}
        for number in places:
            if number not in there:
                return number
        oldest = next((short for short in there.values() if slots[short].entry is None), next(iter(there.values())))
        slot = slots.pop(oldest)
        if slot.entry is None and not slot.inherited:
            self._older[device, oldest] = slot.until
            if len(self._older) > OLDER:
                self._older.popitem(last=False)
        return slot.number

    def _stands(self, mark: Mark, *, renewed: bool = False) -> bool:
        slot = self._slots(mark.session.removeprefix(self._prefix)).get(mark.digest)
        return slot is not None and slot.number == mark.packet and not (renewed and slot.inherited)


def shortened(digest: bytes) -> bytes:
    """Return a digest of any length as the eight bytes that are kept."""
    return blake2b(digest, digest_size=_DIGEST).digest()
