"""A station with two devices of every shipped profile, side by side on one bus or broker, is a good station.

The file is made from the profiles, so that a new one is in it without being named. Keeps house section 6: what ships
can be put into a configuration as it stands, with nothing but the place of the device added.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers._profiles import names, profile
from gateway import registry
from gateway.cli.main import GOOD, run
from gateway.model.point import Profile
from gateway.registry import Group
from tests import station_toml as toml

PAIR = (1, 2)
CALLED = ("gb26875", "hj212", "sl651")  # one port of ours, many devices
ALONE = ("uart", "panel_serial")  # one device has the line for itself


def _place(known: Profile, number: int, serial: int) -> dict[str, object]:
    """Return the keys that say which device it is; `serial` is another number for every device."""
    places: dict[str, dict[str, object]] = {
        "modbus_rtu": {"address": 10 + number},
        "tasmota": {"topic": f"tasmota_{serial:06X}"},
        "esphome": {"topic": f"node-{serial}"},
        "shelly": {"topic": f"shelly-{serial:012x}"},
        "zigbee2mqtt": {"topic": f"zigbee2mqtt/room {serial}"},
        "json": {"topic": f"json/{serial}"},
        "chirpstack": {"dev_eui": f"{serial:016x}"},
        "ttn": {"application": "jc@ttn", "device": f"d{serial}"},
        "sparkplug": {"group": "jc", "node": "n", "device": f"d{serial}"},
        "ctwing": {"topic": "aep/push", "imei": f"{86_000_000_000_000 + serial}"},
        "onenet": {"product": "p", "device": f"d{serial}"},
        "gb26875": {"address": serial},
        "hj212": {"mn": f"{serial:024d}"},
        "sl651": {"address": f"{serial:010d}"},
    }
    return places.get(known.driver, {})


def _points(known: Profile, number: int, serial: int) -> dict[str, object]:
    """Return what a device must say of its points: where they come from, where the profile cannot know it."""
    if known.driver == "homeassistant":
        own: dict[str, object] = {spec.name: {"decode": {"topic": f"ha/{serial}/{spec.name}"}} for spec in known.points}
        return own or {"t": {"unit": "Cel", "decode": {"topic": f"ha/{serial}/t"}}}
    if known.driver == "gpio":
        return {"door": {"kind": "state", "labels": {"closed": 0, "open": 1}, "decode": {"line": 10 + number}}}
    return {} if known.points else {"t": {"unit": "Cel"}}


def _source(known: Profile, name: str, port: int) -> str:
    if known.driver in registry.names(Group.DIALECT):
        return toml.broker(1883)
    line: dict[str, object] = {
        key: known.options[key] for key in ("baudrate", "parity", "stopbits") if key in known.options
    }
    place: dict[str, object] = {"wire": "serial", "port": f"/dev/ttyLINE{port}"}
    if known.driver == "modbus_rtu":
        place = {"port": f"/dev/ttyBUS{port}", **line}
    elif known.driver == "gpio":
        place = {"chip": "/dev/gpiochip0"}
    elif known.driver in CALLED:
        place = {"wire": "tcp_server", "port": 20_000 + port}
    return toml.table("source", id=name, driver=known.driver, **place)


def _station(folder: Path) -> tuple[str, int]:
    """Return the file, and how many sources stand in it."""
    sources: dict[str, str] = {}
    devices: list[str] = []
    for order, name in enumerate(names()):
        known = profile(name)
        for number in PAIR:
            serial = 2 * order + number
            source = f"{name}-{number}" if known.driver in ALONE else name
            source = "broker" if known.driver in registry.names(Group.DIALECT) else source
            sources.setdefault(source, _source(known, source, serial))
            keys = _place(known, number, serial)
            points = _points(known, number, serial)
            keys = {**keys, "points": points} if points else keys
            devices.append(toml.table("device", id=f"{name}-{number}", source=source, profile=name, cell="a", **keys))
    return "".join([toml.station(folder), *sources.values(), *devices]), len(sources)


def test_two_devices_of_every_shipped_profile_make_a_good_station(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, sources = _station(tmp_path)
    path = tmp_path / "station.toml"
    path.write_text(text, encoding="utf-8")
    done = run(["check", "-c", str(path), "--language", "en"])
    printed = capsys.readouterr().out
    assert done == GOOD, "\n".join(line for line in printed.splitlines() if not line.startswith(("warning", "note")))
    assert f"good: {sources} sources, {2 * len(names())} devices" in printed
