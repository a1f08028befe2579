"""Alarms as status words of GB/T 26875.3 (types 2 and 21), as they stand and as they were. Pure.

Beside `gateway.sinks.gb26875_uplink`. A word is the sum of all alarms of a component, so that what ends one of two
alarms never tells the centre that all is well (house rule 5, seen from the other side).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from gateway.model.alarm import Alarm, AlarmFacts, AlarmState, Evidence, Suppression, Transition
from gateway.model.time import MINUTE
from gateway.model.verdict import Cause
from gateway.protocols.gb26875_objects import ComponentStatus, DeviceStatus
from gateway.protocols.gb26875_units import time_tag
from gateway.sinks._gb26875_places import DISABLED, NORMAL, Component, Places

STANDING = (AlarmState.UNACK, AlarmState.ACKED, AlarmState.LATCHED_UNACK, AlarmState.LATCHED_ACKED)
_BY_EVENT = frozenset((Cause.EVENT, Cause.EVENT_RESET, Cause.UNREGISTERED, Cause.ESCALATED))
_RIGHT = MINUTE  # ns by which a device's clock may be behind when it speaks: then it was right, as in `rules.panel`
Facts = Callable[[str, int, str], AlarmFacts]
Alarms = Callable[[], Sequence[tuple[Alarm, int]]]


class Target(NamedTuple):
    """Whose word it is: a component's, or (None) the transmission device's own."""

    component: Component | None


class Standing(NamedTuple):
    """An alarm that adds to a word. `since`: wall ns, 0 unknown; `own`: by its device; `spoken`: see `Words.status`."""

    alarm: int
    bits: int
    since: int
    own: int
    spoken: bytes | None = None


class Said(NamedTuple):
    """A word, since when (wall ns), by the device's own clock too, and a description by the device itself."""

    word: int
    since: int
    own: int
    spoken: bytes | None


def happened(at: int, cause: Cause, evidence: Evidence) -> int:
    """Return when it happened (wall ns): by the device's own clock where that is proved right, else `at`.

    A clock that is minutes behind, stands still or runs ahead would date a fire before what is over.
    """
    return evidence.time if cause in _BY_EVENT and 0 <= at - evidence.time <= _RIGHT else at


class Words:
    """The words of everything. `alarms`: what is open now, None when nobody can tell; `offset`: s east of UTC."""

    def __init__(
        self, places: Places, facts: Facts, alarms: Alarms | None, *, sink: str, offset: int, running: bool
    ) -> None:
        self._places = places
        self._facts = facts
        self._alarms = alarms
        self._sink = sink
        self._offset = offset
        self._running = running

    def target(self, point: int, key: str) -> Target:
        """Return whose word a place belongs to."""
        return Target(None if self._places.own(point, key) else self._places.component(point, key))

    def bit(self, rule: str, point: int, key: str) -> int:
        """Return the bit of a place that can alarm, 0: it is not told."""
        facts = self._facts(rule, point, key)
        if self._places.own(point, key):
            return self._places.own_bit(point, key, facts, self._sink)
        return self._places.bit(facts)

    def bits(self, bit: int, state: AlarmState, suppression: Suppression, target: Target) -> int:
        """Return what an alarm adds to its word.

        A shelved one is told with bit 3 beside its own, one out of service by bit 3 alone, one kept down by design
        (walk test, follow-up of another) not at all.
        """
        shielded = DISABLED if target.component is not None else 0
        told = bit if state in STANDING else 0
        match suppression:
            case Suppression.NONE:
                return told
            case Suppression.SHELVED:
                return told | shielded
            case Suppression.OUT_OF_SERVICE:
                return shielded
        return 0

    def after(self, move: Transition, bit: int, target: Target) -> int:
        """Return what an alarm adds after a move."""
        return self.bits(bit, move.after, move.suppression, target)

    def now(self) -> dict[Target, list[Standing]] | None:
        """Return what stands now, by target; None when nobody can tell. Raises StoreError."""
        if self._alarms is None:
            return None
        found: dict[Target, list[Standing]] = {}
        for alarm, since in self._alarms():
            target = self.target(alarm.point, alarm.key)
            bit = self.bit(alarm.rule, alarm.point, alarm.key)
            bits = self.bits(bit, alarm.state, alarm.suppression, target) if bit else 0
            if bits:
                spoken = self._places.spoken(alarm.point, alarm.key, alarm.text)
                own = happened(since, alarm.cause, alarm.evidence)
                found.setdefault(target, []).append(Standing(alarm.id, bits, since, own, spoken))
        return found

    def word(self, bits: Iterable[int]) -> int:
        """Return the word of what adds to it. Alone bit 0 is normal; beside others most devices leave it out."""
        word = 0
        for one in bits:
            word |= one
        return word | NORMAL if self._running or not word else word

    def stands(self, standing: Sequence[Standing], otherwise: int) -> Said:
        """Return the word of what stands at one target; `otherwise`: its time when nobody knows."""
        since, own = max(((one.since, one.own) for one in standing), default=(0, 0))
        spoken = next((one.spoken for one in standing if one.spoken is not None), None)
        return Said(self.word(one.bits for one in standing), since or otherwise, own or otherwise, spoken)

    def tag(self, wall: int) -> bytes:
        """Return a time as the wire has it."""
        return time_tag(wall, self._offset)

    def status(
        self, target: Target, word: int, wall: int, spoken: bytes | None = None
    ) -> tuple[int, ComponentStatus | DeviceStatus]:
        """Return type and object that tell a word. `spoken`: a description by the device itself."""
        one = target.component
        if one is None:
            return 21, DeviceStatus(word & 0x7F, self.tag(wall))
        description = one.description if spoken is None else spoken
        return 2, ComponentStatus(one.system, one.address, one.type, one.place, word, description, self.tag(wall))
