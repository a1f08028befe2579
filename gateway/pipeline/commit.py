"""From steps to commits: what may leave the house, and when.

Steps gather in an open group; a commit policy decides when the group is written; while it is out the next one grows
(house section 4). Only when a commit has returned are its sources acknowledged and its notices handed over: durable
before accepted. When a life-safety transition is not committed in time its notices leave all the same, marked as not
recorded, and the ledger goes on in volatile mode until the disk is back (section 7, `gateway.pipeline.ledger`).

Nothing is ever undone here: a group whose commit failed goes again, whole, on a fresh connection.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from gateway.alarms.refusal import Refusal
from gateway.clock import SECOND
from gateway.model.batch import Batch, Mark
from gateway.model.delta import Delta
from gateway.model.moment import Input
from gateway.model.notification import Notification, Reply
from gateway.model.station import Limits
from gateway.model.verdict import NEVER
from gateway.pipeline.step import Effects, rows_of
from gateway.store.shapes import Group

log = logging.getLogger(__name__)
GROUP_READINGS = 4_096  # readings that start a commit by themselves
LONGEST_GROUP = 5_000  # readings; telemetry beyond waits in the intake for the next group
BUCKET = 20  # commits of small changes: burst, and how many a second
MARKS_KEPT = 2  # commits after its acknowledgement at which a mark is forgotten: by then the bytes have long left

Settling = tuple[Sequence[Mark], Callable[[], bool]]  # marks, and whether nothing comes again for them


@dataclass(slots=True)
class Work:
    """A group being filled, with what waits for its commit.

    `safety_since`: when a life-safety transition joined; `closed_at`: when it was given to the disk (ns, monotonic).
    """

    steps: list[tuple[int, list[Input]]] = field(default_factory=list)
    records: list[tuple[str, msgspec.Struct]] = field(default_factory=list)
    rows: dict[tuple[str, str], Any] = field(default_factory=dict)
    cursors: dict[str, int] = field(default_factory=dict)
    sending: list[Notification] = field(default_factory=list)
    accepted: list[Reply] = field(default_factory=list)
    answers: dict[str, tuple[Refusal, ...]] = field(default_factory=dict)
    batches: list[Batch] = field(default_factory=list)
    readings: int = 0
    messages: int = 0
    first_at: int = NEVER
    safety_since: int = NEVER
    closed_at: int = 0
    urgent: bool = False
    hurried: bool = False

    def add(self, now: int, inputs: Sequence[Input], delta: Delta, effects: Effects, at: int) -> None:
        """Join one step, taken at `at` (ns, monotonic)."""
        self.steps.append((now, list(inputs)))
        self.records.extend(effects.records)
        for table, key, value in rows_of(delta):
            self.rows[table, key] = value
        self.sending.extend(effects.sending)
        self.accepted.extend(effects.accepted)
        self.answers.update(effects.answers)
        for item in inputs:
            if isinstance(item, Batch):
                self.batches.append(item)
                self.readings += len(item)
                self.messages += len(item.marks)
        self.first_at = min(self.first_at, at)
        if effects.life_safety:
            self.safety_since = min(self.safety_since, at)
        self.urgent |= effects.urgent
        self.hurried |= effects.hurried

    def __bool__(self) -> bool:
        return bool(self.steps or self.rows)


class Policy:
    """When the open group is to be committed."""

    def __init__(self, interval: int, limits: Limits) -> None:
        self._interval = interval
        self._half_window = max(1, limits.receive_maximum // 2)
        self._tokens = float(BUCKET)
        self._filled_at = 0

    def due(self, work: Work) -> int:
        """Return the moment (ns) from which `work` may be committed; 0 is at once, NEVER when it is empty."""
        if not work:
            return NEVER
        if work.urgent or work.readings >= GROUP_READINGS or work.messages >= self._half_window:
            return 0
        by_interval = work.first_at + self._interval
        return min(by_interval, self._token_at()) if work.hurried else by_interval

    @staticmethod
    def full(work: Work) -> bool:
        """Return whether telemetry has to wait for the next group."""
        return work.readings >= LONGEST_GROUP

    def spend(self, work: Work, now: int) -> None:
        """Account for a commit: those that only the bucket allowed take a token."""
        self._tokens = min(BUCKET, self._tokens + (now - self._filled_at) * BUCKET / SECOND)
        self._filled_at = now
        if work.hurried and not work.urgent:
            self._tokens = max(0.0, self._tokens - 1)

    def _token_at(self) -> int:
        missing = 1 - self._tokens
        return self._filled_at + max(0, round(missing * SECOND / BUCKET))


def group_of(work: Work, *, boot: str, mono: int, wall: int) -> Group:
    """Return what the store writes for `work`."""
    return Group(
        boot=boot,
        mono=mono,
        wall=wall,
        steps=work.steps,
        records=work.records,
        rows=[(table, key, value) for (table, key), value in work.rows.items()],
        cursors=work.cursors,
    )


def guarded(call: Callable[[], object]) -> object:
    """Call code of a plug-in: what it raises is logged and costs nobody else. Returns its answer, None if it raised."""
    try:
        return call()
    except Exception:
        log.exception("a plug-in failed after a commit; going on")
        return None


class Settlement:
    """Marks of acknowledged messages, until their source says that nothing comes again for them."""

    def __init__(self) -> None:
        self._acknowledged: deque[list[Settling]] = deque([[] for _ in range(MARKS_KEPT)])
        self._over: list[Mark] = []

    def add(self, batches: Sequence[Batch], over: Sequence[Mark] = ()) -> None:
        """Take what has just been acknowledged; `over`: marks of what was acknowledged long ago."""
        self._over += over
        self._acknowledged[-1].extend((batch.marks, batch.settled) for batch in batches if batch.marks)

    def forgettable(self) -> list[Mark]:
        """Return marks that may go with a commit: acknowledged some commits ago and settled.

        A source that cannot tell any more (it raises) is taken for settled: marks must not pile up.
        """
        known = [(entry, guarded(entry[1]) is not False) for entry in self._acknowledged.popleft()]
        self._acknowledged.append([entry for entry, done in known if not done])
        over, self._over = self._over, []
        return over + [mark for (marks, _), done in known if done for mark in marks]


class _Held(NamedTuple):
    """A batch whose source waits; `kept` are the marks that its group would be written with."""

    batch: Batch
    kept: set[Mark]


class Acknowledgements:
    """Acknowledgements withheld while nothing can be recorded: in order, never more than half a window of a session."""

    def __init__(self, window: int) -> None:
        self._half = max(1, window // 2)
        self._waiting: dict[str, deque[_Held]] = {}
        self._messages: Counter[str] = Counter()
        self.unrecorded = 0  # messages acknowledged without a record: counted and shown

    def hold(self, batches: Sequence[Batch], kept: set[Mark]) -> None:
        """Withhold; what is past half the window is acknowledged now, oldest first (house: never deaf).

        A source that holds its breath is answered now, with all that it brought before. `kept` loses the marks of
        what was acknowledged: it does not come again.
        """
        for batch in batches:
            session = batch.marks[0].session if batch.marks else batch.source
            queue = self._waiting.setdefault(session, deque())
            queue.append(_Held(batch, kept))
            self._messages[session] += len(batch.marks)
            while queue and (batch.waiting or not queue[0].batch.marks or self._messages[session] > self._half):
                self._let_go(session, queue.popleft())

    def _let_go(self, session: str, held: _Held) -> None:
        self._messages[session] -= len(held.batch.marks)
        self.unrecorded += max(int(held.batch.waiting), len(held.batch.marks))
        held.kept.difference_update(held.batch.marks)
        if not held.kept:
            held.kept.clear()  # an emptied set keeps its table: a hundred bytes a message
        guarded(held.batch.ack)

    def release(self) -> list[Batch]:
        """Acknowledge everything: it is recorded. Returns what was acknowledged."""
        released = [held for queue in self._waiting.values() for held in queue]
        self._waiting.clear()
        self._messages.clear()
        for held in released:
            guarded(held.batch.ack)
        return [held.batch for held in released]
