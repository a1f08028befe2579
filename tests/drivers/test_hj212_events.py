"""The `hj212` driver: alarm events of the edition of 2005, states that mean alarm, and what no point takes."""

from __future__ import annotations

import pytest

from drivers._hj212_device import install
from drivers._profiles import profile, tailor
from drivers.hj212 import Hj212
from gateway.model.batch import EventCode
from gateway.model.point import Device
from gateway.model.time import SECOND
from tests.drivers.hj212_peer import MN, STRANGER, WALL, device, hear, ids_of, packet, talk


def test_alarm_events_of_2005_never_end_an_alarm_unless_it_is_said_how() -> None:
    begins = packet("AlarmTime=20240123101500;04-Ala=1.1,AlarmType=1", "2072", flag=1)
    ends = packet("AlarmTime=20240123101500;04-Ala=0.1,AlarmType=0", "2072", flag=1)
    (event,) = hear(begins)[0].decoded.events
    assert (event.code, event.key, event.time) == (EventCode.GAS, "04", WALL - SECOND)
    assert event.text == "04 一氧化碳 carbon monoxide 1.1"
    assert hear(ends)[0].decoded.events[0].code is EventCode.GAS
    assert hear(ends, alarm_ends="0")[0].decoded.events[0].code is EventCode.RESTORE
    assert hear(begins, alarm_ends="0", alarm_code="fire")[0].decoded.events[0].code is EventCode.FIRE
    assert hear(packet("AlarmType=1", "2072"))[0].decoded.events[0].code is EventCode.GAS


@pytest.mark.parametrize(
    ("cp", "expected"),
    [
        ("101-Ala=1,AlarmType=0;102-Ala=2,AlarmType=1", {"101": "RESTORE", "102": "GAS"}),
        ("101-Ala=1,AlarmType=1;102-Ala=2,AlarmType=0", {"101": "GAS", "102": "RESTORE"}),
        ("101-Ala=1,AlarmType=0;102-Ala=2", {"101": "RESTORE", "102": "RESTORE"}),
        ("101-Ala=1,AlarmType=0;102-Ala=2,AlarmType=1;103-Ala=3", {"101": "RESTORE", "102": "GAS", "103": "GAS"}),
        ("AlarmType=0;101-Ala=1", {"101": "RESTORE"}),
        ("101-Ala=1", {"101": "GAS"}),
        ("AlarmType=0", {"-": "RESTORE"}),
        ("", {"-": "GAS"}),
    ],
)
def test_the_end_of_one_alarm_never_ends_another_of_the_same_packet(cp: str, expected: dict[str, str]) -> None:
    (said,) = talk(alarm_ends="0")[0].hear(packet(cp, "2072"), 0, WALL)
    assert {event.key.removeprefix("it/") or "-": event.code.name for event in said.decoded.events} == expected
    assert all(event.text for event in said.decoded.events)


def states_told(*sent: tuple[str, str]) -> list[list[tuple[str, str]]]:
    """Return what each packet (minute of its DataTime, CP) tells."""
    conversation, _ = talk()
    found = []
    for minute, cp in sent:
        time = "" if "DataTime" in cp else f"DataTime=202401231{minute}00;"
        (said,) = conversation.hear(packet(time + cp, "2021"), 0, WALL)
        found.append([(event.key, event.code.name) for event in said.decoded.events])
    return found


def test_a_late_normal_state_does_not_swallow_the_true_one() -> None:
    """An hourly packet speaks of the hour before; a state that is told late is told again when it is said of now."""
    plant = ("015", "SB7-RS=4"), ("000", "SB7-RS=1"), ("016", "SB7-RS=1"), ("017", "SB7-RS=1")
    assert states_told(*plant) == [[("SB7", "SUPERVISORY")], [("SB7", "RESTORE")], [("SB7", "RESTORE")], []]
    calm = ("015", "SB7-RS=1"), ("000", "SB7-RS=1"), ("016", "SB7-RS=1")
    assert states_told(*calm) == [[("SB7", "RESTORE")], [], []]


