"""What devices said and may say again: a repeat is answered, never stored twice, also over a restart.

Beside `_conversation.py`; keeps house section 4 (redelivery) for protocols that repeat what is not answered. A repeat
has the digest of what was said shortly before by the same device. One that is being committed is answered when that is
done, a committed one at once. Marks (`gateway.model.batch.Mark`) keep the digests of the last `SLOTS` things that
every configured device said, each device as a session of its own, so that few bytes change with a commit.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Generic, TypeVar

from gateway.model.batch import Mark
from gateway.model.time import MINUTE

SLOTS = 16  # a device has rarely more than one thing unanswered
STRANGERS = 256  # senders without a place in the configuration: the last ones, in RAM alone
INHERITED = 30 * MINUTE  # ns after a start in which marks of the former life count
_DIGEST = 8  # bytes

Entry = TypeVar("Entry")


@dataclass(slots=True)
class _Slot(Generic[Entry]):
    """One thing said. `entry` is what waits for its commit, None once that is done; `until` in ns."""

    number: int
    until: int
    entry: Entry | None = None


class Repeats(Generic[Entry]):
    """Digests per device. `marks` are those of a former life; what other sources left is passed over."""

    def __init__(self, source: str, devices: Iterable[str], marks: Iterable[Mark], now: int) -> None:
        self._prefix = f"{source} "
        self._known: dict[str, OrderedDict[bytes, _Slot[Entry]]] = {device: OrderedDict() for device in devices}
        self._strangers: OrderedDict[str, OrderedDict[bytes, _Slot[Entry]]] = OrderedDict()
        self._inherited_until = now + INHERITED
        self._inherited = [mark for mark in marks if mark.session.startswith(self._prefix)]
        for mark in self._inherited:
            slots = self._known.get(mark.session.removeprefix(self._prefix))
            if slots is not None:
                slots[mark.digest] = _Slot(mark.packet, self._inherited_until)

    def find(self, device: str, digest: bytes, now: int) -> tuple[bool, Entry | None]:
        """Return whether this was said before, and what waits for its commit, if anything does.

        `digest`, here and below, is of `shortened`.
        """
        slot = self._slots(device).get(digest)
        if slot is None or slot.until < now:
            return False, None
        return True, slot.entry

    def enter(self, device: str, digest: bytes, until: int, entry: Entry) -> Mark | None:
        """Remember what is handed over; return the mark to keep with its commit, None for a stranger's."""
        slots = self._slots(device, make=True)
        before = slots.pop(digest, None)
        number = _free(slots) if before is None else before.number
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
        """Return marks of the former life whose time is over, once; those whose places are taken have gone already."""
        if not self._inherited or now <= self._inherited_until:
            return []
        over, self._inherited = self._inherited, []
        return [mark for mark in over if self._stands(mark) or mark.session[len(self._prefix) :] not in self._known]

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

    def _stands(self, mark: Mark) -> bool:
        slot = self._slots(mark.session.removeprefix(self._prefix)).get(mark.digest)
        return slot is not None and slot.number == mark.packet


def _free(slots: OrderedDict[bytes, _Slot[Entry]]) -> int:
    """Return a free place, made by forgetting the oldest thing if need be: first of what is committed."""
    if len(slots) < SLOTS:
        taken = {slot.number for slot in slots.values()}
        return next(number for number in range(SLOTS) if number not in taken)
    oldest = next((short for short, slot in slots.items() if slot.entry is None), next(iter(slots)))
    return slots.pop(oldest).number


def shortened(digest: bytes) -> bytes:
    """Return a digest of any length as the eight bytes that are kept."""
    return blake2b(digest, digest_size=_DIGEST).digest()
