"""What could not be read is told per device and reason: one line an hour in the log, counted, a sample, bounded."""

from __future__ import annotations

import asyncio

import pytest

from drivers._mqtt_routes import ALARM, Routes
from drivers._mqtt_unread import MOST, Unread
from drivers.dialects.json import create
from gateway.model.point import Device, PointSpec, Profile
from gateway.model.ports import DialectSetup
from gateway.testing import FakeClock
from tests.mqtt_driver_setup import Notebook

PROFILE = Profile(id="json-generic", title="x", points=(PointSpec(name="ch4", unit="%"),), driver="json")


def _unread() -> tuple[Unread, FakeClock, Notebook]:
    device = Device(id="gas", source="broker", profile=PROFILE, options={"topic": "station/+"})
    dialect = create(DialectSetup(devices=[device], point_ids={"gas.ch4": 1}, source_events=9))
    clock, notebook = FakeClock(), Notebook()
    return Unread(Routes([(device, ALARM, dialect)]), clock, notebook), clock, notebook


def test_one_line_in_the_log_and_again_after_an_hour_and_every_message_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    unread, clock, notebook = _unread()
    for _ in range(5):
        unread.note("station/gas", b"\x1b[31mhello\xff" + b"x" * 200, ["not_json"])
    assert len(caplog.records) == 1
    assert "gas: 1 message(s) not understood (not_json)" in caplog.text
    count, _, sample = notebook.findings["unread gas not_json"].partition(" ")
    assert count == "5"
    assert len(sample) == 80
    assert sample.isprintable()
    asyncio.run(clock.advance(3601))
    unread.note("station/gas", b"hello", ["not_json", "test_active"])
    assert len(caplog.records) == 2
    assert list(notebook.findings) == ["unread gas not_json"]


def test_a_sender_that_invents_topics_does_not_fill_the_memory() -> None:
    unread, _, notebook = _unread()
    for number in range(3 * MOST):
        unread.note(f"other/{number}", b"x", ["not_json"])
    assert len(notebook.findings) == MOST
