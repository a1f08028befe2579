"""What many peers said, gathered into one batch: one commit answers all of them.

Beside `_conversation.py`. A commit per frame would swamp the store with five hundred devices that each wait for an
answer; a frame that comes alone must not wait for company. So a batch leaves at once when none has left shortly
before, else together with what comes meanwhile. Telemetry that nobody waits for always waits a little.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from drivers._conversation_peers import Party
from drivers._conversation_said import Said
from gateway.model.batch import NO_FRAME, Batch, Event, Mark, make_batch
from gateway.model.time import MILLISECOND, SECOND
from gateway.model.verdict import NEVER

PACE = 10 * MILLISECOND  # ns between two batches, for every peer that is in them, of what is urgent or waited for
URGENT = 50 * MILLISECOND  # ns that what is urgent waits at most between two batches: in a crowd, never one alone
COMPANY = 100 * MILLISECOND  # ns that telemetry waits: a step costs the same for one frame and for fifty
SHARE = 10  # of its limit is the most that telemetry which has one waits between two batches,
LONGEST = 200 * MILLISECOND  # and no longer than this
MOST = 500  # frames; a step takes whole batches, so none may be large
MOST_ROWS = 1_000  # of a source and step
OVERHEAD = 256  # bytes that a frame costs beside its own


@dataclass(slots=True, eq=False)
class Answer:
    """What waits for a commit. `party`, `said`: who asked last, and how; `deadline` in ns."""

    party: Party
    said: Said
    who: str  # the device's id, or that it is unknown
    key: str  # whose repeat it would be
    digest: bytes
    deadline: int = NEVER
    late: bool = False  # the device has been made to repeat: nothing more is said to it until it does
    done: bool = False


@dataclass(slots=True)
class Gathered:
    """The parts of one batch. `weights`: what it takes of each peer's window, bytes; `until`: how long marks count."""

    rows: list[tuple[int, int, float, int]] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)
    frame: list[int] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    heard: list[int] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    weights: dict[Party, int] = field(default_factory=dict)
    until: int = 0
    waiting: bool = False


class Gatherer:
    """Fills batches; `company` is how long (ns) what nobody waits for may wait, 0 where all is urgent."""

    def __init__(self, company: int) -> None:
        self._company = company
        self._longest = LONGEST if company else URGENT
        self._left = -LONGEST  # when the last batch left
        self._crowd = 1  # peers in it
        self._now = Gathered()
        self._rest = NEVER  # when what nobody waits for leaves
        self._share = LONGEST

    @property
    def due(self) -> int:
        """When the next batch leaves (ns). The more peers speak the longer each waits; one alone hardly does."""
        if not self._now.waiting and (self._company or self._rest == NEVER):
            return self._rest
        crowd = max(self._crowd, len(self._now.weights), 1)
        return min(self._rest, self._left + min(self._share, self._longest, PACE * crowd))

    def add(self, answer: Answer, mark: Mark | None, until: int, now: int) -> int:
        """Take one thing said; return its weight."""
        said, gathered = answer.said, self._now
        gathered.frame += [len(gathered.frames)] * len(said.decoded.rows)
        gathered.frames.append(said.frame)
        gathered.rows += said.decoded.rows
        gathered.events += said.decoded.events
        gathered.heard += said.decoded.heard
        gathered.answers.append(answer)
        if mark is not None:
            gathered.marks.append(mark)
            gathered.until = max(gathered.until, until)
        weight = len(said.frame) + OVERHEAD
        gathered.weights[answer.party] = gathered.weights.get(answer.party, 0) + weight
        if said.after:
            gathered.waiting = True
            self._share = min(self._share, round(said.limit * SECOND) // SHARE or COMPANY)
        else:
            self._hurry(now)
        return weight

    @property
    def crowded(self) -> bool:
        """Whether one more would make the batch too large."""
        gathered = self._now
        return len(gathered.frames) >= MOST or len(gathered.rows) + len(gathered.events) >= MOST_ROWS

    def heard(self, points: Sequence[int], now: int) -> None:
        """Take signs of life."""
        if points:
            self._now.heard += points
            self._hurry(now)

    def lost(self, rows: Sequence[tuple[int, int, float, int]], now: int) -> None:
        """Take what no frame tells: points that turn BAD."""
        self._now.frame += [NO_FRAME] * len(rows)
        self._now.rows += rows
        self._hurry(now)

    def _hurry(self, now: int) -> None:
        self._rest = min(self._rest, now + (self._company or URGENT))

    def take(
        self,
        source: str,
        now: int,
        *,
        ack: Callable[[Gathered], None],
        settled: Callable[[Sequence[Mark], int], bool],
        stale: Sequence[Mark] = (),
    ) -> Batch | None:
        """Return the batch, None when there is nothing."""
        gathered, self._now, self._rest, self._share = self._now, Gathered(), NEVER, LONGEST
        if not (gathered.frames or gathered.heard or gathered.rows or stale):
            return None
        self._left, self._crowd = now, len(gathered.weights)
        marks, until = gathered.marks, gathered.until  # asked for long after the frames should have gone
        return make_batch(
            source,
            now,
            gathered.rows,
            frames=gathered.frames,
            frame=gathered.frame,
            events=gathered.events,
            heard=tuple(dict.fromkeys(gathered.heard)),
            marks=marks,
            ack=lambda: ack(gathered),
            settled=lambda: settled(marks, until),
            stale=stale,
            waiting=gathered.waiting,
        )
