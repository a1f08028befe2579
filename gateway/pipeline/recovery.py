"""From the store to the state of a living house: durable rows, last snapshot, and the tail of the journal.

Alarms, delays, chains and notices are rows and are taken as they stand. What can be rebuilt (windows, baselines, the
latest values) comes from the last snapshot and the journalled inputs after it, run through the very same `step`; where
the rebuilt rules disagree with the stored alarms the stored ones count, and the house says so (house section 3).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.alarms.book import ROW_TYPES as ALARM_ROWS
from gateway.alarms.book import AlarmBook
from gateway.alarms.outcome import Move, Outcome
from gateway.clock import SECOND, Clock
from gateway.errors import StoreCorrupt
from gateway.escalation.chains import Escalation
from gateway.escalation.rows import ROW_TYPES as ESCALATION_ROWS
from gateway.model.alarm import OperatorAct
from gateway.model.delta import Table
from gateway.model.moment import Epoch, Start
from gateway.model.station import Station, StoreSpec
from gateway.model.verdict import Delay
from gateway.pipeline.step import KIND_FAULT, State, step
from gateway.pipeline.validate import Axis
from gateway.store.database import Store
from gateway.store.shapes import Last, Snapshot
from rules.compiled import Heard, Level, name_of
from rules.engine import Engine
from rules.panel import IDS as PANEL_RULES

log = logging.getLogger(__name__)
FindEngine = Callable[[str], Engine | None]  # digest of a configuration → its rules
CODE_VERSION = "4"  # of the snapshot's blobs; a new rule kind needs another: of older ones it would say "damaged"
RULE_ROWS: Mapping[str, Any] = {"delay": Delay, "heard": Heard, "level": Level}
CONTRADICTION = 2 * SECOND  # clocks may differ by this much; beyond it time spent down would be less than nothing


class Instant(msgspec.Struct, frozen=True):
    """Where a snapshot stands in time: what was believed of wall time, and the last moment handled (ns)."""

    offset: int
    trusted: bool
    logical: int


def blobs_of(state: State) -> dict[str, bytes]:
    """Return what a snapshot keeps."""
    instant = Instant(state.axis.offset, state.axis.trusted, state.logical)
    return {
        "engine": msgspec.msgpack.encode(state.engine.snapshot()),
        "latest": state.latest.snapshot(),
        "instant": msgspec.msgpack.encode(instant),
    }


def tables_of(state: State) -> Iterator[Table[Any]]:
    """Yield every durable table."""
    rules = state.engine.tables
    for table in (*state.book.tables(), *state.escalation.tables(), rules.delays, rules.heard, rules.levels):
        if not table.name.startswith("_"):
            yield table


class _SilentBook(AlarmBook):
    """Stands in while the tail is replayed: what it decided then stands in the store already."""

    def apply(self, *_: object) -> Move | None:
        return None

    def act(self, *_: object) -> Outcome:
        return Outcome((), ())


class _SilentEscalation(Escalation):
    """Likewise, over no station at all: nobody is told twice."""

    def __init__(self) -> None:
        super().__init__(Station(id="", name="", store=StoreSpec(path="")), alarm=lambda _: None, wall=lambda _: "")

    def on_receipt(self, *_: object) -> None:
        return

    def on_channel_state(self, *_: object) -> None:
        return

    def on_reply(self, *_: object, **__: object) -> OperatorAct | None:
        return None


def load_rows(store: Store, types: Mapping[str, Any], lost: list[str]) -> dict[str, dict[str, Any]]:
    """Return the rows of the named tables; `lost` takes, in words, what could not be read."""
    return {table: store.rows(table, kind, lost) for table, kind in types.items()}


def load(
    state: State,
    store: Store,
    configuration: str,
    *,
    engine_of: FindEngine = lambda _: None,
    beat: Callable[[], None] = lambda: None,
) -> list[str]:
    """Fill a fresh state from the store; returns what did not go as it should, in words for the fault alarm.

    `configuration`: digest of the one that `state.engine` is of. `engine_of` finds the rules of those before it, which
    a tail may reach back to. `beat` is called whenever the disk has given something.
    """
    lost: list[str] = []
    state.book.load(load_rows(store, ALARM_ROWS, lost))
    state.escalation.load(load_rows(store, ESCALATION_ROWS, lost))
    rows = load_rows(store, RULE_ROWS, lost)
    beat()
    _complete(state, rows["level"])
    last = store.last()
    state.axis, state.logical = axis_of(store, last.boot), last.mono
    remarks = _replay(state, _Tail(store, configuration, engine_of, beat), rows)
    state.kind_faults = _own_faults(state)
    return lost + remarks


def _complete(state: State, levels: dict[str, Level]) -> None:
    """Give every alarm of an event its level: of a salvaged store the one may be there without the other."""
    for rule, point, key in state.book.conditions():
        if rule in PANEL_RULES:
            levels.setdefault(name_of(rule, point, key), Level(rule, point, key))


def _own_faults(state: State) -> frozenset[str]:
    """Return the rule kinds whose fault stands as an alarm, so that it ends when they work again."""
    own = (row.key for row in state.engine.tables.levels if row.point == state.gateway_events)
    return frozenset(key.removeprefix(KIND_FAULT) for key in own if key.startswith(KIND_FAULT))


@dataclass(slots=True)
class _Tail:
    """Where the tail comes from, and under which configurations it was written."""

    store: Store
    configuration: str  # the last
    engine_of: FindEngine
    beat: Callable[[], None]

    def engine(self, configuration: str, state: State) -> Engine | None:
        """Return the rules of a configuration: those of the state for the last one."""
        return state.engine if configuration == self.configuration else self.engine_of(configuration)


def _replay(state: State, tail: _Tail, rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    fresh = msgspec.msgpack.encode(state.engine.snapshot())
    snapshot, remarks = None, []
    try:
        snapshot = tail.store.last_snapshot()
        tail.beat()
    except StoreCorrupt as error:
        remarks = [f"the snapshot could not be read ({error}): windows start afresh"]
    begun = tail.engine(snapshot.config_hash, state) if snapshot and snapshot.code_version == CODE_VERSION else None
    if snapshot is not None and begun is not None:
        remarks = _rebuild(state, begun, tail, snapshot)
        # Levels are rows, whole: those that the house raised over itself are no input that a replay could meet.
        state.engine.tables.levels.rows = dict(rows["level"])
        state.engine.panel.recount()
        wrong = [] if remarks else _differs(state, rows)
        if not remarks and not wrong:
            return []
        remarks += wrong
        state.engine.restore(msgspec.msgpack.decode(fresh))
    state.engine.tables.faults.rows.clear()
    for table in (state.engine.tables.delays, state.engine.tables.heard, state.engine.tables.levels):
        table.rows.clear()
        table.rows.update(rows[table.name])
    state.engine.resume(list(rows["delay"].values()), frozenset(state.book.conditions()), rows["heard"], rows["level"])
    return remarks


def _rebuild(state: State, begun: Engine, tail: _Tail, snapshot: Snapshot) -> list[str]:
    """Restore the snapshot and run the tail through the step, from the rules it was `begun` under to the state's."""
    scratch = State(
        engine=begun,
        book=_SilentBook(),
        escalation=_SilentEscalation(),
        latest=state.latest,
        gateway_events=state.gateway_events,
    )
    configuration = snapshot.config_hash
    try:
        instant = msgspec.msgpack.decode(snapshot.blobs["instant"], type=Instant)
        scratch.axis, scratch.logical = Axis(instant.offset, instant.trusted), instant.logical
        unread = begun.restore(msgspec.msgpack.decode(snapshot.blobs["engine"]))
        state.latest.restore(snapshot.blobs["latest"])
        scratch.kind_faults = _own_faults(scratch)
        for row in tail.store.tail(snapshot.seq):
            tail.beat()
            for now, inputs in row.steps:
                for start in (item for item in inputs if isinstance(item, Start)):
                    if start.configuration != configuration:
                        configuration = start.configuration
                        scratch.successor = tail.engine(configuration, state)
                        if scratch.successor is None:
                            return ["a configuration inside the tail cannot be read: windows start afresh"]
                step(scratch, inputs, now)
    except Exception as error:  # noqa: BLE001 - whatever stands in a snapshot, the house starts without it
        return [f"the snapshot could not be read ({type(error).__name__}: {error}): windows start afresh"]
    if scratch.engine is not state.engine:
        return ["the tail ends under another configuration: windows start afresh"]
    state.axis, state.logical = scratch.axis, scratch.logical
    return [f"rule kind {kind} could not read its snapshot: its windows start afresh" for kind in unread]


