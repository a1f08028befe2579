"""A store that lives for years, and its housekeeping, for tests of what leaves the record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.clock import DAY, SECOND
from gateway.model.alarm import Alarm
from gateway.model.moment import Epoch, Input
from gateway.model.station import StoreSpec
from gateway.store.database import Store
from gateway.store.shapes import Group
from tests.store_groups import BOOT, transition

FIRST = 2026
BEGUN = int(datetime(FIRST, 1, 1, tzinfo=UTC).timestamp()) * SECOND
EPOCH = Epoch(boot=BOOT, mono_from=0, wall_offset=BEGUN, source="ntp")
PER_YEAR = 6  # rows


def commit(
    store: Store, mono: int, *, boot: str = BOOT, more: tuple[Input, ...] = (), opened: Alarm | None = None
) -> None:
    """Commit one transition."""
    number = store.last().seq + 1
    rows = [("alarm", str(opened.id), opened)] if opened else []
    records = [("transition", transition(number, mono))]
    store.commit(Group(boot=boot, mono=mono, wall=0, steps=[(mono, list(more))], records=records, rows=rows))


def live(store: Store, years: int) -> None:
    """Let a station live on for some calendar years, from where it stands to the first rows of the next year."""
    last = store.last().mono if store.last().seq else 0
    for _ in range(years * PER_YEAR):
        commit(store, last, more=() if store.last().seq else (EPOCH,))
        last += 365 * DAY // PER_YEAR + DAY // 5


def kept(store: Store) -> list[int]:
    """Return the years that have rows."""
    found = {
        datetime.fromtimestamp((BEGUN + mono) // SECOND, tz=UTC).year
        for (mono,) in store.connection.execute("SELECT mono FROM record WHERE kind != 'removal'")
    }
    return sorted(found)


def finish(store: Store) -> None:
    """Do all housekeeping that is due, as if an hour had passed."""
    store.round.next_at = 0
    while store.compact(30):
        pass


def finish_some(store: Store) -> None:
    """Do one slice of it."""
    store.compact(30)


def spec(path: Path, years: int) -> StoreSpec:
    return StoreSpec(path=str(path), retain_record=years)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "station.db"


@pytest.fixture
def removed(path: Path) -> Iterator[Store]:
    """A store that lived ten years and keeps three beside the present one."""
    with closing(Store.open(path, spec=spec(path, 3))) as store:
        live(store, 10)
        finish(store)
        yield store


def removals(store: Store) -> int:
    (count,) = store.connection.execute("SELECT count(*) FROM record WHERE kind = 'removal'").fetchone()
    return int(count)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices of few rows."""
    monkeypatch.setattr("gateway.store.years._DELETED", 7)
    monkeypatch.setattr("gateway.store.years._LOOKED_AT", 5)
