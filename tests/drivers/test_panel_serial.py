"""The `panel_serial` driver: events with place and registration, repeats, what ends what, streams that are cut."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers._event_codes import meaning_of
from drivers._panel_device import dialect_of, dialects
from drivers.panel_serial import LONG, Options, PanelTalk
from drivers.simulated.panel import COPIES, SimulatedPanel
from gateway.model.batch import Event, EventCode
from gateway.model.time import MILLISECOND, SECOND
from gateway.model.verdict import NEVER
from gateway.protocols.panels import gst5000, gst_crt, jb3208, jbf11sf, jbf193k
from tests.drivers.panel_bench import EVENTS, STRANGER, codes, panel, talk, told

FIRE = gst5000.encode(gst5000.FIRE, "365089", 3, "5#楼中16层")


# -- events


def test_a_frame_is_an_event_with_place_text_and_evidence() -> None:
    (said,) = talk("gst5000").hear(FIRE, 5, 0)
    (event,) = said.decoded.events
    assert event == Event(EVENTS, "365089", EventCode.FIRE, "火警 5#楼中16层", 0, FIRE)
    assert (said.device, said.frame, said.after, said.at_once) == ("it", FIRE, b"", b"")
    assert said.within <= 60


def test_the_clock_of_the_panel_is_the_time_of_the_event() -> None:
    (event,) = told(talk("jbf11sf").hear(jbf11sf.encode(jbf11sf.FIRE, "1/2/3", 0, (24, 1, 23, 10, 15, 1)), 0, 0))
    assert event.time == 1_705_976_101 * SECOND
    (said,) = talk("jbf11sf").hear(jbf11sf.encode(jbf11sf.FIRE, "1/2/3", 0, (24, 2, 30, 10, 15, 1)), 0, 0)
    assert (said.decoded.events[0].time, said.decoded.problems) == (0, ["bad_time"])


def test_an_address_that_is_not_installed_is_not_registered() -> None:
    conversation = talk("gst5000", addresses=["365089"])
    other = gst5000.encode(gst5000.FIRE, "365090", 3)
    reset = gst5000.encode(gst5000.RESET)
    assert [event.registered for event in told(conversation.hear(FIRE + other + reset, 0, 0))] == [True, False, True]
    mains = jbf193k.encode(jbf193k.MAINS, f"1/{0x80}/0")
    (fault,) = told(talk("jbf193k", addresses=["1/2/3"]).hear(mains, 0, 0))
    assert (fault.key, fault.registered) == ("1/mains", True)


def test_a_panel_that_is_not_configured_is_not_registered_at_the_source() -> None:
    conversation = talk("jbf193k", panel=1)
    (said,) = conversation.hear(jbf193k.encode(jbf193k.FIRE, "2/3/4"), 0, 0)
    (event,) = said.decoded.events
    assert (event.point, event.key, event.code, event.registered) == (STRANGER, "2#2/3/4", EventCode.FIRE, False)
    assert (said.device, said.decoded.problems) == ("", ["unknown_device"])
    assert told(conversation.hear(jbf193k.encode(jbf193k.FIRE, "1/3/4"), 0, 0))[0].point == EVENTS


def test_panels_on_one_line_are_told_apart_by_their_number() -> None:
    panels = [panel("jbf193k", "a", 10, panel=1), panel("jbf193k", "b", 11)]
    conversation = PanelTalk(dialect_of("jbf193k"), panels, STRANGER, Options(wire="udp", port=1))
    said = conversation.hear(jbf193k.encode(jbf193k.FIRE, "1/3/4") + jbf193k.encode(jbf193k.FIRE, "7/3/4"), 0, 0)
    assert [(one.device, one.decoded.events[0].point) for one in said] == [("a", 10), ("b", 11)]


def test_an_event_that_nobody_explains_is_kept_raw() -> None:
    frame = gst5000.encode(0x99, "123456", 3, "二层")
    (said,) = talk("gst5000").hear(frame, 0, 0)
    (event,) = said.decoded.events
    assert (event.code, event.key, event.text, event.raw) == (EventCode.INFO, "123456", "事件99 二层", frame)
    assert said.decoded.problems == ["unknown_event"]


def test_the_installation_knows_better() -> None:
    isolated, released = (jbf193k.encode(number, "1/2/3") for number in (0x98, 0x97))
    assert codes(talk("jbf193k").hear(isolated + released, 0, 0)) == [("1/2/3", EventCode.DISABLED)] * 2
    known = talk("jbf193k", codes={"97": "enabled"})
    assert [code for _, code in codes(known.hear(isolated + released, 0, 0))] == [EventCode.DISABLED, EventCode.ENABLED]
    flow = gst5000.encode(gst5000.FIRE, "000030", 30)
    assert codes(talk("gst5000").hear(flow, 0, 0)) == [("000030", EventCode.FIRE)]
    assert codes(talk("gst5000", types={"30": "supervisory"}).hear(flow, 0, 0)) == [("000030", EventCode.SUPERVISORY)]
    types = {"69": "supervisory", "15": "fire"}
    gas = gst5000.encode(gst5000.FIRE, "000069", 69)
    assert codes(talk("gst5000", types=types).hear(gas, 0, 0)) == [("000069", EventCode.SUPERVISORY)]
    button, pump = (gst_crt.encode(gst_crt.ACTION, "000001", kind) for kind in (15, 16))
    said = [code for _, code in codes(talk("gst_crt", types=types).hear(button + pump, 0, 0))]
    assert said == [EventCode.FIRE, EventCode.FEEDBACK]
    started = gst_crt.encode(gst_crt.START, "000001", 15)
    assert codes(talk("gst_crt", types=types).hear(started, 0, 0)) == [("000001", EventCode.FEEDBACK)]


def test_what_ends_a_fault_says_so_and_ends_nothing_else_at_the_same_place() -> None:
    conversation = talk("jbf193k", codes={"8D": "restore", "86": "restore fault"})

    def say(number: int) -> tuple[EventCode, EventCode | None]:
        (event,) = told(conversation.hear(jbf193k.encode(number, "1/2/3"), 0, 0))
        return event.code, event.ends

    assert say(0x82) == (EventCode.RESTORE, EventCode.FAULT)  # the first thing that is heard after a restart
    assert [say(0x80), say(0x81), say(0x01)] == [
        (code, None) for code in (EventCode.FIRE, EventCode.FAULT, EventCode.RESET)
    ]
    assert [say(0x82), say(0x88)] == [(EventCode.RESTORE, EventCode.FAULT)] * 2
    assert [say(0x8D), say(0x86)] == [(EventCode.RESTORE, None), (EventCode.RESTORE, EventCode.FAULT)]


def test_only_a_restore_says_what_it_ends() -> None:
    for words in ("fire fault", "restore nothing", "restores"):
        with pytest.raises(ValueError, match="event code"):
            meaning_of(words)


# -- repeats


def digests(conversation: PanelTalk, *frames: bytes) -> list[bytes]:
    return [said.digest for frame in frames for said in conversation.hear(frame, 7, 0)]


def test_a_frame_that_is_sent_three_times_is_one_event() -> None:
    wire = SimulatedPanel("gst5000").tell(FIRE)
    assert len(wire) == COPIES * len(FIRE)
    assert len(set(digests(talk("gst5000"), wire))) == 1
    first, again = gst_crt.encode(gst_crt.FIRE, "001004", 3), gst_crt.encode(gst_crt.FIRE, "001004", 3, again=True)
    assert len(set(digests(talk("gst_crt"), first, again))) == 1
    wire = SimulatedPanel("gst5000").tell(gst5000.encode(gst5000.RESET))
    assert len(set(digests(talk("gst5000"), wire))) == 1


def test_a_fire_after_a_reset_is_no_repeat_nor_is_one_after_a_restart() -> None:
    conversation = talk("gst5000")
    reset = gst5000.encode(gst5000.RESET)
    before, ended, after, again = digests(conversation, FIRE, reset, FIRE, reset)
    assert before != after
    assert ended != again
    (other,) = [said.digest for said in talk("gst5000").hear(FIRE, 8, 0)]
    assert other != before


# -- the stream


def test_half_a_frame_is_given_up() -> None:
    conversation = talk("gst5000")
    conversation.hear(FIRE[:10], 0, 0)
    assert conversation.due() == SECOND
    assert conversation.tick(SECOND - 1, 0) == []
    (said,) = conversation.tick(SECOND, 0)
    assert said.decoded.problems == ["cut"]
    assert conversation.due() == NEVER


@pytest.mark.parametrize(("period", "within"), [(500 * MILLISECOND, SECOND), (100 * MILLISECOND, LONG + SECOND)])
def test_a_length_that_noise_has_made_does_not_deafen_it(period: int, within: int) -> None:
    conversation, poll = talk("jb3208"), jb3208.encode(1, jb3208.POLL)
    assert conversation.hear(bytes.fromhex("FE 01 6E 02 1F"), 0, 0) == []
    heard = {0}
    for now in range(period, within + period, period):
        conversation.tick(now, 0)
        heard |= {now for said in conversation.hear(poll, now, 0) if said.at_once}
    assert max(heard) > within - SECOND
    fire = jb3208.encode(1, jb3208.FIRE, [jb3208.Item(1, 2, 3)])
    assert conversation.hear(fire[:9], 100 * SECOND, 0) == []
    assert conversation.tick(100 * SECOND + 1, 0) == [], "half a frame waits, however long ago the last one was"
    assert codes(conversation.hear(fire[9:], 100 * SECOND + 2, 0)) == [("1/2/3", EventCode.FIRE)]


def test_a_datagram_ends_where_it_ends() -> None:
    conversation = talk("gst5000", keys={"wire": "udp"})
    assert [one.decoded.problems for one in conversation.hear(FIRE[:10], 0, 0)] == [["cut"]]


def test_a_spoilt_frame_is_counted_and_no_event() -> None:
    far = SimulatedPanel("gst5000")
    far.fault.flip = 100
    said = talk("gst5000").hear(far.tell(FIRE), 0, 0)
    assert told(said) == []
    assert said[0].decoded.problems == ["checksum"]
    far.fault.silent = True
    assert far.tell(FIRE) == b""


@pytest.mark.parametrize("name", dialects())
@given(data=st.lists(st.binary(max_size=50), max_size=4))
@settings(max_examples=15)
def test_foreign_bytes_never_raise(name: str, data: list[bytes]) -> None:
    conversation, now = talk(name, keys={"mode": "poll"}), 0
    for piece in data:
        conversation.hear(piece, now, 0)
        now += SECOND
        conversation.tick(now, 0)
