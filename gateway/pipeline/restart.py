"""The state of a house that starts: everything the store knows, read to the end before the first door opens.

Between opening and living. Blocking, in a thread of its own (`gateway.pipeline.opening`): after this the loop reads
nothing from the disk any more, so a disk that hangs on a read costs the start no more than one that hangs on opening
(house section 7). A configuration that has changed is taken over as house section 3 says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from gateway import registry
from gateway.alarms.book import AlarmBook
from gateway.clock import SECOND
from gateway.config.kept import undump
from gateway.errors import ConfigError
from gateway.escalation.chains import Escalation
from gateway.model.inventory import OWN, events_of, names_of, points_of, renames_of
from gateway.model.station import Station
from gateway.pipeline import recovery
from gateway.pipeline.latest import Latest
from gateway.pipeline.step import State
from gateway.pipeline.validate import Axis
from gateway.store.database import Store
from rules.compile import compile_rules
from rules.engine import Engine

Beat = Callable[[], None]  # called whenever a read has come back: the disk lives


@dataclass(slots=True)
class Restored:
    """What a house begins with.

    `ids`: point name → durable id. `memory`: what plug-ins remember. `axis`: wall time as the last life knew it.
    `remarks`: what could not be read, in words.
    """

    ids: dict[str, int]
    state: State
    memory: dict[str, str]
    axis: Axis
    remarks: list[str] = field(default_factory=list)


class _Restart:
    """Rebuilds a state from one store."""

    def __init__(self, station: Station, digest: str, store: Store, beat: Beat) -> None:
        self._station = station
        self._digest = digest
        self._store = store
        self._beat = beat
        self.ids = store.point_ids(names_of(station), renames_of(station))
        self.remarks: list[str] = []

    def state(self, before: tuple[str, bytes] | None) -> State:
        """Return the state as the store has it, under the configuration it was stored with (`before`)."""
        station, (engine, _) = self._station, compile_rules(self._station, points_of(self._station, self.ids))
        older, digest = self._older(before)
        book, axis = AlarmBook(), _Wall(station.timezone)
        kinds = {channel.kind: registry.addressed(channel.kind) for channel in station.channels}
        state = State(
            engine=older or engine,
            book=book,
            escalation=Escalation(station, alarm=book.by_id, wall=axis.text, kinds=kinds),
            latest=Latest(1 + max(self._store.points().values())),
            gateway_events=self.ids[events_of(OWN)],
            successor=engine if older else None,
        )
        axis.state = state
        self.remarks += recovery.load(state, self._store, digest, engine_of=self._engine, beat=self._beat)
        return state

    def _older(self, before: tuple[str, bytes] | None) -> tuple[Engine | None, str]:
        """Return the rules of the configuration before this one, if it was another, and its digest."""
        if before is None or before[0] == self._digest:
            return None, self._digest
        try:
            return self._compiled(before[1]), before[0]
        except ConfigError as error:
            self.remarks.append(f"the configuration before this one cannot be read, windows start afresh: {error}")
            return None, self._digest

    def _engine(self, digest: str) -> Engine | None:
        """Return the rules of a configuration kept in the store; None when it is not there or cannot be read."""
        kept = self._store.configuration(digest)
        try:
            return None if kept is None else self._compiled(kept)
        except ConfigError:
            return None

    def _compiled(self, kept: bytes) -> Engine:
        station = undump(kept)
        engine, _ = compile_rules(station, points_of(station, self._ids_of(station)))
        return engine

    def _ids_of(self, station: Station) -> Mapping[str, int]:
        """Return the ids of an older configuration: points that were renamed since keep theirs."""
        known, renamed = self._store.points(), {old: new for new, old in renames_of(self._station).items()}
        today = {name: name if name in known else renamed.get(name, name) for name in names_of(station)}
        ids = self._store.point_ids(list(dict.fromkeys(today.values())))
        return {name: ids[now] for name, now in today.items()}


class _Wall:
    """Writes moments as people read them, by what the state believes of wall time."""

    state: State

    def __init__(self, timezone: str) -> None:
        self._zone = ZoneInfo(timezone)

    def text(self, mono: int) -> str:
        """Return a moment (ns, station axis) as month, day and time; empty while wall time is not trusted."""
        axis = self.state.axis
        if not axis.trusted:
            return ""
        moment = datetime.fromtimestamp((mono + axis.offset) / SECOND, tz=UTC)
        return moment.astimezone(self._zone).strftime("%m-%d %H:%M:%S")


def restore(station: Station, digest: str, store: Store, before: tuple[str, bytes] | None, beat: Beat) -> Restored:
    """Read everything; blocking. `before`: digest and bytes of the configuration the store was written under.

    Raises StoreError when the disk does not give it.
    """
    run = _Restart(station, digest, store, beat)
    axis = recovery.axis_of(store, store.last().boot)
    state = run.state(before)
    memory = store.rows("memory", str, run.remarks)
    return Restored(run.ids, state, memory, axis, run.remarks)
