"""The station that is killed: a fire panel, loaded devices, alarms of every state, timers, a modem, a bus.

The fires of a run are addresses of one panel, so that a life costs the same however many there are.

Its receive window holds more than any of its lives hears: one that is without its disk then never has to acknowledge
what it could not record (house section 7, never deaf), and ledger A holds whenever it is killed.
"""

from __future__ import annotations

from pathlib import Path

from tests import station_toml as toml
from tests.faults.load import LOAD_DEVICES
from tests.real_mosquitto import PASSWORD, USER

TIMER_DEVICES = 26
ON_DELAY = 2.0  # s
STATES = ("s0", "s1", "s2", "s3", "s4", "u0")  # devices whose alarms are brought into every state and left there


def topic_of(device: str) -> str:
    """Return where a device publishes."""
    return f"station/{device}"


def fire(number: int) -> tuple[str, dict[str, object]]:
    """Return the key of a fire at the panel, and what the panel says of it: always the same words."""
    return f"1/{number}", {"type": "fire", "loop": 1, "address": number}


def write(folder: Path, port: int, *, alarms: int = 0, slaves: int = 8, edited: bool = False) -> Path:
    """Write station.toml with so many devices `a<n>`; `edited` changes a rule that nobody looks at."""
    password = folder / "password"
    password.write_text(PASSWORD, encoding="utf-8")
    password.chmod(0o600)
    limits = {"link_fault": "5s", "reopen": "1s", "receive_maximum": 65535}
    text = toml.station(folder, interval="100ms", limits=limits)
    text += toml.broker(port, username=USER, password_file=str(password)) + toml.bus(folder)
    text += toml.table("default_policy", class_="fire", policy="p")
    text += toml.rule("load", "l*.v", f"value < {-1 if edited else 0}", on_delay="1s", class_="supervisory")
    text += toml.rule("fire", "[as]*.v", "value > 10", clear="value < 5", class_="fire")
    text += toml.rule("loose", "u*.v", "value > 10", clear="value < 5", class_="fire", latch=False)
    text += toml.rule("slow", "t*.v", "value > 10", clear="value < 5", class_="fire", on_delay=f"{ON_DELAY}s")
    names = [f"l{n}" for n in range(LOAD_DEVICES)] + [f"a{n}" for n in range(alarms)]
    names += [f"t{n}" for n in range(TIMER_DEVICES)] + list(STATES)
    text += "".join(toml.sensor(name, topic=topic_of(name)) for name in names)
    panel = {"source": "broker", "profile": "json-panel", "topic": "station/panel", "cell": "a", "silence": "1d"}
    text += toml.table("device", id="panel", **panel)
    text += "".join(toml.slave(f"b{n}", n) for n in range(1, slaves + 1))
    config = folder / "station.toml"
    config.write_text(text, encoding="utf-8")
    return config
