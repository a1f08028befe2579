"""Events from the step into the record and out of it: what is known of an address nobody registered goes with it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from gateway.cli.main import run
from gateway.model.batch import EventCode, EventSeen
from gateway.model.inventory import OWN, events_of
from gateway.model.portion import Note
from gateway.sinks._messages import Messages
from gateway.store.database import Store
from gateway.store.shapes import Group
from tests import station_toml as toml
from tests.sinks.portions import POINTS, facts, portion
from tests.store_groups import BOOT, EPOCH, WALL


class Former(msgspec.Struct, frozen=True, kw_only=True):
    """An event as the record kept it before it said whether its address is registered."""

    point: int
    key: str
    code: EventCode
    text: str
    time: int
    at: int
    source: str
    raw: bytes


def seen(point: int, *, registered: bool) -> EventSeen:
    return EventSeen(
        point=point,
        key="9/99",
        code=EventCode.FIRE,
        text="烟感",
        time=0,
        at=1,
        source="s",
        raw=b"\x40",
        registered=registered,
    )


def test_what_is_registered_is_written_as_before() -> None:
    now = seen(1, registered=True)
    former = Former(**{name: getattr(now, name) for name in Former.__struct_fields__})
    assert msgspec.msgpack.encode(now) == msgspec.msgpack.encode(former)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(former), type=EventSeen) == now


def test_the_command_shows_an_address_that_nobody_registered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "station.toml"
    config.write_text(toml.station(tmp_path) + toml.broker(1) + toml.sensor("g"), encoding="utf-8")
    store = Store.open(tmp_path / "station.db")
    point = store.point_ids([events_of(OWN)])[events_of(OWN)]
    former = Former(point=point, key="1", code=EventCode.FIRE, text="former", time=0, at=1, source="s", raw=b"")
    told = [former, seen(point, registered=True), seen(point, registered=False)]
    store.commit(Group(boot=BOOT, mono=1, wall=WALL, steps=[(1, [EPOCH])], records=[("event", one) for one in told]))
    store.close()
    assert run(["events", "--json", "-c", str(config)]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row.get("registered", True) for row in rows] == [True, True, False]
    assert run(["events", "-c", str(config)]) == 0
    assert [line.count("烟感（未登记）") for line in capsys.readouterr().out.splitlines() if "fire" in line] == [
        0,
        0,
        1,
    ]


def test_what_an_event_ends_goes_with_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "station.toml"
    config.write_text(toml.station(tmp_path) + toml.broker(1) + toml.sensor("g"), encoding="utf-8")
    store = Store.open(tmp_path / "station.db")
    point = store.point_ids([events_of(OWN)])[events_of(OWN)]
    told = msgspec.structs.replace(seen(point, registered=True), code=EventCode.RESTORE, ends=EventCode.FAULT)
    store.commit(Group(boot=BOOT, mono=1, wall=WALL, steps=[(1, [EPOCH])], records=[("event", told)]))
    store.close()
    assert run(["events", "--json", "-c", str(config)]) == 0
    assert json.loads(capsys.readouterr().out)["ends"] == "fault"
    [message] = Messages(POINTS, facts).of(portion(notes=(Note(3, WALL, told),)))
    assert json.loads(message.payload)["ends"] == "fault"


@pytest.mark.parametrize("registered", [True, False])
def test_a_far_end_is_told_as_well(registered: bool) -> None:  # noqa: FBT001 - a case
    note = Note(3, WALL, seen(2, registered=registered))
    [message] = Messages(POINTS, facts).of(portion(notes=(note,)))
    assert json.loads(message.payload).get("registered", True) is registered
