"""`[[sink]]`: what `check` says of it, and that a bad one costs itself alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app import problems_of, read
from tests.sinks.watched_station import sink, write


@pytest.mark.parametrize(
    ("table", "words", "kept"),
    [
        (sink("far", "inflix", url="http://h"), 'did you mean "influx"', 0),
        (sink("far", "influx"), "url", 0),
        (sink("far", "influx", url="h:8086"), "url", 0),
        (sink("far", "influx", url="http://h", tokenfile="t"), "token_file", 1),
        (sink("far", "influx", url="http://h", token_file="shared"), "chmod 600", 0),  # noqa: S106 - names a file
        (sink("far", "mqtt_uplink", host="h", prefix="a/#"), "prefix", 0),
        (sink("a", "influx", url="http://h") + sink("a", "influx", url="http://h"), "a", 1),
    ],
)
def test_a_bad_sink_is_told_and_costs_itself_alone(tmp_path: Path, table: str, words: str, kept: int) -> None:
    (tmp_path / "shared").write_text("secret", encoding="utf-8")
    (tmp_path / "shared").chmod(0o644)
    loaded = read(write(tmp_path, 1883, table))
    told = [problem.text("en") for problem in problems_of(loaded) if not problem.note]
    assert any(words in text for text in told), told
    assert loaded.station is not None
    assert len(loaded.station.devices) == 4
    assert len(loaded.station.sinks) == kept


def test_good_ones_are_kept_in_order(tmp_path: Path) -> None:
    tables = sink("vm", "influx", url="http://127.0.0.1:8428", timeout="5s") + sink("far", "mqtt_uplink", host="h")
    loaded = read(write(tmp_path, 1883, tables))
    assert loaded.good
    assert loaded.station is not None
    assert [(spec.id, spec.kind) for spec in loaded.station.sinks] == [("vm", "influx"), ("far", "mqtt_uplink")]
    assert loaded.station.sinks[0].options["timeout"] == 5.0


CITY = """
[[sink]]
id = "city"
kind = "gb26875_uplink"
host = "192.0.2.20"
port = 5300
operators = { lii = 3, li = 4 }
analogs = ["g0.v", "g1.vv", "quite-other"]

[sink.components]
"g0.w" = { system = 1, type = 12, address = 65538 }
"g1.v" = { address = 7 }
"t0.v" = { system = 2, address = 7 }
"厨房.v" = { system = 1, address = 7 }
"""


def test_a_name_that_a_sink_tells_and_nothing_has_is_told_at_its_line_with_the_nearest(tmp_path: Path) -> None:
    station = write(tmp_path, 1883, CITY)
    text = station.read_text(encoding="utf-8").splitlines()
    told = [
        (problem.key.partition(".")[2], text[problem.line - 1].split(" ")[0], problem.note, problem.fix())
        for problem in problems_of(read(station))
        if "city" in problem.key
    ]
    assert sorted(told) == [
        ("analogs[1]", "analogs", False, "correct or remove it"),
        ("analogs[2]", "analogs", False, 'did you mean "g1.v"?'),
        ("analogs[3]", "analogs", False, "correct or remove it"),
        ("components.g0.w", '"g0.w"', False, 'did you mean "g0.v"?'),
        ("components.厨房.v.address", '"厨房.v"', False, "correct or remove it"),
        ("operators.lii", "operators", True, 'did you mean "li"?'),
    ], told


def test_what_is_wrong_itself_is_not_told_again_by_the_sink(tmp_path: Path) -> None:
    station = write(tmp_path, 1883, CITY)
    text = station.read_text(encoding="utf-8").replace('id = "g0"', 'id = "g0"\nname = 1')
    station.write_text(text, encoding="utf-8")
    keys = [problem.key for problem in problems_of(read(station)) if not problem.note]
    sink = ["sink[city].analogs[2]", "sink[city].analogs[3]", "sink[city].components.厨房.v.address"]
    assert keys == ["device[g0].name", *sink]
