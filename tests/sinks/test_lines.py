"""The layout of the line protocol, which dashboards rely on: golden lines, escaping, and a real InfluxDB."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.alarm import AlarmState
from gateway.model.portion import Note
from gateway.model.quality import Doubt, Level, quality
from gateway.sinks._lines import STATES, SUPPRESSIONS, Lines, escaped, quoted, tagged
from tests import real_tsdb
from tests.sinks.portions import POINTS, WALL, event, facts, move, portion

CASES = json.loads((Path(__file__).parents[1] / "cases" / "sinks" / "lines.json").read_text(encoding="utf-8"))
TEXTS = st.text(max_size=30)


def lines(*rows: tuple[int, int, float, int], notes: tuple[Note, ...] = (), station: str = "jc-07") -> list[str]:
    return Lines(station, POINTS, facts).of(portion(*rows, notes=notes))


@pytest.mark.parametrize("case", CASES["readings"], ids=lambda case: case["name"])
def test_readings(case: dict[str, Any]) -> None:
    assert lines((case["point"], case["time"], float(case["value"]), case["quality"])) == [case["line"]]


@pytest.mark.parametrize("case", CASES["notes"], ids=lambda case: case["name"])
def test_notes(case: dict[str, Any]) -> None:
    given_: dict[str, Any] = dict(case["given"])
    if "after" in given_:
        given_["after"] = AlarmState(given_["after"])
    note = event(case["n"], **given_) if case["kind"] == "event" else move(case["n"], **given_)
    assert lines(notes=(note,)) == case["lines"]


def test_the_numbers_of_states_are_those_that_are_documented() -> None:
    assert {state.value: number for state, number in STATES.items()} == CASES["states"]
    assert {one.value: number for one, number in SUPPRESSIONS.items()} == CASES["suppressions"]


def test_notes_of_one_time_never_share_a_place_and_the_same_note_always_has_its_own() -> None:
    first, second = lines(notes=(event(41),)), lines(notes=(event(42),))
    assert first[0].rpartition(" ")[2] != second[0].rpartition(" ")[2]
    assert lines(notes=(event(42), event(41))) == second + first
    assert int(first[0].rpartition(" ")[2]) // 1000 == WALL // 1000


def unescaped(tag: str) -> str:
    """Read a tag value as the protocol says: a backslash before a separator is taken away."""
    told, place = "", 0
    while place < len(tag):
        assert tag[place] not in ",= ", "a bare separator"
        if tag[place] == "\\" and place + 1 < len(tag) and tag[place + 1] in ",= ":
            place += 1
        told += tag[place]
        place += 1
    return told


@given(TEXTS)
def test_a_tag_reads_back_but_for_line_breaks_and_backslashes_that_would_escape(text: str) -> None:
    tag = escaped(text)
    assert "\n" not in tag
    plain = text.isprintable() and "\\" not in text
    assert not plain or unescaped(tag) == text
    assert not tag.endswith("\\")


@given(TEXTS)
def test_a_field_is_one_string_on_one_line(text: str) -> None:
    field = quoted(text)
    inner = field[1:-1]
    assert field[0] == field[-1] == '"'
    assert "\n" not in field
    assert '"' not in inner.replace("\\\\", "").replace('\\"', "")
    if text.isprintable():
        assert inner.replace('\\"', '"').replace("\\\\", "\\") == text


def test_an_empty_tag_is_left_out() -> None:
    assert tagged({"a": "", "b": "x"}) == ",b=x"


def test_names_of_every_kind_read_back_from_a_real_influxdb(tmp_path: Path) -> None:
    names = ['<b>"&', "a,b=c d", "江城 一号楼", "back\\slash", "é\u200b", "#1", "tab\there", "\\end\\", "10%[LEL]"]
    texts = ['say "hi"', "C:\\x\\", "第一行\n第二行", "<script>alert(1)</script>", "ends with \\"]
    with real_tsdb.influx(tmp_path) as server:
        body = [f"m{tagged({'name': name, 'n': str(n)})} v={n}i {WALL + n}" for n, name in enumerate(names)]
        body += [f"t,n={n} text={quoted(text)} {WALL + n}" for n, text in enumerate(texts)]
        server.post("/write", "\n".join(body).encode(), db="firegrid", precision="ns")
        got = {int(tags["n"]): tags["name"] for tags, _, _ in server.rows("m")}
        told = {int(tags["n"]): fields["text"] for tags, _, fields in server.rows("t")}
    assert got == {
        n: name.replace("tab\there", "tab here").replace("\\end\\", "\\end/") for n, name in enumerate(names)
    }
    assert told == {n: text.replace("\n", " ") for n, text in enumerate(texts)}


def test_what_is_bad_has_no_value() -> None:
    silent, broken = quality(Level.BAD, Doubt.NO_COMMS), quality(Level.BAD, Doubt.FAULT_VALUE)
    found = lines((1, WALL, 0.0, silent), (1, WALL, -9999.0, broken), (1, WALL, float("nan"), broken))
    fields = [line.split(" ")[1] for line in found]
    assert fields == [f"quality={silent}i", f"raw=-9999.0,quality={broken}i", f"quality={broken}i"]
