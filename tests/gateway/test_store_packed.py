"""Packed rollups: the same aggregates in a twentieth of the bytes, whenever they are packed and whatever comes late."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.clock import DAY, HOUR, MINUTE, SECOND
from gateway.errors import StoreCorrupt
from gateway.model.quality import GOOD, Doubt, Level, quality
from gateway.model.station import StoreSpec
from gateway.store import backup, packed
from gateway.store.database import Store
from gateway.store.packed import Buckets, decode, encode, merged, of_rows
from gateway.store.read import Reader
from gateway.store.rollup import WIDTHS
from tests.care import stores
from tests.gateway.test_store_compaction import finish
from tests.store_groups import EPOCH, WALL, group

BAD = quality(Level.BAD, Doubt.NO_COMMS)
DECIMAL = st.integers(-(10**9), 10**9).map(lambda n: n / 1000)
ANY = st.floats(allow_nan=False, allow_infinity=False, width=64)


@st.composite
def rows(draw: st.DrawFn) -> list[tuple[float | None, ...]]:
    """Draw rows as the tables have them: all decimals, or anything."""
    value = draw(st.sampled_from([DECIMAL, ANY]))
    found: list[tuple[float | None, ...]] = []
    for t in sorted(draw(st.sets(st.integers(0, 1439), max_size=8))):
        heard, bad = draw(st.lists(value, max_size=3)), draw(st.integers(0, 3))
        some = (min(heard), max(heard), sum(heard), heard[-1]) if heard else (None,) * 4
        found.append((t, len(heard), bad, *some))
    return found


def same(one: Buckets, other: Buckets) -> None:
    for name, a, b in zip(Buckets._fields, one, other, strict=True):
        if name == "total":
            assert np.array_equal(np.isnan(a), np.isnan(b))
            with np.errstate(all="ignore"):  # infinite sums
                scale = np.maximum(np.abs(one.low), np.abs(one.high)) * one.n
                assert np.all((a == b) | ~(np.abs(a - b) > 1e-9 * scale))
        else:
            assert np.array_equal(a, b, equal_nan=a.dtype == np.float64), name


@given(rows())
def test_a_block_gives_back_what_was_put_into_it(drawn: list[tuple[float | None, ...]]) -> None:
    same(of_rows(drawn), decode(encode(of_rows(drawn))))


def test_infinite_sums_and_odd_doubles_are_kept_as_they_are() -> None:
    drawn = [
        (0, 2, 0, 1e308, 1e308, np.inf, 1e308),
        (1, 1, 0, -0.0, -0.0, -0.0, -0.0),
        (2, 1, 1, 1e-300, 2.0, 2.0, 2.0),
    ]
    back = decode(encode(of_rows(drawn)))
    assert [column.tobytes() for column in back] == [column.tobytes() for column in of_rows(drawn)]


@given(rows(), rows())
def test_a_bucket_in_two_places_counts_once_for_each_reading(
    one: list[tuple[float | None, ...]], other: list[tuple[float | None, ...]]
) -> None:
    whole = merged([of_rows(one), of_rows(other)])
    assert whole.t.tolist() == sorted({int(row[0] or 0) for row in one + other})
    assert whole.n.sum() == sum(row[1] or 0 for row in one + other)
    for t, n, low, last in zip(whole.t, whole.n, whole.low, whole.last, strict=True):
        said = [row for row in one + other if row[0] == t and row[1]]
        assert n == 0 or (low, last) == (min(row[3] or 0.0 for row in said), said[-1][6])


def test_a_damaged_block_is_said() -> None:
    body = encode(of_rows([(1, 1, 0, 1.0, 1.0, 1.0, 1.0)]))
    for bad in (b"", b"\x09" + body[1:], body[:-3], b"\x01" + body[1:], body[:1] + b"\x00" * 20):
        with pytest.raises(StoreCorrupt):
            decode(bad)


# -- in a store


def asked(path: Path | str) -> dict[tuple[str, int], Buckets]:
    """Return every rollup of points 1 and 2, by table and point; `t` is wall time."""
    with Reader(path) as reader:
        found = {(table, point): reader.rollup(table, point) for table in WIDTHS for point in (1, 2)}
    return {key: Buckets(r.time, r.n, r.bad, r.low, r.high, r.total, r.last) for key, r in found.items()}


def rows_in(store: Store) -> tuple[int, int]:
    """Return how many buckets stand alone, and how many blocks there are."""
    counts = [store.connection.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("minute", "hour", "packed")]  # noqa: S608 - constants
    return counts[0] + counts[1], counts[2]


def live(store: Store, days: int, boot: str = "boot-1") -> None:
    """Commit a reading of each of two points every two hours."""
    store.connection.execute("PRAGMA synchronous = OFF")
    store.point_ids(["a.v", "b.v"])
    for number in range(days * 12):
        mono = number * 2 * HOUR
        drawn = [(1, 0, number / 10, GOOD), (2, 0, 1.0, BAD if number % 3 else GOOD)]
        store.commit(group(number, drawn, mono=mono, boot=boot, more=[] if number or boot != "boot-1" else [EPOCH]))


@settings(max_examples=6, deadline=None)
@given(st.integers(1, 35), st.integers(1, 2))
def test_packed_at_whatever_moment_the_aggregates_are_the_same(days: int, boots: int) -> None:
    with tempfile.TemporaryDirectory() as folder, closing(Store.open(Path(folder) / "a.db")) as store:
        live(store, days)
        if boots == 2:
            live(store, 1, "boot-2")
        while store.copying is not None or store.uncompacted > 4:
            store.compact(30)
        before, alone = asked(store.path), rows_in(store)
        finish(store)
        whole_days = days > 2 or boots == 2
        assert (rows_in(store)[1] > 0) == whole_days
        assert rows_in(store)[0] < alone[0] or not whole_days
        after = asked(store.path)
        for key in before:
            shared = min(len(before[key].t), len(after[key].t))
            same(Buckets._make(c[:shared] for c in before[key]), Buckets._make(c[:shared] for c in after[key]))


def test_what_comes_late_to_a_packed_block_is_added() -> None:
    with tempfile.TemporaryDirectory() as folder, closing(Store.open(Path(folder) / "a.db")) as store:
        live(store, 3)
        finish(store)
        (block,) = store.connection.execute("SELECT min(block) FROM packed WHERE width = 'minute'").fetchone()
        assert block == 0
        before = asked(store.path)["minute", 1]
        with store.transaction() as connection:  # as an older program left it, or a disk that hung for a day
            connection.execute("INSERT INTO minute VALUES (1, 1, 120, 2, 1, -7.5, 99.5, 92.0, 3.0)")
        for packed_too in (False, True):
            after = asked(store.path)["minute", 1]
            place = int(np.flatnonzero(after.t == WALL + 120 * MINUTE)[0])
            assert len(after.t) == len(before.t)
            assert (after.n[place], after.bad[place]) == (before.n[place] + 2, before.bad[place] + 1)
            assert (after.low[place], after.high[place], after.last[place]) == (-7.5, 99.5, 3.0)
            assert after.total[place] == pytest.approx(before.total[place] + 92.0)
            if not packed_too:
                assert packed.seal(store, 0) is None
                assert store.connection.execute("SELECT count(*) FROM minute WHERE t = 120").fetchone() == (0,)


def test_packed_blocks_go_when_they_are_old_enough() -> None:
    days = DAY / SECOND
    keep = StoreSpec(path=":memory:", retain_raw=days, retain_minute=4 * days, retain_hour=6 * days)
    with closing(Store.open(":memory:", spec=keep)) as store:
        live(store, 12)
        finish(store)
        oldest = "SELECT min(block) FROM packed WHERE width = 'minute'"
        assert store.connection.execute(oldest).fetchone() == (7,)
        live(store, 8, "boot-2")
        finish(store)
        assert store.connection.execute("SELECT count(*) FROM packed WHERE boot = 1").fetchone()[0] > 0
        more = EPOCH.__class__(boot="boot-2", mono_from=0, wall_offset=WALL + 12 * DAY)
        store.commit(group(0, boot="boot-2", mono=8 * DAY + 2 * HOUR, more=[more]))
        store.commit(group(0, boot="boot-2", mono=8 * DAY + 4 * HOUR))
        finish(store)
        assert store.connection.execute("SELECT count(*) FROM packed WHERE boot = 1").fetchone() == (0,)


def test_what_schema_1_wrote_is_packed_after_the_upgrade(tmp_path: Path) -> None:
    path = stores.unpack(1, tmp_path)
    with closing(Store.open(path)) as store:
        assert rows_in(store)[1] == 0, "the migration itself moves nothing: it is quick, however large the store"
        store.commit(group(1, boot="a later boot"))
        finish(store)
        alone, blocks = rows_in(store)
        assert blocks > 0
        assert alone == 0


def test_a_copy_that_is_made_while_blocks_are_packed_counts_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, target = tmp_path / "station.db", tmp_path / "copy.db"
    monkeypatch.setattr(backup, "SLICE", 4_000)
    with closing(Store.open(path)) as store:
        live(store, 5)
        while store.uncompacted > 4:
            store.compact(30)
        expected = asked(path)
        looks = 0

        def between(_: int) -> None:
            nonlocal looks
            looks += 1
            if looks > 3:
                packed.seal(store, 0)

        backup.backup(path, target, between)
        assert rows_in(store)[1] > 0
    found = asked(target)
    for key, whole in expected.items():
        same(whole, found[key])
