"""Dialects of fire panels: public frames, and frames made by the layouts, say what they are said to carry."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from drivers._panel_device import dialects
from gateway.model.batch import EventCode
from gateway.protocols.panel_words import Heard, PanelEvent
from gateway.protocols.panels import fs5101w, gst9000_printer, gst_crt, jb3208, jbf193k
from tests.drivers.panel_frames import hear


def _cases(name: str) -> list[dict[str, Any]]:
    path = Path(__file__).parents[1] / "cases/panel_serial" / name
    return tomllib.loads(path.read_text(encoding="utf-8"))["case"]  # type: ignore[no-any-return]


PUBLIC, LAYOUT = _cases("sheet.toml"), _cases("layout.toml")


def _said(event: PanelEvent) -> dict[str, Any]:
    said = {"code": event.code.name.lower(), "key": event.key, "text": event.text, "kind": event.kind}
    said |= {"date": list(event.date), "ends": event.ends.name.lower() if event.ends else ""}
    return {key: value for key, value in said.items() if value or key in ("code", "key", "text")}


def _heard(case: dict[str, Any]) -> Heard:
    frame = bytes.fromhex(case["hex"])
    (heard,) = hear(case["dialect"], frame)
    assert isinstance(heard, Heard)
    assert heard.frame == frame
    return heard


@pytest.mark.golden("panel_serial")
@pytest.mark.parametrize("case", PUBLIC, ids=[f"{case['dialect']} {case['hex'][:17]}" for case in PUBLIC])
def test_a_public_frame_says_what_it_is_said_to_carry(case: dict[str, Any]) -> None:
    heard = _heard(case)
    assert not heard.unknown
    assert [_said(event) for event in heard.events] == case["events"]
    if "answer" in case:
        assert heard.answer[:5].hex(" ").upper() == case["answer"][:14]


def test_how_many_public_frames_there_are() -> None:
    print(f"panel serial outputs: {len(PUBLIC)} public frames of {len(dialects())} dialects, all read")  # noqa: T201 - counted
    assert len(PUBLIC) == 12
    assert {case["dialect"] for case in PUBLIC} == {case["dialect"] for case in LAYOUT} == set(dialects())


@pytest.mark.parametrize("dialect", dialects())
def test_a_frame_made_by_the_layout_says_what_it_carries(dialect: str) -> None:
    for case in LAYOUT:
        if case["dialect"] == dialect:
            heard = _heard(case)
            assert [_said(event) for event in heard.events] == case["events"], case
            assert heard.unknown is case.get("unknown", False), case
            assert heard.answer == bytes.fromhex(case.get("answer", "")), case


def test_a_fire_is_one_however_little_is_told_of_its_place() -> None:
    data = fs5101w.event_data(0xC3, 5, "0/1/2/3")
    for size in (3, 12, 18, 25):
        (heard,) = hear("fs5101w", fs5101w.encode(1, fs5101w.EVENT, data.ljust(25, b" ")[:size]))
        assert isinstance(heard, Heard)
        assert [event.code for event in heard.events] == [EventCode.FIRE]
        assert heard.unknown


def test_a_loop_that_breaks_is_told_in_one_frame() -> None:
    points = range(1, jb3208.MOST_POINTS + 1)
    frame = jb3208.encode(1, jb3208.FAULT, [jb3208.Item(1, 2, point, state=8) for point in points])
    assert len(frame) == jb3208.LONGEST
    (heard,) = hear("jb3208", frame)
    assert isinstance(heard, Heard)
    assert [event.key for event in heard.events] == [f"1/2/{point}" for point in points]


def test_what_goes_into_messages_is_printable() -> None:
    (heard,) = hear("gst9000_printer", gst9000_printer.encode("火警\x1b8", "1/2", location="一\x07层　东"))
    assert isinstance(heard, Heard)
    assert heard.events[0].text == "火警8 一层 东"


def test_our_encoders_write_what_others_do() -> None:
    frames = {case["hex"] for case in PUBLIC + LAYOUT}
    item = jb3208.Item(1, 3, 4, date=jb3208.date_of((2024, 2, 29, 13, 14)))
    date = (24, 2, 29, 13, 14, 15)
    place = "地下车库".encode("gb18030")
    fire = fs5101w.event_data(0xC3, 5, "1/2/3/4", date=date, floor=0x72, place=place)
    for frame in (
        jbf193k.encode(jbf193k.FIRE, "1/1/2", 3, (14, 10, 9, 16, 24, 0), short=True),
        jbf193k.encode(jbf193k.FIRE, "2/3/4", 1, date),
        gst_crt.encode(gst_crt.ACTION, "001004", 12),
        gst_crt.encode(gst_crt.FAULT, "001004", 3, again=True),
        jb3208.encode(3, jb3208.POLL, high_first=True),
        fs5101w.encode(3, fs5101w.POLL),
    ):
        assert frame.hex(" ").upper() in frames
    (heard,) = hear("jb3208", jb3208.encode(1, jb3208.FIRE, [item]))
    assert isinstance(heard, Heard)
    assert heard.events[0].date == (2024, 2, 29, 13, 14, 0)
    (heard,) = hear("fs5101w", fs5101w.encode(1, fs5101w.EVENT, fire))
    assert isinstance(heard, Heard)
    assert (heard.events[0].key, heard.events[0].text) == ("1/2/3/4", "火警 地下2层 地下车库")


def test_the_order_of_a_crc_is_that_of_the_wire() -> None:
    assert jb3208.encode(1, jb3208.POLL) == bytes.fromhex("FE 01 64 00 00 40 07 FF")
    assert jb3208.encode(1, jb3208.POLL, high_first=True) == bytes.fromhex("FE 01 64 00 00 07 40 FF")
