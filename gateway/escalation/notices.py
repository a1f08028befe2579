"""Notices: their rows, the queue of each channel, what is being sent, retries, receipts, and who was told.

Flow: chains plan notices here; at the end of a step `dispatch` says which leave now (written as `sending` in the same
commit, before the first byte); receipts come back through the intake. The cost of a step is that of what changed:
queues and timers are ordered indexes (`agenda`), never scans. House sections 2, 4 and 9.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from gateway.escalation.agenda import Agenda
from gateway.escalation.rows import (
    ASKING,
    STOPPED_BY_ACK,
    SUCCESS,
    WAITING,
    Chain,
    Told,
    Turn,
    put_or_drop,
    seconds,
    shifted,
)
from gateway.escalation.told import NO_RECEIPT, ToldList
from gateway.model.delta import Delta, Table
from gateway.model.notification import DeliveryState, Notification, NotifyReason, Receipt
from gateway.model.station import Limits

SETTLED_KEPT: Final = 4096  # notices with nothing left to do that stay for late delivery reports
CHANNEL_GONE: Final = "channel left the configuration"

_FIRST: Final = frozenset({NotifyReason.RAISED, NotifyReason.ESCALATED, NotifyReason.SOUND})
_TIMES: Final = ("planned_at", "sending_at", "sent_at", "done_at", "retry_at")
_State = DeliveryState

Again = Callable[[Notification], Notification]


class Notices:
    """Every notice of a station. `timers` is shared with the chains; `serial` are channels that do one thing at a time.

    A sounder is serial: its "on" and "off" must not overtake each other.
    """

    def __init__(
        self,
        *,
        channels: Iterable[str],
        serial: Iterable[str],
        limits: Limits,
        chains: Table[Chain],
        timers: Agenda,
    ) -> None:
        self.rows: Table[Notification] = Table("notice")
        self.counters: Table[int] = Table("notice_counter")
        self.told = ToldList()
        self.answers: Table[Told] = Table("_answers")  # alarm → who answered by message; lives within one step
        self.down: Table[str] = Table("channel_down")
        self._queues = {channel: Agenda(f"queue_{channel}") for channel in channels}
        self._serial = frozenset(serial)
        self._limits = limits
        self._chains = chains
        self._timers = timers
        self._settled = Agenda("settled")
        self._sending: Table[tuple[int, ...]] = Table("_sending")
        self._open: Table[tuple[int, ...]] = Table("_open_notices")

    def tables(self) -> tuple[Table[Any], ...]:
        """Return the tables that the store keeps."""
        return self.rows, self.counters, self.told.rows, self.down

    def load(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Take rows of the store in place of everything here, and rebuild every index (`timers` was emptied)."""
        for table in (self.rows, self._sending, self._open):
            table.rows.clear()
        for agenda in (*self._queues.values(), self._settled):
            agenda.load(())
        scratch = Delta()
        self.counters.rows = dict(rows.get("notice_counter", {}))
        self.down.rows = dict(rows.get("channel_down", {}))
        self.told.load(rows.get("told", {}))
        for notice in sorted(rows.get("notice", {}).values(), key=lambda notice: notice.id):
            self._index(None, notice, scratch)
            self.rows.rows[str(notice.id)] = notice

    # -- planning and writing

    def plan(self, notice: Notification, turn: Turn) -> int:
        """Enter a new notice; its id is given here and returned."""
        number = (self.counters.get("notice") or 0) + 1
        self.counters.put(turn.delta, "notice", number)
        self.write(replace(notice, id=number), turn)
        return number

    def get(self, number: int) -> Notification | None:
        """Return a notice that is still kept."""
        return self.rows.get(str(number))

    def open_of(self, alarm: int) -> list[Notification]:
        """Return the notices of an alarm with which there is still work."""
        return [self.rows[str(number)] for number in self._open.get(str(alarm)) or ()]

    def informed(self, alarm: int, at: int) -> int:
        """Return how many persons get a message, planned at `at`, that tells them how an alarm went."""
        news = (n for n in self.rows if n.alarm == alarm and n.planned_at == at and n.reason not in ASKING)
        return len({notice.contact for notice in news if notice.contact})

    def write(self, notice: Notification, turn: Turn, *, silently: bool = False) -> None:
        """Keep a notice, move it in every index, and report it (`silently`: nothing that a person would call news)."""
        key = str(notice.id)
        old = self.rows.get(key)
        self.rows.put(turn.delta, key, notice)
        self._index(old, notice, turn.delta)
        self.told.mark(old, notice, turn.delta)
        if not silently:
            turn.out.append(("notice", notice))

    def supersede(self, notices: Iterable[Notification], turn: Turn) -> None:
        """Give up those of `notices` that are not on their way."""
        for notice in notices:
            if notice.state in WAITING:
                self.write(replace(notice, state=_State.SUPERSEDED, done_at=turn.at), turn)

    # -- sending

    def dispatch(self, turn: Turn) -> None:
        """Let leave what may: per channel one at a time of each class, a higher class beside a lower one.

        Inside a class in order of planning, first notices before repeats and follow-ups.
        """
        for channel, queue in self._queues.items():
            if channel in self.down:
                continue
            while (first := queue.first()) is not None and self._free(channel, first[0][0]):
                notice = self.rows[first[1]]
                leaving = replace(notice, state=_State.SENDING, sending_at=turn.at, attempts=notice.attempts + 1)
                self.write(replace(leaving, retry_at=0, uncertain=False), turn)

    def _free(self, channel: str, rank: int) -> bool:
        busy = self._sending.get(channel) or ()
        if channel in self._serial:
            return not busy
        return all(self.rows[str(number)].alarm_class > rank for number in busy)

    def receive(self, receipt: Receipt, turn: Turn) -> Notification | None:
        """Take a receipt; return the notice as it is now, None when it changes nothing."""
        notice = self.get(receipt.notice)
        if notice is None or notice.state is _State.SUPERSEDED:
            return None
        if receipt.state in SUCCESS:
            return self._succeed(notice, receipt, turn)
        if receipt.state is _State.FAILED_FOR_GOOD and notice.state in (_State.SENDING, _State.SENT):
            return self._fail(notice, receipt.failure, turn, retry=False, uncertain=receipt.uncertain)
        if receipt.state is _State.FAILED_FOR_NOW and notice.state is _State.SENDING:
            return self._fail(notice, receipt.failure, turn, retry=True, uncertain=receipt.uncertain)
        return None

    def expire(self, key: str, again: Again, turn: Turn) -> Notification:
        """Handle a notice's own timer: the receipt that did not come, or the time to try again.

        `again` makes the marked repeat of a notice that may have arrived.
        """
        notice = self.rows[key]
        if notice.state is _State.SENDING:
            return self._fail(notice, NO_RECEIPT, turn, retry=True, uncertain=True)
        planned = again(notice) if notice.uncertain else notice
        planned = replace(planned, state=_State.PLANNED, retry_at=0)
        self.write(planned, turn)
        return planned

    def _succeed(self, notice: Notification, receipt: Receipt, turn: Turn) -> Notification | None:
        if notice.state in SUCCESS and SUCCESS.index(receipt.state) <= SUCCESS.index(notice.state):
            return None
        final = receipt.state is not _State.SENT
        better = replace(
            notice,
            state=receipt.state,
            sent_at=notice.sent_at or receipt.at,
            done_at=receipt.at if final else 0,
            retry_at=0,
            failure="",
            uncertain=False,
            reference=receipt.reference or notice.reference,
        )
        self.write(better, turn)
        return better

    def _fail(self, notice: Notification, failure: str, turn: Turn, *, retry: bool, uncertain: bool) -> Notification:
        """Fail for now while tries are left.

        What asks for an answer is not tried again once somebody has answered, or while a newer one waits to go there.
        """
        retries = self._limits.retry
        state, retry_at = _State.FAILED_FOR_GOOD, 0
        if notice.reason in STOPPED_BY_ACK and (str(notice.alarm) not in self._chains or self._renewed(notice)):
            state = _State.SUPERSEDED
        elif retry and notice.attempts <= len(retries):
            state, retry_at = _State.FAILED_FOR_NOW, turn.at + seconds(retries[notice.attempts - 1])
        done = 0 if state is _State.FAILED_FOR_NOW else turn.at
        failed = replace(notice, state=state, failure=failure, uncertain=uncertain, retry_at=retry_at, done_at=done)
        self.write(failed, turn)
        return failed

    def _renewed(self, notice: Notification) -> bool:
        method = (notice.contact, notice.channel)
        newer = (n for n in self.open_of(notice.alarm) if n.id > notice.id and n.reason in STOPPED_BY_ACK)
        return any((n.contact, n.channel) == method for n in newer)

    def rebase(self, shift: int | None, again: Again, turn: Turn) -> None:
        """Bring times to this boot's axis and plan what was found in `sending` once more.

        `again` makes the marked repeat of a notice. A retry whose time is unknown (shift None) is due at once.
        """
        self.told.rebase(shift, turn)
        for notice in sorted(self.rows, key=lambda notice: notice.id):
            moved = notice
            if shift != 0:
                moved = replace(notice, **{name: shifted(getattr(notice, name), shift, turn.at) for name in _TIMES})
            if moved.state.open and moved.channel not in self._queues:
                gone = replace(moved, state=_State.FAILED_FOR_GOOD, failure=CHANNEL_GONE, done_at=turn.at)
                self.write(gone, turn)
            elif moved.state is _State.SENDING:
                self.write(again(moved), turn)
            elif moved is not notice:
                self.write(moved, turn, silently=True)

    # -- indexes

    def _index(self, old: Notification | None, notice: Notification, delta: Delta) -> None:
        before = None if old is None else old.state
        key, state, channel = str(notice.id), notice.state, notice.channel
        if channel in self._queues:
            if state is _State.PLANNED:
                late = int(notice.reason not in _FIRST)
                self._queues[channel].put(delta, key, (notice.alarm_class, late, notice.id))
            elif before is _State.PLANNED:
                self._queues[channel].drop(delta, key)
        if (state is _State.SENDING) != (before is _State.SENDING):
            self._switch(self._sending, channel, notice.id, delta)
        if state.open != (before is not None and before.open):
            self._switch(self._open, str(notice.alarm), notice.id, delta)
        self._set_timer(notice, delta)
        if not state.open:
            self._settle(notice, delta)

    def _set_timer(self, notice: Notification, delta: Delta) -> None:
        key = f"n{notice.id}"
        if notice.state is _State.SENDING:
            self._timers.put(delta, key, (notice.sending_at + seconds(self._limits.send_timeout), 0, notice.id))
        elif notice.state is _State.FAILED_FOR_NOW:
            self._timers.put(delta, key, (notice.retry_at, 0, notice.id))
        else:
            self._timers.drop(delta, key)

    def _settle(self, notice: Notification, delta: Delta) -> None:
        """Bound the memory: the oldest with nothing left to do go; the record keeps them all."""
        self._settled.put(delta, str(notice.id), (notice.id,))
        while len(self._settled) > SETTLED_KEPT and (first := self._settled.first()) is not None:
            self._settled.drop(delta, first[1])
            self.rows.drop(delta, first[1])

    @staticmethod
    def _switch(index: Table[tuple[int, ...]], key: str, number: int, delta: Delta) -> None:
        """Add a number to a list of an index, or take it out if it is there."""
        old = index.get(key) or ()
        new = tuple(other for other in old if other != number) if number in old else (*old, number)
        put_or_drop(index, key, new, delta)
