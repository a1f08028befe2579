"""What a monitoring centre asks and orders of the sink `gb26875_uplink`, and what it sends that nobody can read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.driven_clock import FakeClock
from gateway.errors import StoreCorrupt
from gateway.model.alarm import AlarmEvent, AlarmState, Suppression
from gateway.model.batch import EventCode
from gateway.model.quality import Doubt, Level, quality
from gateway.model.time import SECOND
from gateway.protocols import gb26875_objects as o
from gateway.protocols.gb26875 import Command, Frame, encode_frame
from gateway.protocols.gb26875_units import decode_unit, encode_unit, time_tag
from gateway.sinks.gb26875_uplink import Gb26875Uplink
from tests.drivers.gb26875_centre import WALL
from tests.sinks.gb26875_far import Scripted, delivered, scene, scripted
from tests.sinks.gb26875_station import HEAT, MAINS, OWN, SMOKE, TANK, alarm, move
from tests.sinks.portions import portion

ZONE = 8 * 3600
REQUEST, CONTROL, CONFIRM, DENY, ANSWER = (
    Command.REQUEST,
    Command.CONTROL,
    Command.CONFIRM,
    Command.DENY,
    Command.ANSWER,
)
Scene = Callable[[Gb26875Uplink, Scripted, FakeClock], Awaitable[None]]
STANDING = [
    (alarm(1), WALL),
    (alarm(2, rule="fault", suppression=Suppression.SHELVED), WALL),
    (alarm(3, point=MAINS), WALL),
    (alarm(4, point=HEAT, state=AlarmState.RTN_UNACK), WALL),
]
BAD = quality(Level.BAD, Doubt.NO_COMMS)


def on(scene_: Scene, **how: Any) -> None:  # noqa: ANN401 - keys of `scripted`
    """Run a scene with a sink that is connected."""

    async def main() -> None:
        async with scripted(**how) as (sink, centre, clock, _):
            await delivered(sink, clock)
            await scene_(sink, centre, clock)

    asyncio.run(main())


def asked(code: int, *objects: o.Object, command: int = REQUEST, **how: Any) -> tuple[int, Any]:  # noqa: ANN401
    """Return command and unit of the one answer to a question."""
    found: list[Any] = []

    async def main(sink: Gb26875Uplink, centre: Scripted, clock: FakeClock) -> None:
        rows = portion((TANK, WALL, 3.21, 0), (TANK, WALL + 1, 9.0, BAD), (SMOKE, WALL, 1.0, 0))
        await delivered(sink, clock, portion=rows)
        await delivered(sink, clock, move(1), move(2, AlarmEvent.ACK, second=3, who="li"))
        centre.asks(command, encode_unit(code, objects))
        await clock.advance(0.1)
        [(serial, answer, unit)] = centre.answers
        assert serial == 77
        found.append((answer, decode_unit(unit).objects if unit else None))  # type: ignore[union-attr]

    options = {"given": {"alarms": lambda: STANDING}, "analogs": ["tank.level"], "operators": {"li": 3}, **how}
    on(main, **options)
    return found[0]  # type: ignore[no-any-return]


NOW = time_tag(WALL, ZONE)


def test_states_are_answered_as_they_stand_now() -> None:
    [system] = asked(61, o.ReadSystem(1, 1))[1]
    assert (system.system, system.address, system.status) == (1, 1, 0b1110)
    smoke, heat = asked(62, o.ReadComponent(1, 1, SMOKE), o.ReadComponent(1, 1, HEAT), o.ReadComponent(1, 1, 99))[1]
    assert (smoke.status, heat.status, smoke.component) == (0b1110, 1, 40)
    assert [one.status for one in asked(81, o.ReadDevice())[1]] == [0b1000]
    quiet: Any = {"given": {"alarms": list}}
    assert [one.status for one in asked(81, o.ReadDevice(), **quiet)[1]] == [1]
    assert [one.status for one in asked(61, o.ReadSystem(1, 1), **quiet)[1]] == [1]
    assert [one.status for one in asked(62, o.ReadComponent(1, 1, SMOKE), given={})[1]] == [0b10]  # as it was told


def test_values_operations_and_what_the_gateway_is() -> None:
    [value] = asked(63, o.ReadComponent(1, 1, TANK))[1]
    assert (value.quantity, value.value, value.time) == (2, 321, NOW)
    [act] = asked(64, o.ReadOperations(1, 1, 5, NOW))[1]
    assert (act.flags, act.operator) == (1 << 5, 3)
    assert asked(64, o.ReadOperations(1, 1, 5, time_tag(WALL + 9 * SECOND, ZONE))) == (ANSWER, ())
    assert asked(84, o.ReadDeviceOperations(5, NOW)) == (ANSWER, ())
    assert asked(65, o.ReadSystem(1, 1))[1] == (o.SystemVersion(1, 1, 1, 0),)
    assert asked(66, o.ReadSystem(1, 1))[1][0].text == b"firegrid jc-07"
    assert asked(67, o.ReadComponent(1, 1, TANK))[1][0].description.rstrip(b"\0") == b"tank level"
    assert asked(85, o.ReadDevice())[1] == (o.DeviceVersion(1, 0),)
    assert asked(86, o.ReadDevice())[1] == (o.DeviceConfig(b"firegrid jc-07"),)
    assert asked(68, o.ReadSystem(1, 1))[0] == asked(88, o.ReadDevice())[0] == ANSWER


@pytest.mark.parametrize(
    ("code", "objects"),
    [
        (61, [o.ReadSystem(9, 9)]),
        (62, [o.ReadComponent(1, 1, 4711)]),
        (63, [o.ReadComponent(1, 1, SMOKE)]),
        (64, [o.ReadOperations(9, 9, 5, bytes(6))]),
        (62, []),
        (90, []),
        (90, [o.SetTime(b"\xff" * 6)]),
        (91, []),
        (2, []),
    ],
)
def test_what_nobody_knows_is_denied(code: int, objects: list[o.Object]) -> None:
    assert asked(code, *objects) == (DENY, None)


@pytest.mark.parametrize("unit", [b"", b"\x3d", b"\x3d\x09", b"\xfe\x01\x00", b"\x3e\x05\x01\x01", bytes(1024)])
def test_units_cut_short_or_unknown_are_denied(unit: bytes) -> None:
    async def main(_: Gb26875Uplink, centre: Scripted, clock: FakeClock) -> None:
        centre.asks(REQUEST, unit)
        await clock.advance(0.1)
        assert [command for _, command, _ in centre.answers] == [DENY]

    on(main)


def test_a_store_that_cannot_be_read_denies_for_now() -> None:
    def broken() -> list[Any]:
        raise StoreCorrupt("unreadable")

    async def main(_: Gb26875Uplink, centre: Scripted, clock: FakeClock) -> None:
        centre.asks(REQUEST, encode_unit(81, [o.ReadDevice()]))
        await clock.advance(0.1)
        assert centre.answers == [(77, DENY, b"")]

    on(main, given={"alarms": broken})


def test_the_time_of_a_centre_is_noted_and_not_taken_over() -> None:
    told: list[Any] = []

    async def main(_: Gb26875Uplink, centre: Scripted, clock: FakeClock) -> None:
        for off in (0, 7200, 7200):
            centre.asks(CONTROL, encode_unit(90, [o.SetTime(time_tag(clock.wall() + off * SECOND, ZONE))]))
            await clock.advance(0.1)
        assert [answer[1] for answer in centre.answers] == [CONFIRM] * 3
        [(key, code, text)] = told
        assert (key, code) == ("clock", EventCode.INFO)
        assert "7199 s" in text or "7200 s" in text

    on(main, given={"tell": lambda *what: told.append(what)})


def test_initialise_tells_everything_that_stands_once_more() -> None:
    async def main(sink: Gb26875Uplink, centre: Scripted, clock: FakeClock) -> None:
        centre.asks(CONTROL, encode_unit(89, [o.ReadDevice()]))
        await clock.advance(0.1)
        assert centre.answers == [(77, CONFIRM, b"")]
        await delivered(sink, clock)
        assert [unit[0] for unit in centre.units] == [2, 21]

    on(main, given={"alarms": lambda: STANDING})


def test_an_order_to_tell_everything_gets_through_a_slow_link() -> None:
    standing = [(alarm(n, point=TANK, key=str(n)), WALL) for n in range(30)]

    async def main() -> None:
        async with scripted(given={"alarms": lambda: standing}) as (sink, centre, clock, air):
            await delivered(sink, clock)
            centre.asks(CONTROL, encode_unit(89, [o.ReadDevice()]))
            air.delay = 0.5
            await clock.advance(0.1)
            await delivered(sink, clock)
            assert (len(centre.units), len(set(centre.units))) == (31, 31)

    asyncio.run(main())


def test_a_duty_check_asks_people_and_their_answer_goes_up() -> None:
    told: list[Any] = []

    async def main() -> None:
        async with scene(given={"tell": lambda *what: told.append(what)}, operators={"li": 3}) as (sink, centre, air):
            await delivered(sink, air.clock)
            await delivered(sink, air.clock, move(1))  # the centre knows who is there
            asking = asyncio.ensure_future(centre.driver.write("d0", "duty_check", 5))
            await air.clock.advance(1)
            await asking
            [(key, code, text)] = told
            assert (key, code) == ("duty", EventCode.SUPERVISORY)
            assert "5 min" in text
            raised = move(2, point=OWN, key="duty far", rule="event:supervisory", second=10)
            acked = move(3, AlarmEvent.ACK, point=OWN, key="duty far", rule="event:supervisory", second=60, who="li")
            await delivered(sink, air.clock, acked, raised)
            assert centre.told() == [("FIRE", 0), ("RESTORE", 60)]
            assert "查岗应答" in centre.stored[-1].text
            assert centre.stored[-1].text.endswith("3")
            assert [code for _, code, _ in told] == [EventCode.SUPERVISORY, EventCode.RESTORE]

    asyncio.run(main())


def test_a_duty_check_that_nobody_answers_returns_to_normal_after_its_time() -> None:
    told: list[Any] = []

    async def main(sink: Gb26875Uplink, centre: Scripted, clock: FakeClock) -> None:
        centre.asks(CONTROL, encode_unit(91, [o.DutyCheck(2)]))
        await clock.advance(119)
        await delivered(sink, clock)
        assert len(told) == 1
        await clock.advance(3)
        await delivered(sink, clock)
        await delivered(sink, clock)
        assert [code for _, code, _ in told] == [EventCode.SUPERVISORY, EventCode.RESTORE]

    on(main, given={"tell": lambda *what: told.append(what)})


@pytest.mark.parametrize("command", [0, 7, 127])
def test_unknown_commands_are_denied(command: int) -> None:
    async def main(_: Gb26875Uplink, centre: Scripted, clock: FakeClock) -> None:
        centre.asks(command, b"\x01\x01\x00")
        await clock.advance(0.1)
        assert [answer[1] for answer in centre.answers] == [DENY]

    on(main)


@pytest.mark.parametrize("place", [-3, -1])
def test_a_spoilt_question_is_denied_and_an_answer_nobody_asked_for_is_nothing(place: int) -> None:
    """By its checksum, or by its end."""

    async def main(_: Gb26875Uplink, centre: Scripted, clock: FakeClock) -> None:
        assert centre.peer is not None
        spoilt = bytearray(encode_frame(Frame(serial=5, command=REQUEST, unit=encode_unit(88, [o.ReadDevice()]))))
        spoilt[place] ^= 1
        centre.peer.write(bytes(spoilt))
        centre.asks(ANSWER, b"\x15\x01\x00")
        centre.asks(CONFIRM, serial=4711)
        await clock.advance(0.1)
        assert [answer[:2] for answer in centre.answers] == [(5, DENY)]

    on(main)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=300),
            st.binary(max_size=40).map(lambda unit: encode_frame(Frame(serial=1, command=REQUEST, unit=unit))),
            st.tuples(st.integers(0, 255), st.binary(max_size=60)).map(
                lambda one: encode_frame(Frame(serial=2, command=one[0], unit=one[1]))
            ),
            st.sampled_from((b"@@" * 2000, b"@@" + bytes(22) + b"\x00\x04" + bytes(900), b"#" * 5000)),
        ),
        max_size=12,
    )
)
def test_whatever_a_centre_sends_the_next_alarm_arrives(noise: list[bytes]) -> None:
    async def main(sink: Gb26875Uplink, centre: Scripted, clock: FakeClock) -> None:
        assert centre.peer is not None
        for data in noise:
            centre.peer.write(data)
        await clock.advance(6)  # a frame that never ends is given up
        await delivered(sink, clock, move(1))
        assert any(unit[:2] == b"\x02\x01" for unit in centre.units)

    on(main, given={"alarms": lambda: STANDING})
