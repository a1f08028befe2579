"""Status words of the sink `gb26875_uplink`: what an alarm is to a centre, alone, beside others, over a backlog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from gateway.driven_clock import FakeClock
from gateway.errors import ConfigError
from gateway.model.alarm import Alarm, AlarmEvent, AlarmState, Suppression
from gateway.model.batch import EventCode
from gateway.model.portion import Note
from gateway.model.time import SECOND
from gateway.protocols.gb26875_objects import ComponentStatus, DeviceOperation, DeviceStatus, Operation
from gateway.protocols.gb26875_units import time_ns
from gateway.sinks import gb26875_uplink
from gateway.sinks._gb26875_options import Options
from gateway.sinks._gb26875_places import Places
from gateway.sinks._gb26875_telling import Step, Telling
from gateway.sinks._gb26875_words import Words
from tests.drivers.gb26875_centre import WALL
from tests.sinks.gb26875_station import (
    HEAT,
    MAINS,
    OWN,
    PANEL,
    POINTS,
    SMOKE,
    SOURCE,
    TANK,
    alarm,
    event,
    facts,
    move,
    setup,
)

ZONE = 8 * 3600
SHELVED, OUT, DESIGN = Suppression.SHELVED, Suppression.OUT_OF_SERVICE, Suppression.BY_DESIGN
E, S = AlarmEvent, AlarmState


def telling(standing: Sequence[tuple[Alarm, int]] | None = None, **options: Any) -> Telling:  # noqa: ANN401 - TOML
    keys = msgspec.convert({"host": "h", "port": 1, **options}, Options)
    places = Places(keys, POINTS, {"hall": "大厅"})
    alarms = None if standing is None else lambda: standing
    words = Words(places, facts, alarms, sink="far", offset=ZONE, running=keys.running_bit)
    return Telling(words, places, {"li": 3}, sink="far")


def plan(*notes: Note, standing: Sequence[tuple[Alarm, int]] | None = None, **options: Any) -> list[Step]:  # noqa: ANN401
    return telling(standing, **options).plan(notes, WALL + 9999 * SECOND)


def said(steps: Sequence[Step]) -> list[tuple[int, int, int]]:
    """Return (component address or 0, word, s) of status steps."""
    found = []
    for step in steps:
        if isinstance(step.body, ComponentStatus | DeviceStatus):
            place = step.body.place if isinstance(step.body, ComponentStatus) else 0
            found.append((place, step.body.status, (time_ns(step.body.time, ZONE) - WALL) // SECOND))
    return found


@pytest.mark.parametrize(
    ("point", "rule", "word"),
    [(SMOKE, "fire", 0b10), (TANK, "fire", 0b10000), (SMOKE, "fault", 0b100), (PANEL, "event:fire", 0b10)],
)
def test_class_becomes_bit_and_normal_is_bit_0_alone(point: int, rule: str, word: int) -> None:
    notes = move(1, point=point, rule=rule), move(2, E.CLEAR, point=point, rule=rule, second=7)
    assert said(plan(*notes)) == [(point, word, 0), (point, 1, 7)]
    assert said(plan(*notes, running_bit=True)) == [(point, word | 1, 0), (point, 1, 7)]


def test_a_class_can_be_told_otherwise_or_not_at_all() -> None:
    assert said(plan(move(1), classes={"fire": "supervisory"})) == [(SMOKE, 0b10000, 0)]
    assert plan(move(1), move(2, E.ACK), classes={"fire": "none"}) == []


def test_the_end_of_one_of_two_alarms_is_no_normal() -> None:
    fault = move(2, rule="fault", second=1), move(3, E.CLEAR, rule="fault", second=2)
    assert said(plan(move(1), *fault)) == [(SMOKE, 0b10, 0), (SMOKE, 0b110, 1), (SMOKE, 0b10, 2)]
    before = (alarm(77, raised=1), WALL - SECOND)  # it was told long ago
    assert said(plan(*fault, standing=[before])) == [(SMOKE, 0b110, 1), (SMOKE, 0b10, 2)]


@pytest.mark.parametrize(
    ("later", "suppression", "word", "last"),
    [
        (E.CLEAR, Suppression.NONE, 0b110, 0b100),
        (E.SHELVE, SHELVED, 0b110, 0b1110),
        (E.UNSHELVE, Suppression.NONE, 0b1110, 0b110),
        (E.ENABLE, Suppression.NONE, 0b1100, 0b110),
        (E.UNSUPPRESS, Suppression.NONE, 0b100, 0b110),
        (E.CLEAR, DESIGN, 0b100, None),
    ],
)
def test_what_was_told_before_stands_until_it_moves(
    later: AlarmEvent, suppression: Suppression, word: int, last: int | None
) -> None:
    fault, fire = move(2, rule="fault", second=1), move(3, later, second=2, suppression=suppression)
    assert said(plan(fault, fire)) == [(SMOKE, word, 1), *([] if last is None else [(SMOKE, last, 2)])]


def test_an_alarm_that_came_later_is_not_told_before_its_time() -> None:
    later = (alarm(77, rule="fault"), WALL + 60 * SECOND)
    assert said(plan(move(1), standing=[later]))[0] == (SMOKE, 0b10, 0)


def test_a_latched_alarm_stands_until_its_reset() -> None:
    notes = (
        move(1),
        move(2, E.CLEAR, second=1, before=S.UNACK, after=S.LATCHED_UNACK),
        move(3, E.ACK, second=2, before=S.LATCHED_UNACK, after=S.LATCHED_ACKED, who="li"),
        move(4, E.RESET, second=3, who="wu"),
    )
    steps = plan(*notes)
    assert said(steps) == [(SMOKE, 0b10, 0), (SMOKE, 1, 3)]
    acts = [(step.body.flags, step.body.operator) for step in steps if isinstance(step.body, Operation)]
    assert acts == [(1 << 3, 0), (1 << 5, 3)]  # newest first: alarm cleared, confirmed


@pytest.mark.parametrize(
    ("doing", "suppression", "word"),
    [(E.SHELVE, SHELVED, 0b1010), (E.DISABLE, OUT, 0b1000), (E.SUPPRESS, DESIGN, 1)],
)
def test_what_is_kept_down_is_told_as_disabled(doing: AlarmEvent, suppression: Suppression, word: int) -> None:
    notes = move(1), move(2, doing, second=1, suppression=suppression)
    assert said(plan(*notes)) == [(SMOKE, 0b10, 0), (SMOKE, word, 1)]


def test_a_walk_test_calls_no_fire_brigade() -> None:
    notes = move(1, suppression=DESIGN), move(2, E.CLEAR, second=1, suppression=DESIGN)
    assert said(plan(*notes)) == []


@pytest.mark.parametrize(
    ("point", "key", "rule", "word"),
    [
        (MAINS, "", "fire", 0b1000),
        (OWN, "sink far", "fault", 0b100000),
        (OWN, "sink other", "fault", 0b100),
        (OWN, "store", "fault", 0b100),
        (OWN, "duty far", "fire", None),
    ],
)
def test_our_own_faults_are_the_devices_status(point: int, key: str, rule: str, word: int | None) -> None:
    steps = plan(move(1, point=point, key=key, rule=rule))
    assert said(steps) == ([] if word is None else [(0, word, 0)])
    assert all(step.type == 21 for step in steps)


def test_of_a_source_its_link_is_a_line_and_a_fire_that_nobody_registered_a_fire() -> None:
    [link] = plan(move(1, point=SOURCE, key="link", rule="fault"))
    assert link.body == DeviceStatus(1 << 6, link.body.time)  # type: ignore[union-attr]
    [fire] = plan(move(1, point=SOURCE, key="0x17/1/1/2/10"))
    assert isinstance(fire.body, ComponentStatus)
    assert fire.body.status == 0b10


def test_a_place_of_a_panel_is_described_as_the_panel_does() -> None:
    note = move(1, point=PANEL, key="1/1/2/10", text="三层走廊 感烟火灾探测器 smoke detector 火警 fire")
    [step] = plan(note)
    assert isinstance(step.body, ComponentStatus)
    assert step.body.description.decode("gb18030") == "三层走廊 感烟火灾探测器 smoke d"
    [named] = plan(note, components={"panel.events": {"name": "主机"}})
    assert isinstance(named.body, ComponentStatus)
    assert named.body.description.decode("gb18030") == "主机 1/1/2/10"


def test_a_persons_acts_at_the_gateway_itself() -> None:
    [manual] = plan(event(1, EventCode.MANUAL))
    assert (manual.type, manual.body) == (24, DeviceOperation(1 << 2, 0, bytes((20, 13, 22, 21, 9, 26))))
    [answer] = plan(move(2, E.ACK, point=OWN, key="duty far", rule="event:supervisory", who="li"))
    assert isinstance(answer.body, DeviceOperation)
    assert (answer.type, answer.body.flags, answer.body.operator) == (24, 1 << 5, 3)
    assert plan(event(3, EventCode.MANUAL, point=PANEL)) == []  # an alarm at its place


def test_fires_go_first_then_the_newest() -> None:
    notes = move(1, point=TANK), move(2, second=1), move(3, rule="fault", point=HEAT, second=9)
    assert [place for place, _, _ in said(plan(*notes))] == [SMOKE, HEAT, TANK]


def test_behind_an_old_backlog_the_newest_word_is_told_once_more() -> None:
    one = telling()
    [now] = one.plan([move(9, E.CLEAR, second=50)], WALL)
    one.confirmed(now)
    steps = one.plan([move(1), move(2, E.CLEAR, second=5), move(3, second=20)], WALL + 80 * SECOND)
    assert said(steps) == [(SMOKE, 0b10, 0), (SMOKE, 1, 5), (SMOKE, 0b10, 20), (SMOKE, 1, 80)]  # as of now
    assert steps[-1].time == now.time
    assert steps[-1].key != now.key  # it goes out, also while the first is remembered


def test_of_an_earlier_life_the_store_says_what_stands() -> None:
    standing = [(alarm(1, rule="fault"), WALL + 70 * SECOND)]
    steps = plan(move(1), move(2, E.CLEAR, second=5), standing=standing)
    assert said(steps) == [(SMOKE, 0b10, 0), (SMOKE, 1, 5), (SMOKE, 0b100, 9999)]


def test_what_follows_a_backlog_stays_to_be_told_when_the_link_is_lost_before_it() -> None:
    one = telling([])
    first = one.plan([move(1)], WALL + 80 * SECOND)
    assert said(first) == [(SMOKE, 0b10, 0), (SMOKE, 1, 80)]
    one.confirmed(first[0])
    assert one.plan([move(1)], WALL + 90 * SECOND) == first
    one.confirmed(first[1])
    assert said(one.plan([move(1), move(2, second=85)], WALL + 90 * SECOND)) == [(SMOKE, 0b10, 0), (SMOKE, 0b10, 85)]


@pytest.mark.parametrize(("before", "point"), [([move(1)], SMOKE), ([], MAINS)])
def test_what_is_told_as_of_now_hides_no_move_that_was_written_later(before: list[Note], point: int) -> None:
    one = telling([])
    for step in one.plan(before, WALL + 80 * SECOND) or one.present(WALL + 80 * SECOND):  # normal, as of second 80
        one.confirmed(step)
    [fire] = one.plan([move(9, point=point, second=70)], WALL + 90 * SECOND)
    assert fire.time == WALL + 70 * SECOND


def test_everything_that_stands_can_be_told_anew() -> None:
    standing = [
        (alarm(1), WALL + SECOND),
        (alarm(2, point=TANK, suppression=SHELVED), WALL),
        (alarm(3, point=HEAT, state=S.RTN_UNACK), WALL),
        (alarm(4, point=MAINS), WALL + 4 * SECOND),
    ]
    steps = telling(standing).present(WALL + 9 * SECOND)
    assert said(steps) == [(SMOKE, 0b10, 1), (0, 0b1000, 4), (TANK, 0b11000, 0)]


def test_who_is_who_by_default_and_by_configuration() -> None:
    [smoke] = plan(move(1))
    assert smoke.body == ComponentStatus(1, 1, 40, SMOKE, 0b10, "大厅 烟雾报警".encode("gb18030"), smoke.body.time)  # type: ignore[union-attr]
    chosen = {"hall.smoke": {"system": 12, "system_address": 4, "type": 42, "address": 65538, "name": "门厅"}}
    places = gb26875_uplink.create(setup(FakeClock(), components=chosen))._places  # noqa: SLF001 - as TOML gives it
    assert places.component(SMOKE, "") == (12, 4, 42, 65538, "门厅".encode("gb18030"))
    below = [places.component(PANEL, key) for key in ("1/1/2/10", "1/1/2/11", "1/1/2/10")]
    assert below[0] == below[2] != below[1]
    assert all(one.place >> 31 for one in below)
    assert below[0].description == b"panel 1/1/2/10"


@pytest.mark.parametrize("ascii_before", range(3))
def test_a_long_description_is_cut_on_a_character(ascii_before: int) -> None:
    names = {"hall": "x" * ascii_before + "江城社区微型消防站一层门厅东侧走廊"}
    cut = Places(Options(host="h", port=1), POINTS, names).component(SMOKE, "").description
    assert 28 < len(cut) <= 31
    assert (names["hall"] + " 烟雾报警").startswith(cut.decode("gb18030"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"login": "xy"}, "hex digits"),
        ({"utc_offset": "8"}, r"\+08:00"),
        ({"timeout": 11}, "10"),
        ({"classes": {"smoke": "fire"}}, "smoke"),
    ],
)
def test_wrong_keys(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        gb26875_uplink.create(setup(FakeClock(), **options))


def test_no_two_points_have_one_address_and_the_uplink_goes_on() -> None:
    told: list[str] = []
    chosen = {"hall.smoke": {"address": TANK}, "hall.heat": {"address": TANK}, "gateway.mains": {"address": TANK}}
    given = setup(FakeClock(), components=chosen)
    sink = gb26875_uplink.create(replace(given, tell=lambda *what: told.append(what[2])))
    addresses = {point: sink._places.component(point, "").place for point in (SMOKE, TANK, HEAT)}  # noqa: SLF001 - told
    assert addresses == {SMOKE: TANK, TANK: 1 << 30 | TANK, HEAT: HEAT}
    assert len(sink._places.everything()) == len(POINTS) - 3  # noqa: SLF001 - all but the gateway's own
    (text,) = told
    assert text.endswith(
        ': components.hall.heat.address: "hall.smoke" has it already (without one a point has its own)'
    )
    apart = {"hall.smoke": {"address": TANK, "system_address": 2}, "hall.heat": {"address": TANK, "system_address": 3}}
    places = gb26875_uplink.create(setup(FakeClock(), components=apart))._places  # noqa: SLF001 - told
    assert [places.component(point, "").place for point in (SMOKE, TANK, HEAT)] == [TANK] * 3


def test_a_name_that_nothing_has_is_left_out_and_told_and_the_rest_goes_on() -> None:
    told: list[tuple[str, EventCode, str]] = []
    given = setup(
        FakeClock(),
        analogs=["tank.depth", "hall.smoke", "tank.level"],
        components={"hall.smok": {"type": 40}, "hall.smoke": {"type": 42}},
    )
    sink = gb26875_uplink.create(replace(given, tell=lambda *what: told.append(what)))
    assert sink._places.component(SMOKE, "").type == 42  # noqa: SLF001 - as TOML gives it
    assert list(sink._analogs) == [TANK]  # noqa: SLF001 - as above
    ((key, code, text),) = told
    assert (key, code) == ("config", EventCode.INFO)
    for words in ('unknown point "hall.smok"', 'unknown point "tank.depth"', "hall.smoke: the standard has no analog"):
        assert words in text
