"""Golden cases of the MQTT dialects, one walking test over `tests/cases/<dialect>/*.toml`.

A file has devices (profile, options, tailored points) and cases: topic and payload → rows, events, sign of life,
problems, replies. Point ids are given in the order of devices and points, from 10 on; 1 stands for unknown devices.
"""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Any

import pytest

from drivers._profiles import profile, tailor
from gateway import registry
from gateway.model.point import Device
from gateway.model.ports import Decoded, Dialect, DialectSetup
from gateway.model.quality import describe

CASES = Path(__file__).parents[1] / "cases"
DIALECTS = tuple(name for name in registry.names(registry.Group.DIALECT) if (CASES / name).is_dir())
STRANGERS = 1


def load(path: Path) -> tuple[Dialect, dict[int, str], list[dict[str, Any]]]:
    """Return the dialect with the file's devices, names of point ids, and the cases."""
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    devices = [
        Device(
            id=entry["id"],
            source="broker",
            profile=tailor(profile(entry["profile"]), entry.get("points", {})),
            options=entry.get("options", {}),
        )
        for entry in document["device"]
    ]
    names = [f"{device.id}.{spec.name}" for device in devices for spec in device.profile.points]
    ids = {name: number for number, name in enumerate(names, 10)}
    setup = DialectSetup(devices=devices, point_ids=ids, source_events=STRANGERS)
    dialect: Dialect = registry.dialect(path.parent.name).create(setup)
    return dialect, {number: name for name, number in ids.items()} | {STRANGERS: "strangers"}, document["case"]


def told(decoded: Decoded, names: dict[int, str]) -> dict[str, object]:
    """Return what a message said in the words of the case files, what is empty left out."""
    said: dict[str, object] = {
        "rows": [
            [names[point], "nan" if math.isnan(value) else value, describe(quality)] + ([time] if time else [])
            for point, time, value, quality in decoded.rows
        ],
        "events": [
            {"point": names[event.point], "key": event.key, "code": event.code.name.lower(), "text": event.text}
            | ({"time": event.time} if event.time else {})
            | ({} if event.registered else {"registered": False})
            for event in decoded.events
        ],
        "heard": [names[point] for point in decoded.heard],
        "problems": decoded.problems,
        "replies": [[topic, payload.decode()] for topic, payload, *_ in decoded.replies],
    }
    return {key: value for key, value in said.items() if value}


def walk() -> list[Any]:
    """Return every case as (file, number, case); sessions (sparkplug) have a test of their own."""
    found = []
    for path in [path for name in DIALECTS for path in sorted(CASES.glob(f"{name}/*.toml"))]:
        cases = tomllib.loads(path.read_text(encoding="utf-8"))["case"]
        found += [
            pytest.param(path, number, id=f"{path.stem}: {case['name']}")
            for number, case in enumerate(cases)
            if "topic" in case
        ]
    return found


@pytest.mark.golden
@pytest.mark.parametrize(("path", "number"), walk())
def test_a_message_says_what_the_case_says(path: Path, number: int) -> None:
    dialect, names, cases = load(path)
    for case in cases[number].get("before", []):
        dialect.decode(case["topic"], case["payload"].encode(), retained=False, into=Decoded())
    case = cases[number]
    payload = bytes.fromhex(case["hex"]) if "hex" in case else case["payload"].encode()
    decoded = Decoded()
    ours = dialect.decode(case["topic"], payload, retained=case.get("retained", False), into=decoded)
    expected = {key: case[key] for key in ("rows", "events", "heard", "problems", "replies") if key in case}
    assert ours is case.get("ours", True)
    assert told(decoded, names) == expected
    assert all(event.raw for event in decoded.events)