def test_a_time_far_ahead_does_not_make_all_that_follows_late() -> None:
    wrong, calm = ("000", "SB7-RS=1"), ("016", "SB7-RS=1")
    told = [[("SB7", "SUPERVISORY")], [("SB7", "RESTORE")], [("SB7", "RESTORE")], []]
    assert states_told(("015", "DataTime=20990123101500;SB7-RS=1"), ("015", "SB7-RS=4"), wrong, calm, calm)[1:] == told


def test_what_was_said_before_a_start_may_be_newer_than_the_first_that_comes() -> None:
    """The first packets after a start may be of a queue: what they end is ended again by one of now."""
    queue = ("000", "SB7-RS=1"), ("005", "SB7-RS=1"), ("015", "SB7-RS=1"), ("016", "SB7-RS=1")
    assert states_told(*queue) == [[("SB7", "RESTORE")], [], [("SB7", "RESTORE")], []]


def test_our_own_clock_set_back_does_not_make_all_that_follows_late() -> None:
    conversation, _ = talk()
    found = []
    for minute, plant, wall in ((15, 4, 0), (10, 4, -300), (5, 1, -300), (10, 1, -300), (10, 1, -300)):
        cp = f"DataTime=2024012310{minute:02}00;SB7-RS={plant}"
        (said,) = conversation.hear(packet(cp, "2021"), 0, WALL + wall * SECOND)
        found.append([event.code.name for event in said.decoded.events])
    assert found == [["SUPERVISORY"], [], ["RESTORE"], ["RESTORE"], []]


def test_a_packet_sent_again_tells_no_state() -> None:
    """Nothing of a repeat is stored: what it says must not pass for told. The clock of this device is wrong."""
    conversation, _ = talk()
    calm, alarm, calm_again = (
        packet(f"DataTime=2024012309{minute}00;SB7-RS={plant}", "2021", qn=f"2024012309{minute}00000")
        for minute, plant in ((10, 1), (11, 4), (12, 1))
    )
    said = [one for data in (calm, alarm, calm, calm_again) for one in conversation.hear(data, 0, WALL)]
    assert [[event.code.name for event in one.decoded.events] for one in said] == [
        ["RESTORE"], ["SUPERVISORY"], [], ["RESTORE"]
    ]  # fmt: skip
    assert said[0].digest == said[2].digest
    still = [packet(f"SB7-RS={plant}", "2021") for plant in (1, 4, 1, 4)]
    said = [one for data in still for one in conversation.hear(data, 0, WALL)]
    assert [[event.code.name for event in one.decoded.events] for one in said[1:]] == [
        ["SUPERVISORY"], ["RESTORE"], ["SUPERVISORY"]
    ]  # fmt: skip


def test_a_state_that_nobody_knows_ends_nothing() -> None:
    for unknown in ("", "E", "9", "//running//"):
        assert states_told(("010", f"SB7-RS={unknown}")) == [[("SB7", "INFO")]]
    assert states_told(("010", "SB7-RS=04"), ("011", "SB7-RS=4.0")) == [[("SB7", "SUPERVISORY")], []]
    assert states_told(("010", "i12003-Info=7")) == [[("i12003", "SUPERVISORY")]]


def test_each_instrument_of_a_logger_has_states_of_its_own() -> None:
    both = "PolId=w01018,i12001-Info=2;PolId=w21003,i12001-Info=0"
    assert states_told(("010", both)) == [[("i12001/w01018", "FAULT"), ("i12001/w21003", "RESTORE")]]


def test_a_point_for_the_hours_of_a_plant_does_not_hide_its_state() -> None:
    points = {"hours": {"unit": "h", "decode": {"code": "SB9", "kind": "RT"}}}
    one = Device(id="it", source="src", profile=tailor(profile("hj212-generic"), points), options={"mn": MN})
    (said,) = Hj212({MN: install(one, ids_of(one), STRANGER)}, STRANGER).hear(
        packet("SB9-RS=4,SB9-RT=3.5", "2041"), 0, WALL
    )
    assert [event.code for event in said.decoded.events] == [EventCode.SUPERVISORY]
    assert [row[2] for row in said.decoded.rows] == [3.5]


