"""A siren on a Modbus output, through the whole house: the way to reach people when nothing else works.

`firegrid run` as a process, the bus on a real pseudo-terminal, no modem at all. House section 6 and the issue's
"relay": it sounds at once, is silent after the acknowledgement, is set again after a restart, after a bus failure and
when the module has forgotten it, and is read back.
"""

from __future__ import annotations

import time
from pathlib import Path

from drivers.simulated.modbus_bus import SimulatedSlave
from gateway.model.quality import GOOD
from gateway.store.read import Reader
from gateway.transport import unix
from tests import station_toml as toml
from tests.daemon import Daemon
from tests.field import Field
from tests.patience import wait

MODULE = 5  # address of the output module
HOT = 700  # 0.1 degrees
COOL = 200


def write(folder: Path) -> Path:
    siren = {"id": "siren", "kind": "relay", "device": "hall-do", "point": "do1", "refresh": "1.5s", "retry": "0.5s"}
    limits = {"link_fault": "30s", **toml.WELL}
    text = toml.station(folder, interval="1s", limits=limits, modem="no-modem") + toml.bus(folder)
    text += toml.slave("room", 1, poll="0.2s") + toml.slave("hall-do", MODULE, profile="io-waveshare-8ch")
    text += toml.rule("heat", "room.temperature", "value > 60", class_="fire") + toml.table("channel", **siren)
    config = folder / "station.toml"
    config.write_text(text, encoding="utf-8")
    return config


def start(config: Path) -> Daemon:
    life = Daemon(config)
    life.wait_armed()
    return life


def ask(config: Path, **request: object) -> dict[str, object]:
    return unix.ask(config.parent / "station.db.sock", request)


def open_alarms(config: Path) -> list[int]:
    alarms = ask(config, do="alarms")["alarms"]
    assert isinstance(alarms, list)
    return [alarm["id"] for alarm in alarms if alarm["rule"] == "heat"]


def test_the_siren_sounds_without_any_modem_until_somebody_acknowledges(tmp_path: Path) -> None:
    config = write(tmp_path)
    module = SimulatedSlave(address=MODULE, coils=dict.fromkeys(range(8), 0), inputs=dict.fromkeys(range(8), 0))
    with Field(tmp_path, slaves=1) as field:
        field.call(lambda: field.bus.slaves.update({MODULE: module}))
        room = field.slaves[0].registers

        def sounds() -> bool:
            return module.coils[0] == 1

        life = start(config)
        wait(lambda: "link up" in (tmp_path / "daemon.log").read_text("utf-8"), what="the bus is read")
        time.sleep(0.5)
        assert not sounds()
        room[1] = HOT
        wait(sounds, what="the siren")
        assert len(open_alarms(config)) == 1

        life.kill()
        module.coils[0] = 0  # the power was gone for everybody
        life = start(config)
        wait(sounds, what="set again after a restart")

        time.sleep(0.5)  # read back: nothing is under way any more
        field.call(field.bus.unplug)
        time.sleep(0.5)
        module.coils[0] = 0
        field.call(field.bus.plug)
        wait(sounds, what="set again after the bus has come back")

        time.sleep(0.6)
        module.coils[0] = 0
        wait(sounds, what="set again when the module has forgotten it")

        room[1] = COOL
        time.sleep(0.6)
        assert sounds(), "only a person silences it"
        answer = ask(config, do="act", verb="ack", alarms=open_alarms(config), who="li")
        assert answer["refusals"] == []
        wait(lambda: not sounds(), what="silent after the acknowledgement")
        assert life.stop() == 0

        module.coils[0] = 1  # whatever it woke up with
        life = start(config)
        wait(lambda: not sounds(), what="kept silent after a restart")
        wait(lambda: read_back(tmp_path)[-1] == 0.0, what="and read back")
        assert life.stop() == 0
    assert {0.0, 1.0} <= set(read_back(tmp_path))
    assert notices(tmp_path)[-1] == "silence"
    assert "sound" in notices(tmp_path)


def read_back(folder: Path) -> list[float]:
    """Return what the output said, by polls and after each setting: stored like any other reading."""
    with Reader(folder / "station.db") as reader:
        told = reader.readings(reader.points()["hall-do.do1"])
        return [float(value) for value in told.value[told.quality == GOOD]]


def notices(folder: Path) -> list[str]:
    with Reader(folder / "station.db") as reader:
        return [entry.body.reason.value for entry in reader.notifications() if entry.body.channel == "siren"]
