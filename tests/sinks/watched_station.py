"""A station on the wall with sinks: written as TOML, run as its own process, fed over a real broker."""

from __future__ import annotations

import json
from pathlib import Path

from tests import station_toml as toml

DEVICES = ("g0", "g1", "厨房", "t0")


def write(folder: Path, port: int, sinks: str) -> Path:
    """Write station.toml with these `[[sink]]` tables."""
    parts = [
        toml.table("station", id="jc-07", name="测试站", clock="trusted"),
        toml.table("store", path=str(folder / "station.db"), commit_interval="100ms"),
        toml.table("limits", settle="1s", link_fault="2s", **toml.WELL),
        toml.broker(port),
        toml.table("cell", id="jc/3", name="一号楼"),
        toml.table("contact", id="li", name="李伟", phone=toml.LI, cell="jc/3", role="squad"),
        toml.table("channel", id="console", kind="console"),
        toml.table("policy", id="p", steps=[{"after": "0s", "notify": ["role:squad@cell"], "by": ["console"]}]),
        toml.rule("gas", "g*.v", "value > 10", clear="value < 5", title='Gasleck "Küche", 燃气'),
        *(toml.sensor(name, topic=f"station/{name}", cell="jc/3") for name in DEVICES),
    ]
    config = folder / "station.toml"
    config.write_text("".join(parts) + sinks, encoding="utf-8")
    return config


def sink(name: str, kind: str, **options: str | bool) -> str:
    """Return one `[[sink]]` table."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in options.items()]
    return "\n".join(["", "[[sink]]", f'id = "{name}"', f'kind = "{kind}"', *lines, ""])
