"""The bus scheduler: which request goes next on a line that carries one at a time. Pure: `now` is an argument.

Stands between the driver's clock and the master; keeps house rule 2. Order: manual commands, then alarm points,
normal, slow; within one urgency whoever has waited longest. A poll keeps its phase, so that one delayed is caught up
and only one a whole period late is lost (counted).

A device that did not answer last time is *unproven*: asking it may cost its whole deadline. It is asked when nothing
proven is due; after waiting `PATIENCE` it is asked all the same. Deadlines follow what a device needed lately, so that
a silent one frees the line early; each miss doubles its next deadline up to the worst case. After 3 misses in a row it
is asked every 10 s, later every 30 s; when it answers, all its polls are due at once. All times are ns on one clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from gateway.model.time import MILLISECOND, SECOND

BACK_OFF = ((6, 30 * SECOND), (3, 10 * SECOND))  # from so many misses on, this long apart
LEAST_DEADLINE = 100 * MILLISECOND  # adapters and a busy loop delay good answers too
DEADLINE_FACTOR = 4  # times the slowest answer of late
FORGET = 0.98  # how the slowest answer of late fades with each answer
PATIENCE = (1 * SECOND, 5 * SECOND)  # unproven and backed off: longest wait for an idle line
STARVED = 30 * SECOND  # a poll that waited so long goes before every urgency


class Urgency(IntEnum):
    """Which polls go first."""

    ALARM = 0  # carries a point of a fire, gas or flood rule
    NORMAL = 1
    SLOW = 2  # unit registers, diagnostics


UNPROVEN = len(Urgency)  # ranks after every urgency


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """One request repeated. `cost` is the time the line is taken when the device answers."""

    device: int
    period: int
    cost: int
    urgency: Urgency = Urgency.NORMAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """What a device is given: `usual` and `worst` time before its reply begins, `gap` between two requests to it."""

    worst: int
    usual: int = 20 * MILLISECOND
    gap: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """Whose turn it is: a poll by index, or a command by its tag. `deadline` before the reply must begin."""

    device: int
    deadline: int
    poll: int = -1
    command: Hashable = None


@dataclass(slots=True)
class _DeviceState:
    patience: Patience
    slowest: float  # ns it needed lately
    misses: int = 0
    hold: int = 0  # not to be asked before

    def deadline(self) -> int:
        usual = max(LEAST_DEADLINE, round(DEADLINE_FACTOR * self.slowest))
        return min(usual << min(self.misses, 8), self.patience.worst)


@dataclass(slots=True)
class _PollState:
    poll: Poll
    due: int
    misses: int = 0


@dataclass(slots=True)
class BusPlan:
    """The plan of one bus.

    Attributes:
        devices: by index, as polls and commands name them.
        polls: by index, as turns name them.
        now: when the plan begins; everything is due.
        lost: polls that came a whole period late and were skipped.
    """

    devices: Sequence[Patience]
    polls: Sequence[Poll]
    now: int
    lost: int = 0
    _devices: list[_DeviceState] = field(init=False)
    _polls: list[_PollState] = field(init=False)
    _commands: deque[tuple[int, Hashable]] = field(init=False, default_factory=deque)

    def __post_init__(self) -> None:
        self._devices = [_DeviceState(patience, patience.usual) for patience in self.devices]
        self._polls = [_PollState(poll, self.now) for poll in self.polls]

    @property
    def load(self) -> float:
        """Planned share of the line's time, 1.0 = full, when every device answers."""
        return sum(poll.cost / poll.period for poll in self.polls)

    def command(self, device: int, tag: Hashable) -> None:
        """Queue a manual command: it goes before every poll, in order of arrival."""
        self._commands.append((device, tag))

    def next(self, now: int) -> Turn | int:
        """Return whose turn it is, or the moment at which to ask again."""
        for place, (device, tag) in enumerate(self._commands):
            if self._devices[device].hold <= now or self._devices[device].misses >= BACK_OFF[-1][0]:
                del self._commands[place]
                return Turn(device, self._devices[device].patience.worst, command=tag)
        first: tuple[int, int, int] | None = None
        wake = now + SECOND
        for index, state in enumerate(self._polls):
            due = max(state.due, self._devices[state.poll.device].hold)
            if due > now:
                wake = min(wake, due)
                continue
            rank = (self._rank(state, now - due), due, index)
            if first is None or rank < first:
                first = rank
        if first is None:
            return wake
        state = self._polls[first[2]]
        return Turn(state.poll.device, self._devices[state.poll.device].deadline(), poll=first[2])

    def answered(self, turn: Turn, now: int, delay: int, *, retry: int = 0) -> None:
        """Note that it answered, a refusal included, `delay` after the request; ask again in `retry`, if any."""
        device = self._devices[turn.device]
        device.slowest = max(delay, device.slowest * FORGET)
        if device.misses >= BACK_OFF[-1][0]:
            for state in self._polls:
                if state.poll.device == turn.device:
                    state.misses, state.due = 0, now
        device.misses = 0
        device.hold = now + device.patience.gap
        if turn.poll >= 0:
            state = self._polls[turn.poll]
            state.misses = 0
            self._advance(state, now)
            if retry:
                state.due = now + retry

    def missed(self, turn: Turn, now: int) -> None:
        """Note that no good answer came."""
        device = self._devices[turn.device]
        device.misses += 1
        # A late answer may still come: the master would wait for it with the line idle.
        late = device.patience.worst + (self._polls[turn.poll].poll.cost if turn.poll >= 0 else 0)
        device.hold = now + max(late, device.patience.gap, _back_off(device.misses))
        if turn.poll < 0:
            return
        state = self._polls[turn.poll]
        state.misses += 1
        if wait := _back_off(state.misses):
            state.due = now + wait
        else:
            self._advance(state, now)
            state.due = min(state.due, now + BACK_OFF[-1][1])  # what is asked hourly is not lost for an hour

    def misses(self, device: int) -> int:
        """Return how often in a row it has not answered."""
        return self._devices[device].misses

    def _advance(self, state: _PollState, now: int) -> None:
        state.due += state.poll.period
        skipped = (now - state.due) // state.poll.period
        if skipped > 0:
            state.due = now  # behind those who wait already, and no idle moment on a full line
            if self._is_proven(state):
                self.lost += skipped

    def _is_proven(self, state: _PollState) -> bool:
        return not state.misses and not self._devices[state.poll.device].misses

    def _rank(self, state: _PollState, waited: int) -> int:
        """Return the place in the order, smallest first."""
        if waited > STARVED:
            return -1
        patience = PATIENCE[self._devices[state.poll.device].misses >= BACK_OFF[-1][0]]
        if self._is_proven(state) or waited > max(patience, state.poll.period):
            return int(state.poll.urgency)
        return UNPROVEN


def _back_off(misses: int) -> int:
    return next((wait for least, wait in BACK_OFF if misses >= least), 0)
