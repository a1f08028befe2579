"""The station that is killed: a fire panel, loaded devices, alarms of every state, timers, a modem, a bus.

The fires of a run are addresses of one panel, so that a life costs the same however many there are.

Its receive window holds more than any of its lives hears: one that is without its disk then never has to acknowledge
what it could not record (house section 7, never deaf), and ledger A holds whenever it is killed.
"""

from __future__ import annotations

from pathlib import Path

from tests.faults.load import LOAD_DEVICES
from tests.real_mosquitto import PASSWORD, USER

TIMER_DEVICES = 26
ON_DELAY = 2.0  # s
STATES = ("s0", "s1", "s2", "s3", "s4", "u0")  # devices whose alarms are brought into every state and left there

_HEAD = """
[station]
id = "kill"
name = "测试站"
clock = "trusted"

[store]
path = "{folder}/station.db"
commit_interval = "100ms"

[limits]
settle = "1s"
link_fault = "5s"
reopen = "1s"
receive_maximum = 65535

[[source]]
id = "broker"
driver = "mqtt"
host = "127.0.0.1"
port = {port}
username = "{user}"
password_file = "{folder}/password"

[[source]]
id = "bus"
driver = "modbus_rtu"
port = "{folder}/bus"

[[cell]]
id = "a"
name = "一号楼"

[[contact]]
id = "li"
name = "李伟"
phone = "13800138000"
cell = "a"
role = "squad"

[[channel]]
id = "sms"
kind = "sms_modem"
port = "{folder}/modem"

[[policy]]
id = "p"
repeat = "600s"
steps = [{{ after = "0s", notify = ["role:squad@cell"], by = ["sms"] }}]

[[default_policy]]
class = "fire"
policy = "p"

[[rule]]
id = "load"
points = "l*.v"
when = "value < 0"
on_delay = "1s"
class = "supervisory"
policy = "p"

[[rule]]
id = "fire"
points = "[as]*.v"
when = "value > 10"
clear = "value < 5"
class = "fire"
policy = "p"

[[rule]]
id = "loose"
points = "u*.v"
when = "value > 10"
clear = "value < 5"
class = "fire"
latch = false
policy = "p"

[[rule]]
id = "slow"
points = "t*.v"
when = "value > 10"
clear = "value < 5"
on_delay = "{on_delay}s"
class = "fire"
policy = "p"
"""

_MQTT = """
[[device]]
id = "{id}"
source = "broker"
profile = "json-generic"
topic = "{topic}"
cell = "a"
silence = "1d"
points = {{ v = {{ unit = "1", decode = {{ path = "$.v" }} }} }}
"""

_PANEL = """
[[device]]
id = "panel"
source = "broker"
profile = "json-panel"
topic = "station/panel"
cell = "a"
silence = "1d"
"""

_BUS = """
[[device]]
id = "b{n}"
source = "bus"
profile = "xy-md02"
address = {n}
cell = "a"
poll = "1s"
silence = "1d"
"""


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
    text = _HEAD.format(folder=folder, port=port, user=USER, on_delay=ON_DELAY)
    names = [f"l{n}" for n in range(LOAD_DEVICES)] + [f"a{n}" for n in range(alarms)]
    names += [f"t{n}" for n in range(TIMER_DEVICES)] + list(STATES)
    text += "".join(_MQTT.format(id=name, topic=topic_of(name)) for name in names)
    text += _PANEL + "".join(_BUS.format(n=n) for n in range(1, slaves + 1))
    if edited:
        text = text.replace('when = "value < 0"', 'when = "value < -1"')
    config = folder / "station.toml"
    config.write_text(text, encoding="utf-8")
    return config
