"""What a driver or channel refuses is found before anything starts, and costs a running station that one only."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway import fitting
from gateway.app import problems_of, read
from gateway.clock import SystemClock
from gateway.errors import DeliveryError, DriverFatal
from gateway.model.contact import ChannelSpec
from gateway.model.inventory import numbered
from gateway.model.notification import Notification, NotifyReason
from gateway.model.point import AlarmClass
from gateway.model.ports import ChannelSetup, DriverSetup
from gateway.model.station import SourceSpec
from tests.channel_rigs import Notes, no_output

STATION = """
[station]
id = "s"
name = "站"

[store]
path = "{folder}/station.db"

[[source]]
id = "bus"
driver = "modbus_rtu"
port = "/dev/ttyUSB0"

[[device]]
id = "a"
source = "bus"
profile = "xy-md02"
address = 3
wake = "no hex"

[[channel]]
id = "sms"
kind = "sms_modem"
port = "/dev/ttyUSB2"

[[contact]]
id = "li"
name = "李伟"
phone = "13800138000"
"""


def test_what_only_the_driver_knows_is_a_problem_at_its_device_with_its_line(tmp_path: Path) -> None:
    config = tmp_path / "station.toml"
    config.write_text(STATION.format(folder=tmp_path), encoding="utf-8")
    loaded = read(config)
    found = [problem for problem in problems_of(loaded) if not problem.note]
    assert [problem.key for problem in found] == ["device[a]"], [problem.text("en") for problem in found]
    assert found[0].line == STATION.splitlines().index("[[device]]") + 1
    assert "hexadecimal" in found[0].text("en")
    assert loaded.station is not None
    good = config.read_text(encoding="utf-8").replace("no hex", "00ff")
    config.write_text(good, encoding="utf-8")
    station = read(config).station
    assert station is not None
    assert list(fitting.misfits(station, numbered(station))) == []


def test_a_driver_that_is_refused_is_given_up_with_its_reason_and_the_house_goes_on() -> None:
    notes = Notes()
    source = SourceSpec(id="bus", driver="modbus_rtu", options={"prot": "/dev/ttyUSB0"})
    setup = DriverSetup(
        source=source,
        devices=[],
        point_ids={"@bus.events": 1},
        life_safety=frozenset(),
        clock=SystemClock(),
        memory=notes,
        report=notes,
    )
    stand_in = fitting.driver(setup)
    with pytest.raises(DriverFatal, match="prot"):
        asyncio.run(stand_in.run(lambda _: None))
    with pytest.raises(DeliveryError, match="prot"):
        asyncio.run(stand_in.write("a", "do1", 1.0))


def test_a_channel_that_is_refused_fails_for_good_so_that_the_next_way_is_tried() -> None:
    notes = Notes()
    spec = ChannelSpec(id="sms", kind="sms_modem", options={"prot": "/dev/ttyUSB2"})
    stand_in = fitting.channel(
        ChannelSetup(spec=spec, clock=SystemClock(), memory=notes, report=notes, write=no_output)
    )
    notice = Notification(
        id=1,
        alarm=1,
        alarm_class=AlarmClass.FIRE,
        contact="li",
        channel="sms",
        address="13800138000",
        reason=NotifyReason.RAISED,
        text="火警",
    )
    with pytest.raises(DeliveryError, match="prot") as told:
        asyncio.run(stand_in.send(notice))
    assert not told.value.retryable
    with pytest.raises(DriverFatal):
        asyncio.run(stand_in.run(lambda _: None))
    stand_in.accepted("nothing")
