"""What the journal says → what the centre is told, in which order: status words and operations. Pure.

Between `gateway.sinks._gb26875_words` and `gb26875_uplink`. Fires first, then newest first; but the words of one
component in the order in which they were true, since a centre shows the last one that it was told. A backlog that
comes after newer news is followed by the newest word once more, with the time of telling: with its own, a centre that
drops what it knows would go on showing the old one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from gateway.model.alarm import AlarmEvent, Suppression, Transition
from gateway.model.batch import EventCode, EventSeen
from gateway.model.portion import Note
from gateway.protocols.gb26875_objects import DeviceOperation, Object, Operation
from gateway.sinks._gb26875_places import FIRE, NORMAL, Places
from gateway.sinks._gb26875_words import STANDING, Said, Standing, Target, Words, happened

DUTY = "duty"  # first word of the key of a duty check's alarm
CLEARED, CONFIRMED = 1 << 3, 1 << 5  # of an operation at a system (type 4)
MANUAL, DUTY_ANSWER = 1 << 2, 1 << 5  # of one at the device (type 24)
KEPT = 102  # operations that can be asked for, as many as one answer holds
_BEFORE = {  # how an alarm was kept down before a move that changes it
    AlarmEvent.SHELVE: Suppression.NONE,
    AlarmEvent.UNSHELVE: Suppression.SHELVED,
    AlarmEvent.SUPPRESS: Suppression.NONE,
    AlarmEvent.UNSUPPRESS: Suppression.BY_DESIGN,
    AlarmEvent.DISABLE: Suppression.NONE,
    AlarmEvent.ENABLE: Suppression.OUT_OF_SERVICE,
}


class Step(NamedTuple):
    """One object to tell. `key` recognises it when it is planned again; `target`: whose word it is, of a status.

    `time`: of the move that it tells, by which words are in order; 0 before all moves. What the centre reads is in
    `body`: there the device's own time stands, where that is right and no earlier than the word before.
    """

    key: tuple[object, ...]
    type: int
    body: Object
    time: int
    word: int = 0
    target: Target | None = None


class Telling:
    """Plans, and remembers what the centre was told last of every component."""

    def __init__(self, words: Words, places: Places, operators: Mapping[str, int], *, sink: str) -> None:
        self._words = words
        self._places = places
        self._operators = operators
        self._duty = f"{DUTY} {sink}"
        self.told: dict[Target, Step] = {}
        self._after: dict[Target, tuple[object, Step]] = {}  # key of the backlog's last step → what follows it
        self.operations: list[Step] = []  # the last of type 4 and 24 that were told

    def plan(self, notes: Sequence[Note], wall: int) -> list[Step]:
        """Return the steps of a portion's notes; `wall`: now, ns since 1970. Raises StoreError."""
        groups: dict[Target, list[tuple[Note, Transition, int]]] = {}
        acts: list[Step] = []
        for note in sorted(notes, key=lambda one: (one.time, one.n)):
            if isinstance(note.body, EventSeen):
                acts += self._manual(note, note.body)
                continue
            bit = self._words.bit(note.body.rule, note.body.point, note.body.key)
            acts += self._act(note, note.body, bit)
            if bit:
                target = self._words.target(note.body.point, note.body.key)
                groups.setdefault(target, []).append((note, note.body, bit))
        now = self._words.now() if groups else None
        stories = [self._story(target, moves, now, wall) for target, moves in groups.items()]
        stories.sort(key=_urgency)
        return [step for story in stories for step in story] + acts[::-1]

    def present(self, wall: int) -> list[Step]:
        """Return everything that stands now, and how the gateway itself is; `wall`: of the order. Raises StoreError."""
        now = self._words.now()
        if now is None:
            return [step for step in self.told.values() if step.word != NORMAL]
        own = Target(None)
        steps = []
        for target, standing in {own: [], **now}.items():
            said = self._words.stands(standing, wall)
            step = self._step(("present", wall), target, said.word, said.since, said.spoken, own=said.own)
            steps.append(step if standing else step._replace(time=0))
        return sorted(steps, key=lambda step: (not step.word & FIRE, -step.time))

    def confirmed(self, step: Step) -> None:
        """Take notice that the centre has a step."""
        if step.target is None:
            self.operations = [*self.operations, step][-KEPT:]
        elif step.target not in self.told or self.told[step.target].time <= step.time:
            self.told[step.target] = step

    def _story(
        self,
        target: Target,
        moves: Sequence[tuple[Note, Transition, int]],
        now: Mapping[Target, Sequence[Standing]] | None,
        wall: int,
    ) -> list[Step]:
        """Return the words of one target, oldest first."""
        told_here = {move.alarm for _, move, _ in moves}
        standing = (now or {}).get(target, ())
        others = [one for one in standing if one.alarm not in told_here]
        bits: dict[int, int] = {}
        for _, move, bit in moves:  # what was told in former portions stands until its first move in this one
            bits.setdefault(move.alarm, self._words.bits(bit, move.before, _suppressed_before(move), target))
        last = self.told.get(target)
        steps: list[Step] = []
        for note, move, bit in moves:
            bits[move.alarm] = self._words.after(move, bit, target)
            if _changes(move):
                beside = [one.bits for one in others if 0 < one.since <= note.time]
                word = self._words.word([*bits.values(), *beside])
                spoken = self._places.spoken(move.point, move.key, move.evidence.text)
                own, before = happened(note.time, move.cause, move.evidence), steps[-1] if steps else last
                if before is not None and own < before.time <= note.time:
                    own = note.time
                steps.append(self._step((note.n,), target, word, note.time, spoken, own=own))
        if steps and last is not None and last.time > steps[-1].time:
            body = msgspec.structs.replace(last.body, time=self._words.tag(wall))
            steps.append(last._replace(key=("again", steps[-1].key), body=body))
        elif steps and now is not None:
            steps += self._truth(steps[-1], target, self._words.stands(standing, wall), wall, first=last is None)
        return steps

    def _truth(self, end: Step, target: Target, now: Said, wall: int, *, first: bool) -> list[Step]:
        """Return what follows a backlog's end where an earlier life has told newer news; the same until it is told."""
        known = self._after.pop(target, None)
        if known is not None and known[0] == end.key:
            self._after[target] = known
            return [known[1]]
        if not first or now.word == end.word:
            return []
        step = self._step(("after", end.key), target, now.word, wall, now.spoken)._replace(time=end.time)
        self._after[target] = end.key, step
        return [step]

    def _step(
        self,
        key: tuple[object, ...],
        target: Target,
        word: int,
        time: int,
        spoken: bytes | None = None,
        *,
        own: int = 0,
    ) -> Step:
        code, body = self._words.status(target, word, own or time, spoken)
        return Step((*key, target), code, body, time, word, target)

    def _act(self, note: Note, move: Transition, bit: int) -> list[Step]:
        """Return what a person did, as the centre can be told."""
        operator, tag = self._operators.get(move.who, 0), self._words.tag(note.time)
        if move.event is AlarmEvent.ACK and self._places.own(move.point, move.key) and move.key == self._duty:
            return [Step((note.n, "act"), 24, DeviceOperation(DUTY_ANSWER, operator, tag), note.time)]
        flags = {AlarmEvent.ACK: CONFIRMED, AlarmEvent.RESET: CLEARED}.get(move.event)
        component = self._words.target(move.point, move.key).component
        if flags is None or component is None or not bit:
            return []
        body = Operation(component.system, component.address, flags, operator, tag)
        return [Step((note.n, "act"), 4, body, note.time)]

    def _manual(self, note: Note, event: EventSeen) -> list[Step]:
        """Return the manual alarm of the gateway itself; one of a panel is an alarm at its place."""
        if event.code is not EventCode.MANUAL or not self._places.own(event.point, ""):
            return []
        return [Step((note.n, "act"), 24, DeviceOperation(MANUAL, 0, self._words.tag(note.time)), note.time)]


def _changes(move: Transition) -> bool:
    """Whether a move is told: raised (again), no longer standing, or shelved and the like."""
    if move.event in _BEFORE:
        return True
    if move.suppression is Suppression.BY_DESIGN:
        return False
    return move.event is AlarmEvent.RAISE or (move.before in STANDING) != (move.after in STANDING)


def _suppressed_before(move: Transition) -> Suppression:
    return _BEFORE.get(move.event, move.suppression)


def _urgency(story: Sequence[Step]) -> tuple[bool, int]:
    return not any(step.word & FIRE for step in story), -max((step.time for step in story), default=0)
