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
