"""A station's TOML for tests and benches with real processes: one building, one squad leader, one modem, one policy.

`station` is the part that every test needs; devices, rules and what differs are added as tables.
"""

from __future__ import annotations

from pathlib import Path

from tests.toml_writer import inline

LI = "13800138000"
# Of a disk that is well: a test that is not about a slow one must not find a busy machine to be one.
WELL: dict[str, object] = {"commit_deadline": "60s", "open_deadline": "60s"}
TELL_SQUAD = [{"after": "0s", "notify": ["role:squad@cell"], "by": ["sms"]}]


def table(name: str, /, **keys: object) -> str:
    """Write one table: `[name]` for the sections that stand once, `[[name]]` for all others; `class_` is `class`."""
    head = f"[{name}]" if name in ("station", "store", "limits", "page") else f"[[{name}]]"
    lines = [f"{key.removesuffix('_')} = {inline(value)}" for key, value in keys.items()]
    return "\n".join(["", head, *lines, ""])


def station(
    folder: Path,
    *,
    station_id: str = "test",
    store: Path | None = None,
    interval: str = "500ms",
    limits: dict[str, object] | None = None,
    repeat: str = "600s",
    modem: str | None = "modem",
    **keys: object,
) -> str:
    """Write station, store, limits, people, modem and policy `p`; `keys` go into `[station]`.

    `modem`: its port, from `folder`; with None channel `sms` writes to the console.
    """
    way = {"kind": "console"} if modem is None else {"kind": "sms_modem", "port": str(folder / modem)}
    return "".join(
        [
            table("station", id=station_id, name="测试站", clock="trusted", **keys),
            table("store", path=str(store or folder / "station.db"), commit_interval=interval),
            table("limits", **{"settle": "1s", **(limits or {})}),
            table("cell", id="a", name="一号楼"),
            table("contact", id="li", name="李伟", phone=LI, cell="a", role="squad"),
            table("channel", id="sms", **way),
            table("policy", id="p", repeat=repeat, steps=TELL_SQUAD),
        ]
    )


def broker(port: int, **keys: object) -> str:
    """Write the source `broker` on a loopback port."""
    return table("source", id="broker", driver="mqtt", host="127.0.0.1", port=port, **keys)


def bus(folder: Path, **keys: object) -> str:
    """Write the source `bus` on the field's pseudo-terminal."""
    return table("source", id="bus", driver="modbus_rtu", port=str(folder / "bus"), **keys)


def sensor(name: str, *, topic: str = "", point: str = "v", unit: str = "1", **keys: object) -> str:
    """Write a device behind the broker: its `point` is the member of the same name of a JSON object at `t/<name>`."""
    points = {point: {"unit": unit, "decode": {"path": f"$.{point}"}}}
    keys = {"topic": topic or f"t/{name}", "cell": "a", "silence": "1d", "points": points, **keys}
    return table("device", id=name, source="broker", profile="json-generic", **keys)


def slave(name: str, address: int, *, profile: str = "xy-md02", poll: str = "1s") -> str:
    """Write a device on the bus."""
    return table("device", id=name, source="bus", profile=profile, address=address, cell="a", poll=poll, silence="1d")


def rule(name: str, points: str, when: str, *, class_: str = "gas", **keys: object) -> str:
    """Write a rule of policy `p`."""
    return table("rule", id=name, points=points, when=when, class_=class_, policy="p", **keys)
