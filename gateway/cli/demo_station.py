"""The embedded station of `firegrid demo`: an ordinary `station.toml`, written into a folder of its own.

Five devices on a Modbus bus and a broker, two people, one policy. A file like this is what a first own station starts
from, so it uses nothing that is not in the documentation.
"""

from __future__ import annotations

from pathlib import Path
from string import Template

SQUAD, CAPTAIN = "li", "wang"
PHONES = {SQUAD: "13800138000", CAPTAIN: "13900139000"}
SIREN = "siren-module"
SMOKE, CLIMATE, GAS, TANK = "smoke", "climate", "kitchen-gas", "tank"

_NAMES = {
    "zh": {
        "station": "江城社区微型消防站",
        "community": "江城社区",
        "building": "3号楼",
        "room": "地下配电间",
        "smoke": "感烟探测器",
        "climate": "温湿度",
        "gas": "厨房燃气",
        "tank": "消防水箱",
        "siren": "声光报警器",
        "squad": "李伟",
        "captain": "王芳",
        "heat": "温度过高",
        "smoky": "烟雾报警",
    },
    "en": {
        "station": "Riverside fire station",
        "community": "East",
        "building": "block 3",
        "room": "cellar",
        "smoke": "smoke alarm",
        "climate": "climate",
        "gas": "kitchen gas",
        "tank": "fire tank",
        "siren": "siren",
        "squad": "Li Wei",
        "captain": "Wang Fang",
        "heat": "too hot",
        "smoky": "smoke",
    },
}

_STATION = Template("""
[station]
id = "demo"
name = "$station"
language = "$language"
clock = "trusted"

[store]
path = "$folder/station.db"
commit_interval = "1s"

[limits]
settle = "5s"

[page]
listen = "127.0.0.1:$page"

[[source]]
id = "bus"
driver = "modbus_rtu"
port = "$folder/bus"
baudrate = 9600

[[source]]
id = "broker"
driver = "mqtt"
host = "127.0.0.1"
port = $port

[[cell]]
id = "jc"
name = "$community"

[[cell]]
id = "jc/3"
name = "$building"
parent = "jc"

[[cell]]
id = "jc/3/b1"
name = "$room"
parent = "jc/3"

[[device]]
id = "smoke"
name = "$smoke"
source = "bus"
profile = "renke-smoke"
address = 3
cell = "jc/3/b1"
points = { smoke = { title = "$smoky" } }

[[device]]
id = "climate"
name = "$climate"
source = "bus"
profile = "xy-md02"
address = 5
cell = "jc/3/b1"

[[device]]
id = "siren-module"
name = "$siren"
source = "bus"
profile = "io-waveshare-8ch"
address = 9
cell = "jc/3"

[[device]]
id = "kitchen-gas"
name = "$gas"
source = "broker"
profile = "zigbee2mqtt-gas"
topic = "zigbee2mqtt/kitchen-gas"
silence = "100s"
cell = "jc/3"

[[device]]
id = "tank"
name = "$tank"
source = "broker"
profile = "json-generic"
topic = "station/tank"
cell = "jc"
[device.points.level]
unit = "m"
valid_range = [0, 4]
decode = { path = "$$.level" }
[device.points.temperature]
unit = "Cel"
valid_range = [-40, 80]
decode = { path = "$$.temperature" }

# Smoke needs no rule: the profile's alarm is on by default. This one refines the profile's heat limit.
[[rule]]
id = "heat"
title = "$heat"
points = "climate.temperature"
when = "value > 60"
clear = "value < 50"
on_delay = "2s"
off_delay = "1s"
class = "fire"
severity = "critical"
policy = "turn-out"

[[contact]]
id = "li"
name = "$squad"
phone = "13800138000"
cell = "jc/3"
role = "squad"
language = "$language"

[[contact]]
id = "wang"
name = "$captain"
phone = "13900139000"
cell = "jc"
role = "captain"
language = "$language"

[[channel]]
id = "sms"
kind = "sms_modem"
port = "$folder/modem"

[[channel]]
id = "siren"
kind = "relay"
device = "siren-module"
point = "do1"

[[policy]]
id = "turn-out"
repeat = "120s"
steps = [
  { after = "0s", notify = ["role:squad@cell"], by = ["sms", "siren"] },
  { after = "${escalate}ms", notify = ["role:captain@community"], by = ["sms"] },
]

[[default_policy]]
class = "fire"
policy = "turn-out"

[[default_policy]]
class = "gas"
policy = "turn-out"
""")


def write(folder: Path, *, port: int, page: int, language: str, escalate: float) -> Path:
    """Write `station.toml`; `port` is the broker's, `page` the page's, `escalate` the s before the captain is told."""
    values = {"folder": folder, "port": port, "page": page, "language": language, "escalate": round(escalate * 1000)}
    config = folder / "station.toml"
    config.write_text(_STATION.substitute(values, **_NAMES[language]), encoding="utf-8")
    return config
