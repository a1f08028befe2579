"""`firegrid doctor` finds every fault of this table and says what, where and how to mend it, in both languages."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from drivers.simulated.modbus_bus import Fault
from gateway.cli import brokers, doctor, examined_wires
from gateway.cli.examined import Level
from tests import real_mosquitto
from tests.commissioning import faulty, sown_box, sown_brokers, sown_lines
from tests.commissioning.faulty import BROKER, Field
from tests.commissioning.sown import Patch, check, examined
from tests.commissioning.sown_brokers import CERTIFICATES, centre

FAULTS = {**sown_lines.FAULTS, **sown_brokers.FAULTS, **sown_box.FAULTS}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: Patch) -> Iterator[Field]:
    """Return the field; brokers of these tests are on this machine: their silence is told sooner."""
    monkeypatch.setattr(brokers, "QUIET", 0.3)
    monkeypatch.setattr(examined_wires, "ASKED", 2)
    at = Field(tmp_path)
    with at.stack:
        yield at


def test_there_are_more_than_twenty_of_them() -> None:
    assert len(FAULTS) >= 20


@pytest.mark.parametrize("name", FAULTS)
def test_a_seeded_fault_is_found_and_comes_with_its_fix(name: str, place: Field, monkeypatch: Patch) -> None:
    check(FAULTS[name], place, monkeypatch)


def test_a_good_station_has_none(place: Field) -> None:
    broker = place.stack.enter_context(real_mosquitto.running(place.folder))
    place.broker = broker.port
    shutil.copy(CERTIFICATES / "good.pem", place.folder)
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    page = f'[page]\nlisten = "127.0.0.1:{port}"\ncert_file = "good.pem"\nkey_file = "good.pem"\n'
    (place.folder / "good.pem").chmod(0o600)
    url = place.stack.enter_context(faulty.web_server(204))
    sink = f'[[sink]]\nid = "graphs"\nkind = "influx"\nurl = "{url}"\nbucket = "fire"\n'
    path = place.write(*place.bus(near=Fault(), far=Fault()), *place.modem(), page, sink, centre(broker.port))
    rows = examined(path, lambda rows: not any(row.level is Level.BAD for row in rows))
    assert [row for row in rows if row.level is Level.BAD] == []
    said = {row.area: row.en for row in rows}
    assert {"bus", "modem", "certificate", "sink", "broker", "serial"} <= set(said)
    assert "CHINA MOBILE -67 dBm" in said["modem"]
    assert len([row for row in rows if row.area == "sink"]) == 2


@pytest.mark.parametrize(("up", "level"), [(True, Level.GOOD), (False, Level.REMARK)])
def test_where_a_sink_stands_is_information_while_it_is_well(place: Field, up: bool, level: Level) -> None:  # noqa: FBT001 - a parameter
    place_text = "已送至 sent up to commit 7, 没有积压 nothing waits"
    link = {"name": "sink far", "up": up, "reason": "" if up else "gone", "findings": {"position": place_text}}
    place.stack.enter_context(faulty.daemon(place.folder / "station.db.sock", {"links": [link]}))
    rows = list(doctor.findings(place.write(BROKER.format(port=1, more="")), probe=False))
    assert [row.level for row in rows if "commit 7" in row.en] == [level]
