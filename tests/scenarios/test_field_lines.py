"""Hydrology, gas monitors and fire panels through the daemon: UDP, TCP in both directions, serial lines, to the SMS.

Guarantees: what is answered is stored, what is said twice is stored once, and panels need no rule to be heard.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.simulated.hj212 import Logger
from drivers.simulated.panel import SimulatedPanel
from drivers.simulated.sl651 import Station
from gateway.protocols.hj212_packet import Factor
from gateway.protocols.panels import gst5000, jbf11sf
from tests import station_toml as toml
from tests.patience import until
from tests.ports import free_port
from tests.scenarios.field_rig import Place, place
from tests.scenarios.field_wires import Far, called, calling, on_line, sending

MM_PER_MG = 0.859  # ppm of CO that a mg/m3 is


# -- SL 651


def test_a_river_rises_over_udp_and_tcp(tmp_path: Path) -> None:
    async def main(here: Place) -> None:
        udp, tcp = free_port(), free_port()
        here.write(
            toml.table("source", id="rivers", driver="sl651", wire="udp", port=udp)
            + toml.table("source", id="hydrants", driver="sl651", wire="tcp_server", port=tcp)
            + _river("east", "rivers", "0012345678")
            + _river("west", "hydrants", "0012345679")
        )
        await here.start()
        for device, address in (("east", "0012345678"), ("west", "0012345679")):
            station = Station(address, values={"Z": 28.4, "VT": 12.5})
            wire = sending(udp, _hears(station)) if device == "east" else calling(tcp, _hears(station))
            async with wire as far:
                await _rises(here, station, far, device)

    with place(tmp_path) as here:
        asyncio.run(main(here))


def _river(name: str, source: str, address: str) -> str:
    alarms = [{"when": "value > 31.2", "clear": "value < 31.0", "class": "flood"}]
    return toml.table(
        "device", id=name, source=source, profile="sl651-river", address=address, cell="a",
        points={"level": {"alarms": alarms}},
    )  # fmt: skip


def _hears(station: Station) -> Callable[[bytes], bytes]:
    return lambda data: station.hear(data, time.time_ns())


async def _rises(here: Place, station: Station, far: Far, device: str) -> None:
    """A level, confirmed when it is stored; the same upload again, confirmed and not stored; a flood."""
    report = station.report(time.time_ns())

    async def say() -> None:
        far.say(report)

    await here.after_commit(say, lambda: not station.unanswered)
    assert here.values(f"{device}.level") == [28.4]
    answered = len(far.heard)
    far.say(report)
    await until(lambda: len(far.heard) > answered)
    assert here.values(f"{device}.level") == [28.4]
    station.values["Z"] = 31.55
    far.say(station.report(time.time_ns()))
    await until(lambda: not station.unanswered)
    await here.told("【水位】", device, "31.55m")
    assert here.values(f"{device}.level") == [28.4, 31.55]


# -- HJ 212


def test_a_gas_monitor_that_is_called_and_one_on_a_serial_line(tmp_path: Path) -> None:
    async def main(here: Place) -> None:
        port = free_port()
        here.write(
            toml.table("source", id="net", driver="hj212", wire="tcp_client", host="127.0.0.1", port=port)
            + toml.table("source", id="line", driver="hj212", wire="serial", port=str(tmp_path / "line"))
            + _monitor("boiler", "net", "881")
            + _monitor("garage", "line", "882")
        )
        boiler, garage = Logger("881"), Logger("882")
        async with called(port, _answers(boiler)) as net, on_line(tmp_path / "line", _answers(garage)) as line:
            await here.start()
            await _leaks(here, boiler, net, "boiler")
            await _leaks(here, garage, line, "garage")

    with place(tmp_path) as here:
        asyncio.run(main(here))


def _monitor(name: str, source: str, number: str) -> str:
    return toml.table("device", id=name, source=source, profile="hj212-gas", mn=number, cell="a")


def _answers(logger: Logger) -> Callable[[bytes], bytes]:
    return lambda data: logger.hear(data, time.time_ns())


async def _leaks(here: Place, logger: Logger, far: Far, device: str) -> None:
    """Clean air, confirmed (9014) when it is stored and stored once; carbon monoxide."""
    report = logger.report([Factor("a21005", {"Rtd": "10", "Flag": "N"})], time.time_ns())

    async def say() -> None:
        far.say(report)

    await here.after_commit(say, lambda: not logger.unanswered)
    far.say(report)
    await until(lambda: far.heard.count(b"CN=9014") == 2)
    assert here.values(f"{device}.co") == pytest.approx([10 * MM_PER_MG])
    far.say(logger.report([Factor("a21005", {"Rtd": "500", "Flag": "N"})], time.time_ns()))
    await until(lambda: not logger.unanswered)
    await here.told("【燃气】", device, "429.5[ppm]")
    assert here.values(f"{device}.co") == pytest.approx([10 * MM_PER_MG, 500 * MM_PER_MG])


# -- panels


def test_two_panels_on_serial_lines(tmp_path: Path) -> None:
    async def main(here: Place) -> None:
        text = ""
        for name in ("gst5000", "jbf11sf"):
            keys = {"wire": "serial", "port": str(tmp_path / name), "baudrate": 2400}
            text += toml.table("source", id=f"{name}-line", driver="panel_serial", **keys)
            text += toml.table("device", id=name, source=f"{name}-line", profile=f"panel-{name}", cell="a")
        here.write(text)
        gst, jbf = SimulatedPanel("gst5000"), SimulatedPanel("jbf11sf")
        async with on_line(tmp_path / "gst5000", gst.hear) as one, on_line(tmp_path / "jbf11sf", jbf.hear) as other:
            await here.start()
            one.say(gst.tell(gst5000.encode(gst5000.FIRE, "365089", 3, "三层走廊")))
            await here.told("【火警】", "gst5000 365089", "三层走廊")
            other.say(jbf.tell(jbf11sf.encode(jbf11sf.FIRE, "1/2/15")))
            await here.told("【火警】", "jbf11sf 1/2/15")
            one.say(gst.tell(gst5000.encode(gst5000.RESET)))
            other.say(jbf.tell(jbf11sf.encode(jbf11sf.RESET)))
            await until(lambda: {alarm["state"] for alarm in here.alarms()} == {"latched_unack"})
            await until(lambda: len({event.point for event in here.events("reset")}) == 2)
            assert len(here.events("reset")) == 2
            assert [len(here.events("fire", key)) for key in ("365089", "1/2/15")] == [1, 1]

    with place(tmp_path) as here:
        asyncio.run(main(here))