def test_states_of_plants_without_end_are_not_kept_without_end() -> None:
    one = device()
    made = install(one, ids_of(one), STRANGER)
    for first in range(0, 1000, 100):
        data = packet(";".join(f"SB{first + number}-RS=4" for number in range(100)))
        Hj212({MN: made}, STRANGER).hear(data, 0, WALL)
    assert len(made.told) == 256


def test_settings_that_no_point_takes_are_told() -> None:
    (said,) = talk()[0].hear(packet("PolId=w01018;w01018-SN=010000A8900016F000169DC0", "3019"), 0, WALL)
    assert [(event.code, event.key) for event in said.decoded.events] == [(EventCode.INFO, "CN3019")]


def test_a_password_is_not_told() -> None:
    (said,) = talk()[0].hear(packet("PolId=1;NewPW=654321;a=1", "1072"), 0, WALL)
    (event,) = said.decoded.events
    assert event.text == "CN=1072 设置现场机密码 set password PolId=1;NewPW=***;a=1"


def test_states_that_mean_alarm_are_told_when_they_change() -> None:
    conversation, _ = talk()
    told = []
    for second, (plant, instrument) in enumerate([(1, 0), (4, 0), (4, 6), (1, 0), (1, 0)]):
        cp = f"DataTime=2024012310150{second};SB7-RS={plant};i12001-Info={instrument};SB1-RS=4"
        (said,) = conversation.hear(packet(cp, "2021"), 0, WALL)
        told.append([(event.key, event.code) for event in said.decoded.events])
    assert told == [
        [("SB7", EventCode.RESTORE), ("i12001", EventCode.RESTORE)],
        [("SB7", EventCode.SUPERVISORY)],
        [("i12001", EventCode.FAULT)],
        [("SB7", EventCode.RESTORE), ("i12001", EventCode.RESTORE)],
        [],
    ]


def test_control_characters_of_a_device_do_not_get_into_messages() -> None:
    for cn, cp in (("2072", "1\x1b1-Ala=1\n2"), ("3015", "Vase\r\nNo=\x00"), ("2021", "PolId=\x07;i12001-Info=2\x1b")):
        for mn in (MN, "\n77"):
            (said,) = talk()[0].hear(packet(cp, cn, mn=mn), 0, WALL)
            assert all((event.key + event.text).isprintable() for event in said.decoded.events)
            assert said.decoded.events or mn != MN


def test_what_stands_in_a_text_is_no_value_and_no_state() -> None:
    cp = "i11001-Info=//校准;a21005-Rtd=500,SB7-RS=4;完//;a21005-Rtd=1;SB8-RS=4"
    said, told = hear(packet(cp))
    assert told == {"co": (1.0, "GOOD")}
    assert len(said.decoded.rows) == 1
    assert [(event.key, event.code) for event in said.decoded.events] == [("SB8", EventCode.SUPERVISORY)]
    for never_closed in ("i11001-Info=//校准;a21005-Rtd=1;i11002-Info=//完//", "i11001-Info=//校准;a21005-Rtd=1"):
        assert hear(packet(never_closed))[1] == told
    (said,) = talk(alarm_ends="0")[0].hear(packet("1-Ala=//,AlarmType=1;2-Ala=1,AlarmType=0;3-Ala=//", "2072"), 0, WALL)
    assert [(event.key, event.code.name) for event in said.decoded.events] == [
        ("1", "GAS"), ("2", "RESTORE"), ("3", "GAS")
    ]  # fmt: skip
    assert hear(packet("i11001-Info=////;a21005-Rtd=1"))[1] == hear(packet("i11001-Info=//;a21005-Rtd=1"))[1] == told
