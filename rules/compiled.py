"""What `rules.compile` hands to the rule kinds: places that can alarm, and what every kind offers the engine.

A kind is one file in rules/kinds with `OPTIONS` (a msgspec Struct: the keys of its `[[rule]]` beyond the common
ones), `names(unit) -> dict` (what its conditions may name, with units; empty: it has no conditions, and a place is a
device, or a point where that is `unmeasured`), `misfits(options, poll) -> findings` (what is wrong at a device that is
asked every `poll` seconds; only of kinds with conditions) and `create(setup) -> Kind`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from gateway.model.delta import Delta, Table
from gateway.model.moment import Moment
from gateway.model.ports import RuleKind
from gateway.model.verdict import Change, Delay
from rules.expression import Condition

SECOND = 1_000_000_000
PlaceId = tuple[str, int, str]  # rule, point, key: what an alarm is keyed by


class Heard(msgspec.Struct, frozen=True):
    """Durable row of table `heard`, key `rule|point|key`: when the device last gave a sign of life (ns)."""

    at: int
    silent: bool = False


class Level(msgspec.Struct, frozen=True):
    """Durable row of table `level`: a panel key whose condition holds.

    `seen`: addresses behind a collective key. `time`: the device's own time of what it last said, ns since 1970, where
    that was proved right when it came, else 0. `doubted`: it was said to have ended before that time.
    """

    rule: str
    point: int
    key: str
    seen: tuple[str, ...] = ()
    time: int = 0
    doubted: bool = False


class KindFault(msgspec.Struct, frozen=True):
    """A rule kind raised: its slots are UNKNOWN for that moment. A value for the pipeline's fault alarm."""

    kind: str
    error: str
    at: int


@dataclass(slots=True)
class Tables:
    """The tables of the rules; a new configuration takes over the very same ones, so that an undo finds them."""

    delays: Table[Delay] = field(default_factory=lambda: Table("delay"))
    heard: Table[Heard] = field(default_factory=lambda: Table("heard"))
    levels: Table[Level] = field(default_factory=lambda: Table("level"))
    faults: Table[KindFault] = field(default_factory=lambda: Table("_kind_fault"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One rule at one point: a slot. Delays in ns; `fingerprint` changes when the definition does."""

    order: int
    rule: str
    point: int
    key: str = ""
    when: Condition | None = None
    clear: Condition | None = None
    on_delay: int = 0
    off_delay: int = 0
    life_safety: bool = False
    fingerprint: str = ""
    options: Any = None  # the kind's OPTIONS, converted
    silence: int = 0  # ns, the silence limit of the device
    device_points: tuple[int, ...] = ()  # all points of the device, signs of its life

    @property
    def id(self) -> PlaceId:
        """Return what its alarm is keyed by."""
        return self.rule, self.point, self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class KindSetup:
    """What a kind is given: its slots in order, the exclusive upper bound of point ids, the durable tables."""

    places: Sequence[Place]
    points: int
    tables: Tables


class Restart(Protocol):
    """How a kind's state comes over a restart or a change of configuration (house sections 3 and 10)."""

    def restore(self, columns: Mapping[str, Any]) -> None:
        """Take what `snapshot` returned, slot by slot where rule, point, key and definition are the same.

        A slot whose definition changed keeps only that its condition held. Raises on columns of other code.
        """

    def resume(self, delays: Sequence[Delay], conditions: frozenset[PlaceId]) -> None:
        """Take running delays and active conditions as the durable rows have them; windows stay as they are."""

    def rebase(self, start: Restarted, delta: Delta) -> None:
        """Move all times to the axis of this boot."""

    def active(self) -> list[PlaceId]:
        """Return the places whose condition holds."""


@dataclass(frozen=True, slots=True)
class Restarted:
    """A start, as timers see it: `shift` None when the time spent down is unknown; ns.

    `last` is the last moment handled, on the old axis; `settled` the end of the first poll round.
    """

    at: int
    shift: int | None
    last: int
    settled: int


class Kind(RuleKind, Restart, Protocol):
    """All rules of one kind."""

    def judge_fresh(self, moment: Moment, delta: Delta) -> list[Change]:
        """Apply readings only to slots that never had one: a changed rule meets the latest values."""

    def lose(self, delta: Delta) -> None:
        """Its readings cannot be judged: running on-delays count as lost, off-delays stop."""


def name_of(rule: str, point: int, key: str) -> str:
    """Return the key of a durable row."""
    return f"{rule}|{point}|{key}"