def _differs(state: State, rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Compare the rebuilt rules with the stored rows; empty when they agree."""
    conditions = frozenset(state.book.conditions())
    # A retained state that a person closed holds without an alarm of its own.
    closed = state.book.closed
    rebuilt = frozenset(place for place in state.engine.active() if name_of(*place) not in closed)
    if conditions != rebuilt:
        return [f"replay disagrees with the stored alarms on {sorted(conditions ^ rebuilt)[:3]}: the stored ones count"]
    if dict(rows["delay"]) != state.engine.tables.delays.rows:
        return ["replay disagrees with the stored delays: the stored ones count"]
    return []


def axis_of(store: Store, boot: str) -> Axis:
    """Return wall time on a boot's axis as its last epoch says."""
    epochs = [epoch for epoch in store.epochs() if epoch.boot == boot]
    return Axis(offset=epochs[-1].wall_offset, trusted=epochs[-1].trusted) if epochs else Axis()


def shift_of(last: Last, before: Axis, clock: Clock, epoch: Epoch) -> int | None:
    """Return ns to add to times of the last commit's boot to get times of this one; None when that is not known.

    `before`: wall time on the axis of that boot.
    """
    if not last.boot or last.boot == clock.boot():
        return 0
    if not (before.trusted and epoch.trusted):
        return None
    now = clock.mono()
    shift = before.offset - epoch.wall_offset
    if last.mono + shift > now + CONTRADICTION:  # it would have ended after it began: one of the two was wrong
        return None
    return min(shift, now - last.mono)


def start_of(clock: Clock, configuration: str, shift: int | None) -> Start:
    """Return the input by which a life of the daemon begins."""
    return Start(boot=clock.boot(), at=clock.mono(), shift=shift, configuration=configuration)
