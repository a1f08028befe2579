"""GB/T 26875.3: what the centre asks and orders, how often, and what comes of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from drivers._conversation_said import Said
from drivers._gb26875_talk import Centre
from drivers.simulated.gb26875 import DUTY_ANSWER, FIRE, NORMAL, Transmitter
from gateway.model.time import DAY, MINUTE, SECOND
from gateway.model.verdict import NEVER
from gateway.protocols import gb26875_objects as o
from gateway.protocols.gb26875 import Command, Frame
from gateway.protocols.gb26875_units import decode_unit, time_tag
from tests.drivers.gb26875_centre import (
    CHINA,
    KEY,
    NOW,
    SMOKE,
    WALL,
    centre,
    device,
    frame_in,
    frames_in,
    installed,
    problems,
    told,
)


class Link:
    """A centre and a device that talk until neither has anything left to say."""

    def __init__(self, line: Centre, far: Transmitter) -> None:
        self.line, self.far = line, far
        self.now = NOW
        self.asked: list[Frame] = []
        self.said: list[Said] = []

    def tell(self, data: bytes) -> list[Said]:
        """Let the device send; hand its answers on."""
        found: list[Said] = []
        while data:
            heard = self.line.hear(data, self.now, WALL + self.now)
            found += heard
            data = self._give(heard)
        self.said += found
        return found

    def run(self, until: int) -> list[Said]:
        """Let time pass."""
        found: list[Said] = []
        while (due := self.line.due()) <= until:
            self.now = max(self.now, due)
            ticked = self.line.tick(self.now, WALL + self.now)
            found += ticked
            if data := self._give(ticked):
                found += self.tell(data)
        self.now = until
        self.said += found
        return found

    def _give(self, said: list[Said]) -> bytes:
        self.asked += [frame for frame in frames_in(said) if frame.command in (Command.CONTROL, Command.REQUEST)]
        return b"".join(self.far.hear(one.at_once + one.after, WALL + self.now) for one in said)

    def types(self) -> list[int]:
        """Return the unit types that were asked so far, and forget them."""
        found, self.asked = [unit.type for frame in self.asked if (unit := decode_unit(frame.unit))], []
        return found


def link(far: Transmitter | None = None, **options: Any) -> Link:  # noqa: ANN401 - options of a device
    keys = {"ask_state": True, "set_time": True, "check": 60.0, "addresses": [KEY], **options}
    return Link(centre(installed(889, **keys)), far or device())


def test_at_connection_the_clock_is_set_and_the_present_state_asked_for() -> None:
    """What is true at the start alarms at the start: the fire that began before the centre was there."""
    far = device()
    far.change(SMOKE, FIRE, WALL)  # sent to nobody
    both = link(far)
    said = both.tell(far.beat(WALL))
    assert both.types() == [90, 81, 61, 62]
    assert far.clock_set == time_tag(WALL + NOW, CHINA)
    assert ("FIRE", KEY) in told(said)
    assert all(not one.after for one in said if one.stores)  # an answer is not answered
    both.tell(far.beat(WALL))
    assert both.types() == []


def test_each_exchange_has_its_serial_number_and_waits_for_the_one_before() -> None:
    both = link(device(silent=True))
    both.tell(both.far.beat(WALL))
    assert both.types() == [90]
    said = both.run(NOW + 39 * SECOND)
    assert both.types() == [90] * 3
    assert problems(said) == []
    said = both.run(NOW + 40 * SECOND)
    assert problems(said) == ["no_answer"]
    assert both.types() == [81]


def test_what_is_denied_is_sent_again_three_times() -> None:
    both = link(device(denies=True))
    said = both.tell(both.far.beat(WALL))
    assert both.types() == [90] * 4 + [81] * 4 + [61] * 4 + [62] * 4
    assert Counter(problems(said)) == {"denied": 16}


def test_many_components_are_asked_for_in_units_of_twenty_two() -> None:
    both = link(addresses=[f"1/1/2/{number}" for number in range(50)])
    both.far.components |= {(1, 1, 2 << 16 | number): (40, NORMAL, "") for number in range(50)}
    both.tell(both.far.beat(WALL))
    counts = [len(unit.objects) for frame in both.asked if (unit := decode_unit(frame.unit)) and unit.type == 62]
    assert counts == [22, 22, 6]
    serials = [frame.serial for frame in both.asked]
    assert serials == sorted(serials)


def test_nothing_is_asked_where_the_device_cannot_stand_it() -> None:
    both = link(ask_state=False, set_time=False, check=0)
    both.tell(both.far.change(SMOKE, FIRE, WALL))
    both.tell(both.far.operate(0x01, WALL))
    assert both.types() == []
    assert both.line.due() == NEVER


def test_the_clock_is_set_once_trusted_and_once_a_day() -> None:
    both = link(ask_state=False, check=0)
    assert both.line.hear(both.far.beat(WALL), NOW, 0)[0].device == "d"
    both.tell(both.far.beat(WALL))
    assert both.types() == [90]
    both.now += DAY
    both.tell(both.far.beat(WALL))
    assert both.types() == [90]


def test_a_device_that_says_nothing_is_asked_how_it_is() -> None:
    both = link()
    both.tell(both.far.beat(WALL))
    both.types()
    both.run(NOW + 5 * MINUTE)
    assert both.types() == [81] * 5
    both.far.fault.silent = True
    said = both.run(NOW + 7 * MINUTE)
    assert both.types()[:4] == [81] * 4
    assert "no_answer" in problems(said)


def test_a_device_that_need_not_speak_first_is_asked_at_once() -> None:
    speaker = installed(889, ask_state=True)
    line = Centre(centre(speaker)._directory, there=[speaker])  # noqa: SLF001 - as the driver makes it
    assert line.due() == 0
    [frame] = frames_in(line.tick(NOW, WALL))
    assert (frame.command, frame.source, frame.destination) == (Command.REQUEST, 0, 889)


def test_after_a_reset_the_state_is_asked_for() -> None:
    both = link()
    both.tell(both.far.beat(WALL))
    both.types()
    both.tell(both.far.report(4, [o.Operation(1, 1, 1, 0, both.far.tag(WALL))], WALL))
    both.tell(both.far.operate(0x01, WALL))
    assert both.types() == [61, 81]


def test_a_system_that_is_new_is_asked_for_once() -> None:
    both = link()
    both.far.systems[12, 3] = FIRE
    both.tell(both.far.beat(WALL))
    both.types()
    said = both.tell(both.far.report(4, [o.Operation(12, 3, 2, 0, both.far.tag(WALL))], WALL))
    assert both.types() == [61]
    assert ("FIRE", "12/3") in told(said)


def test_a_device_that_calls_anew_is_looked_after_by_its_new_connection() -> None:
    both = link(device(silent=True))
    both.tell(both.far.beat(WALL))
    newer = Centre(both.line._directory)  # noqa: SLF001 - a second connection
    newer.hear(both.far.beat(WALL), NOW + SECOND, WALL)
    both.line.tick(NOW + 2 * MINUTE, WALL)
    assert not both.line._here  # noqa: SLF001 - it calls from elsewhere now
    assert newer._here  # noqa: SLF001 - likewise


# -- outputs


@pytest.mark.parametrize(
    ("point", "value", "code"),
    [
        ("duty_check", 5, 91),
        ("set_time", 1, 90),
        ("initialise", 1, 89),
        ("request_state", 1, 81),
        ("request_version", 1, 85),
        ("request_time", 1, 88),
    ],
)
def test_an_output_is_sent_and_settled(point: str, value: float, code: int) -> None:
    both = link(ask_state=False, set_time=False, check=0)
    both.tell(both.far.beat(WALL))
    question = both.line.ask("d", point, value, NOW, WALL)
    assert question is not None
    assert (question.limit, question.tries) == (10.0, 4)
    frame = frame_in(question.data)
    assert (frame.command, frame.destination) == (Command.REQUEST if code < 89 else Command.CONTROL, 889)
    assert frame.unit[0] == code
    said = both.tell(both.far.hear(question.data, WALL))
    assert [one.refusal for one in said if one.settles is question] == [""]
    assert both.line.ask("d", point, 0, NOW, WALL) is None


@pytest.mark.parametrize("number", [1, 102])
def test_records_are_asked_for_by_number(number: int) -> None:
    question = link().line.ask("d", "request_records", number, NOW, WALL)
    assert question is not None
    unit = decode_unit(frame_in(question.data).unit)
    assert unit is not None
    assert unit.objects == (o.ReadDeviceOperations(number, bytes((0, 0, 0, 1, 1, 0))),)


@pytest.mark.parametrize(
    ("name", "point", "value"),
    [
        ("d", "events", 1),
        ("d", "absent", 1),
        ("nobody", "duty_check", 1),
        ("d", "duty_check", 0),
        ("d", "duty_check", 256),
        ("d", "duty_check", 1.5),
        ("d", "duty_check", float("nan")),
        ("d", "request_records", 103),
        ("d", "initialise", 2),
    ],
)
def test_what_is_no_output_is_not_asked(name: str, point: str, value: float) -> None:
    assert link().line.ask(name, point, value, NOW, WALL) is None


def test_a_time_that_is_not_trusted_is_never_set() -> None:
    assert link().line.ask("d", "set_time", 1, NOW, 0) is None


def test_a_refused_output_says_so() -> None:
    both = link(device(denies=True), ask_state=False, set_time=False, check=0)
    question = both.line.ask("d", "initialise", 1, NOW, WALL)
    assert question is not None
    [said] = both.tell(both.far.hear(question.data, WALL))
    assert (said.settles, said.refusal) == (question, "denied")


POINTS = {
    "request_version": {"decode": {"command": "request", "type": 65, "at": "1/1"}},
    "request_time": {"decode": {"command": "request", "type": 67, "at": KEY}},
    "request_state": {"decode": {"command": "request", "type": 64, "at": "1/1"}},
}


@pytest.mark.parametrize(
    ("point", "value", "wanted"),
    [
        ("request_version", 1, o.ReadSystem(1, 1)),
        ("request_time", 1, o.ReadComponent(*SMOKE)),
        ("request_state", 7, o.ReadOperations(1, 1, 7, bytes((0, 0, 0, 1, 1, 0)))),
    ],
)
def test_requests_about_a_place(point: str, value: float, wanted: o.Object) -> None:
    question = centre(installed(889, points=POINTS)).ask("d", point, value, NOW, WALL)
    assert question is not None
    unit = decode_unit(frame_in(question.data).unit)
    assert unit is not None
    assert unit.objects == (wanted,)


def test_a_duty_check_is_answered_or_told() -> None:
    both = link(ask_state=False, set_time=False, check=0)
    both.tell(both.far.beat(WALL))

    def check() -> None:
        question = both.line.ask("d", "duty_check", 3, both.now, WALL)
        assert question is not None
        both.tell(both.far.hear(question.data, WALL))
        assert both.far.duty == 3

    check()
    assert told(both.tell(both.far.operate(DUTY_ANSWER, WALL))) == [("RESTORE", "device/duty")]
    assert told(both.run(both.now + 10 * MINUTE)) == []
    check()
    assert told(both.run(both.now + 179 * SECOND)) == []
    assert told(both.run(both.now + SECOND)) == [("SUPERVISORY", "device/duty")]
    assert told(both.tell(both.far.operate(DUTY_ANSWER, WALL + MINUTE))) == [("RESTORE", "device/duty")]


def test_devices_that_never_answer_leave_room_to_those_at_the_same_peer() -> None:
    """Each is asked how it is once a minute and given up after forty seconds: what waits must not grow."""
    line = centre(installed(889, ask_state=True), *(installed(n, f"d{n}", check=60.0) for n in (1, 2, 3)))
    for number in (1, 2, 3):
        line.hear(Transmitter(number).beat(WALL), NOW, WALL)

    def ticked(now: int, until: int) -> list[Frame]:
        found: list[Frame] = []
        while now < until:
            now = max(now, line.due())
            found += frames_in(line.tick(now, WALL))
        return found

    assert len(ticked(NOW, NOW + 60 * MINUTE)) > 300
    reset = device().report(4, [o.Operation(*SMOKE[:2], 1, 3, time_tag(WALL, CHINA))], WALL)
    line.hear(reset, NOW + 61 * MINUTE, WALL)
    asked = ticked(NOW + 61 * MINUTE, NOW + 65 * MINUTE)
    assert {frame.unit[0] for frame in asked if frame.destination == 889} == {61, 81}
