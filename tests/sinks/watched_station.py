"""A station on the wall with sinks: written as TOML, run as its own process, fed over a real broker."""

from __future__ import annotations

import json
from pathlib import Path

_HEAD = """
[station]
id = "jc-07"
name = "测试站"
clock = "trusted"

[store]
path = "{folder}/station.db"
commit_interval = "100ms"

[limits]
settle = "1s"
link_fault = "2s"

[[source]]
id = "broker"
driver = "mqtt"
host = "127.0.0.1"
port = {port}

[[cell]]
id = "jc/3"
name = "一号楼"

[[contact]]
id = "li"
name = "李伟"
phone = "13800138000"
cell = "jc/3"
role = "squad"

[[channel]]
id = "console"
kind = "console"

[[policy]]
id = "p"
steps = [{{ after = "0s", notify = ["role:squad@cell"], by = ["console"] }}]

[[rule]]
id = "gas"
points = "g*.v"
when = "value > 10"
clear = "value < 5"
class = "gas"
policy = "p"
title = 'Gasleck "Küche", 燃气'
"""

_DEVICE = """
[[device]]
id = "{id}"
source = "broker"
profile = "json-generic"
topic = "station/{id}"
cell = "jc/3"
silence = "1d"
points = {{ v = {{ unit = "1", decode = {{ path = "$.v" }} }} }}
"""

DEVICES = ("g0", "g1", "厨房", "t0")


def write(folder: Path, port: int, sinks: str) -> Path:
    """Write station.toml with these `[[sink]]` tables."""
    station = _HEAD.format(folder=folder, port=port)
    config = folder / "station.toml"
    config.write_text(station + "".join(_DEVICE.format(id=name) for name in DEVICES) + sinks, encoding="utf-8")
    return config


def sink(name: str, kind: str, **options: str | bool) -> str:
    """Return one `[[sink]]` table."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in options.items()]
    return "\n".join(["", "[[sink]]", f'id = "{name}"', f'kind = "{kind}"', *lines, ""])
