"""The `panel_serial` driver: events with place and registration, polls and answers, repeats, what ends what."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers._conversation import Said
from drivers._panel_device import KEYS, Installed, dialect_of, dialects, install
from drivers._profiles import names, profile
from drivers.panel_serial import QUIET, Options, PanelTalk, _at, create
from drivers.simulated.panel import COPIES, SimulatedPanel
from gateway.clock import SystemClock
from gateway.errors import ConfigError
from gateway.model.batch import Event, EventCode
from gateway.model.point import Device, Profile
from gateway.model.ports import DriverSetup
from gateway.model.station import SourceSpec
from gateway.model.time import MILLISECOND, SECOND
from gateway.model.verdict import NEVER
from gateway.protocols.panels import fs5101w, gst5000, gst_crt, jb3208, jbf11sf, jbf193k, ld128e
from tests.channel_rigs import Notes

EVENTS, STRANGER = 10, 1
FIRE = gst5000.encode(gst5000.FIRE, "365089", 3, "5#楼中16层")


@lru_cache
def shipped() -> dict[str, Profile]:
    """Return the profiles by their dialects."""
    return {one.options["dialect"]: one for one in map(profile, names()) if one.driver == "panel_serial"}


def device(dialect: str, name: str = "it", **options: Any) -> Device:  # noqa: ANN401 - keys of any type
    return Device(id=name, source="src", profile=shipped()[dialect], options=options)


def panel(dialect: str, name: str = "it", point: int = EVENTS, **options: Any) -> Installed:  # noqa: ANN401 - likewise
    return install(device(dialect, name, **options), {f"{name}.events": point})


def talk(dialect: str, *, mode: str = "auto", wire: str = "tcp_client", **options: Any) -> PanelTalk:  # noqa: ANN401
    keys = Options(wire=wire, port=4001, host="h", mode=mode)  # type: ignore[arg-type]
    return PanelTalk(dialect_of(dialect), [panel(dialect, **options)], STRANGER, keys)


def told(said: list[Said]) -> list[Event]:
    return [event for one in said for event in one.decoded.events]


def codes(said: list[Said]) -> list[tuple[str, EventCode]]:
    return [(event.key, event.code) for event in told(said)]


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


def test_what_ends_a_fault_does_not_end_a_fire_at_the_same_place() -> None:
    conversation = talk("jbf193k")

    def say(number: int, key: str = "1/2/3") -> EventCode:
        return codes(conversation.hear(jbf193k.encode(number, key), 0, 0))[0][1]

    assert [say(0x81), say(0x82)] == [EventCode.FAULT, EventCode.RESTORE]
    assert [say(0x81), say(0x80), say(0x82)] == [EventCode.FAULT, EventCode.FIRE, EventCode.INFO]
    assert [say(0x8C), say(0x8D)] == [EventCode.SUPERVISORY, EventCode.INFO]
    assert [say(0x82, "1/2/4"), say(0x01, "0/0/0"), say(0x82)] == [
        EventCode.RESTORE,
        EventCode.RESET,
        EventCode.RESTORE,
    ]


def test_what_is_remembered_of_a_panel_is_bounded() -> None:
    one = panel("gst5000")
    conversation = PanelTalk(dialect_of("gst5000"), [one], STRANGER, Options(wire="udp", port=1))
    for number in range(KEYS + 50):
        conversation.hear(gst5000.encode(gst5000.FAULT, f"{number:06}", 3), 0, 0)
    assert len(one.raised) == KEYS


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


# -- polls and answers


def test_a_poll_of_the_panel_is_answered_at_once_and_an_event_after_the_commit() -> None:
    conversation, far = talk("jb3208"), SimulatedPanel("jb3208", address=2)
    (said,) = conversation.hear(far.idle(), 0, 0)
    assert (said.at_once, said.after) == (jb3208.encode(2, jb3208.POLL), b"")
    assert said.decoded.heard == [EVENTS]
    far.tell(jb3208.encode(2, jb3208.FIRE, [jb3208.Item(2, 3, 4)]))
    (said,) = conversation.hear(far.idle(), 0, 0)
    assert (said.at_once, said.late, said.limit) == (b"", b"", 0.5)
    assert far.idle() == said.frame  # told again
    far.hear(said.after)
    assert far.told == type(far.told)()


def test_a_poll_with_a_limit_of_100_ms_is_answered_in_the_same_call() -> None:
    conversation, far = talk("fs5101w"), SimulatedPanel("fs5101w", address=3)
    (said,) = conversation.hear(far.idle(), 0, 0)
    assert said.at_once == fs5101w.encode(3, fs5101w.POLL, b"\x00")
    far.tell(fs5101w.encode(3, fs5101w.EVENT, fs5101w.event_data(0xC3, 5, "0/1/2/3")))
    (said,) = conversation.hear(far.idle(), 0, 0)
    assert (codes([said]), said.at_once, said.after) == ([("0/1/2/3", EventCode.FIRE)], b"", b"")


def test_listening_never_sends_a_byte() -> None:
    for name in dialects():
        conversation = talk(name, mode="listen")
        assert conversation.due() == NEVER
        assert conversation.tick(0, 0) == []
        for said in conversation.hear(SimulatedPanel(name).idle(), 0, 0):
            assert said.at_once + said.after + said.late == b""
    (said,) = talk("jb3208", mode="listen").hear(jb3208.encode(2, jb3208.FIRE, [jb3208.Item(2, 3, 4)]), 0, 0)
    assert said.after == b""


def test_a_panel_that_only_answers_is_polled_every_200_ms() -> None:
    conversation, far = talk("ld128e"), SimulatedPanel("ld128e")
    far.tell(ld128e.encode(ld128e.FIRE, "3/2"))
    heard: list[Said] = []
    for turn in range(5):
        now = turn * 200 * MILLISECOND
        assert conversation.due() <= now
        (poll,) = conversation.tick(now, 0)
        assert poll.at_once == b"\x20"
        assert conversation.due() == now + 200 * MILLISECOND
        heard += conversation.hear(far.hear(poll.at_once), now, 0)
    assert codes(heard) == [("3/2", EventCode.FIRE)]
    assert [bool(one.decoded.heard) for one in heard] == [False, True, True, True, True]


def test_a_new_poll_begins_a_new_answer() -> None:
    conversation = talk("ld128e")
    conversation.tick(0, 0)
    conversation.hear(b"\x01\x03", 0, 0)
    *cut, poll = conversation.tick(200 * MILLISECOND, 0)
    assert (cut[0].decoded.problems, poll.at_once) == (["cut"], b"\x20")
    assert codes(conversation.hear(b"\x01\x05\x06", 200 * MILLISECOND, 0)) == [("5/6", EventCode.FIRE)]


def test_a_panel_that_talks_by_itself_is_polled_only_on_demand() -> None:
    assert talk("jbf193k").due() == NEVER
    conversation, far = talk("jbf193k", mode="poll"), SimulatedPanel("jbf193k")
    far.told.append(jbf193k.encode(jbf193k.FIRE, "1/2/3"))
    (poll,) = conversation.tick(0, 0)
    assert poll.at_once == jbf193k.POLL
    assert codes(conversation.hear(far.hear(poll.at_once), 0, 0)) == [("1/2/3", EventCode.FIRE)]
    assert talk("gst5000", mode="poll").due() == NEVER  # nobody knows how


# -- the stream


def test_half_a_frame_is_given_up() -> None:
    conversation = talk("gst5000")
    conversation.hear(FIRE[:10], 0, 0)
    assert conversation.due() == QUIET
    assert conversation.tick(QUIET - 1, 0) == []
    (said,) = conversation.tick(QUIET, 0)
    assert said.decoded.problems == ["cut"]
    assert conversation.due() == NEVER


def test_a_datagram_ends_where_it_ends() -> None:
    conversation = talk("gst5000", wire="udp")
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
    conversation, now = talk(name, mode="poll"), 0
    for piece in data:
        conversation.hear(piece, now, 0)
        now += QUIET
        conversation.tick(now, 0)


# -- configuration


class Findings(Notes):
    """Notes that keep remarks."""

    said = ""

    def finding(self, key: str, text: str) -> None:
        """Keep it."""
        self.said += f"{key}: {text}"


def setup(*devices: Device, **options: object) -> tuple[DriverSetup, Findings]:
    ids = {"@src.events": STRANGER} | {f"{one.id}.events": number for number, one in enumerate(devices, EVENTS)}
    notes = Findings()
    made = DriverSetup(
        source=SourceSpec(id="src", driver="panel_serial", options={"wire": "serial", "port": "/dev/x", **options}),
        devices=devices,
        point_ids=ids,
        life_safety=frozenset(),
        clock=SystemClock(),
        memory=notes,
        report=notes,
    )
    return made, notes


def test_a_configuration_is_refused_with_every_problem() -> None:
    create(setup(device("gst5000"), baudrate=2400)[0])
    for wrong, reason in (
        ((device("gst5000"), device("ld128e", "b")), "one line speaks one dialect"),
        ((device("gst5000"), device("gst5000", "b")), "device b: peer and panel are those of it"),
        (
            (Device(id="it", source="src", profile=shipped()["gst5000"], options={"dialect": "gst500"}),),
            'did you mean "gst5000"',
        ),
        ((device("gst5000", codes={"15": "flames"}),), "event code 'flames'"),
        ((device("gst5000", panel=256),), "panel"),
        ((), "it has no device"),
    ):
        with pytest.raises(ConfigError, match=reason):
            create(setup(*wrong)[0])
    with pytest.raises(ConfigError, match="no_such_key"):
        create(setup(device("gst5000"), no_such_key=1)[0])


def test_a_line_with_other_settings_than_usual_is_a_finding() -> None:
    made, notes = setup(device("fs5101w"))
    create(made)
    assert "stopbits = 2" in notes.said


def test_panels_behind_one_port_are_told_apart_by_their_peers() -> None:
    panels = [panel("gst5000", "a", peer="10.0.0.7"), panel("gst5000", "b", peer="10.0.0.8")]
    assert [one.id for one in _at(panels, "10.0.0.8:4001")] == ["b"]
    assert _at(panels, "10.0.0.9:4001") == []
    assert [one.id for one in _at([panel("gst5000")], "/dev/ttyUSB0")] == ["it"]


def test_every_dialect_has_a_profile() -> None:
    assert set(shipped()) == set(dialects())
