"""A store that SQLite can read and we cannot: one bad row must not stop the station, nor cost what stands beside it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.app import open_house
from gateway.clock import SystemClock
from gateway.store.database import Store
from tests.faults.failing_station import Site, site

Living = tuple[list[str], str, bool]  # devices whose gas alarm is open, text of the fault about the start, volatile


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, bytes]]:
    """A station that lived once, with two alarms that nobody has acknowledged, and its store."""
    with site(tmp_path_factory.mktemp("rows")) as place:
        place.start()
        place.alarm("g0")
        place.alarm("g1")
        assert place.daemon is not None
        assert place.daemon.stop() == 0
        with closing(Store.open(place.store)) as store:
            seq, config = store.last().seq, store.last_good_configuration()
            assert config is not None
            store.save_snapshot(seq, "2", config[0], {"engine": b"e", "latest": b"l", "instant": b"i"})
        with closing(sqlite3.connect(place.store)) as connection:
            connection.execute("INSERT OR REPLACE INTO mark VALUES ('s', x'80')")
            connection.commit()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        yield place, place.store.read_bytes()


@pytest.fixture
def store(lived: tuple[Site, bytes]) -> Path:
    """The store as it was, alone in its folder."""
    place, content = lived
    for file in place.folder.glob("station.db*"):
        file.unlink()
    place.store.write_bytes(content)
    return place.store


def damaged(store: Path, *statements: str) -> None:
    """Change rows as a bad sector or a bug could."""
    with closing(sqlite3.connect(store)) as connection:
        for statement in statements:
            assert connection.execute(statement).rowcount
        connection.commit()


def opened(place: Site) -> Living:
    """Open the house and close it."""
    place.store.with_name("station.db.lock").unlink(missing_ok=True)  # this process holds that of the house before

    async def scene() -> Living:
        house = await open_house(place.config, SystemClock())
        gas = sorted(alarm.device for alarm in house.state.book.open_alarms() if alarm.rule == "gas")
        living = gas, "; ".join(house._remarks), house.ledger.volatile  # noqa: SLF001 - what the fault alarm will say
        await house.ledger.close()
        house._store.close()  # noqa: SLF001 - of one that did not live nobody else closes it
        return living

    return asyncio.run(scene())


STATEMENTS = {
    "snapshot": ("UPDATE snapshot SET body = x'00'", "windows start afresh"),
    "mark": ("UPDATE mark SET body = x'c1c1'", ""),
    "configuration": ("UPDATE configuration SET body = x'00'", "configuration in the store cannot be read"),
    "journal body": ("UPDATE journal SET body = x'00'", ""),
    "newest journal row": ("UPDATE journal SET boot = 99 WHERE seq = (SELECT max(seq) FROM journal)", "aside-1"),
    "first journal row": ("UPDATE journal SET boot = 99 WHERE seq = (SELECT min(seq) FROM journal)", ""),
    "progress": ("DELETE FROM progress", "aside-1"),
    "boot of a row": ("UPDATE state SET boot = 99", ""),
}


@pytest.mark.parametrize("what", STATEMENTS)
def test_a_bad_row_of_what_can_be_rebuilt_costs_no_alarm(lived: tuple[Site, bytes], store: Path, what: str) -> None:
    statement, remark = STATEMENTS[what]
    damaged(store, statement)
    gas, said, volatile = opened(lived[0])
    assert (gas, volatile) == (["g0", "g1"], False)
    assert remark in said


def test_a_bad_row_of_the_durable_tables_costs_only_itself(lived: tuple[Site, bytes], store: Path) -> None:
    with closing(sqlite3.connect(store)) as connection:
        rows = connection.execute("SELECT name, key FROM state").fetchall()
    good = store.read_bytes()
    assert {"alarm", "chain"} <= {name for name, _ in rows}
    for name, key in rows:
        for file in store.parent.glob("station.db*"):
            file.unlink()
        store.write_bytes(good)
        damaged(store, f"UPDATE state SET body = x'c1c1' WHERE name = '{name}' AND key = '{key}'")  # noqa: S608 - ours
        gas, said, _ = opened(lived[0])
        assert len(gas) >= (1 if name == "alarm" else 2), (name, key)
        assert f"row {key!r} of table {name!r}" in said


def test_a_bad_byte_in_a_text_costs_only_its_row(lived: tuple[Site, bytes], store: Path) -> None:
    with closing(sqlite3.connect(store)) as connection:
        rows = connection.execute("SELECT key, body FROM state WHERE name = 'alarm'").fetchall()
    key, body = next((key, body) for key, body in rows if b"gas" in body)
    torn = body.replace(b"gas", b"g\xffs").hex()
    damaged(store, f"UPDATE state SET body = x'{torn}' WHERE name = 'alarm' AND key = '{key}'")  # noqa: S608 - ours
    gas, said, _ = opened(lived[0])
    assert gas in (["g0"], ["g1"])
    assert f"row {key!r} of table 'alarm' cannot be read" in said


def test_all_rows_bad_is_a_start_with_remarks(lived: tuple[Site, bytes], store: Path) -> None:
    damaged(store, "UPDATE state SET body = x'c1c1'")
    gas, said, volatile = opened(lived[0])
    assert (gas, volatile) == ([], False)
    assert "of table 'alarm' cannot be read" in said


def test_readings_of_an_unknown_boot_do_not_stop_compaction(store: Path) -> None:
    damaged(store, "UPDATE journal SET boot = 99 WHERE seq = (SELECT min(seq) FROM journal)")
    with closing(Store.open(store)) as opened_again:
        while opened_again.compact(100):
            pass
        assert opened_again.unreadable == 1


def test_a_bad_configuration_is_written_afresh(lived: tuple[Site, bytes], store: Path) -> None:
    damaged(store, "UPDATE configuration SET body = x'00'")
    opened(lived[0])
    assert opened(lived[0])[1].find("configuration in the store") == -1


def test_a_database_of_another_program_is_refused_and_untouched(lived: tuple[Site, bytes], store: Path) -> None:
    store.unlink()
    with closing(sqlite3.connect(store)) as foreign:
        foreign.execute("CREATE TABLE journal (x)")
    before = store.read_bytes()
    gas, said, volatile = opened(lived[0])
    assert (gas, volatile) == ([], True)
    assert "database of another program" in said
    assert store.read_bytes() == before
    assert not store.with_name("station.db.aside-1").exists()


@pytest.mark.parametrize("there", [False, True])
def test_only_the_owner_can_read_a_store(tmp_path: Path, caplog: pytest.LogCaptureFixture, there: bool) -> None:  # noqa: FBT001 - a case
    file = tmp_path / "station.db"
    before = os.umask(0o022)
    try:
        if there:
            Store.open(file).close()
            file.chmod(0o644)
        with closing(Store.open(file)) as store:
            store.point_ids(["a"])
            modes = {beside.name: beside.stat().st_mode & 0o777 for beside in tmp_path.glob("station.db*")}
    finally:
        os.umask(before)
    del modes["station.db.lock"]
    assert modes == dict.fromkeys(("station.db", "station.db-wal", "station.db-shm"), 0o600)
    assert ("could be read by others" in caplog.text) == there
