"""People and words: phone numbers, the grid tree, targets, policies, replies, texts, and the ordered index."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.escalation.agenda import Agenda
from gateway.escalation.plan import Planner
from gateway.escalation.reply import parse
from gateway.escalation.targets import Grid, dialable, normal_phone
from gateway.escalation.wording import FIRST_PART, Wording, marked
from gateway.model.alarm import Alarm
from gateway.model.contact import Cell, ChannelKind, ChannelSpec, Contact, Policy, Step
from gateway.model.delta import Delta
from gateway.model.notification import DeliveryState, NotifyReason
from gateway.model.point import AlarmClass, Device, Profile
from gateway.model.station import Station
from gateway.model.verdict import Cause
from tests.escalation_world import STATION, World, facts

REPLIES = tomllib.loads((Path(__file__).parents[1] / "cases/replies/replies.toml").read_text(encoding="utf-8"))["case"]


def alarm(alarm_class: AlarmClass = AlarmClass.FIRE, **fields: object) -> Alarm:
    world = World()
    world.flip(1, 0, up=True, what=facts(alarm_class))
    return replace(world.book.open_alarms()[0], **fields)


@pytest.mark.parametrize(
    "written",
    [
        "13800138000",
        "+8613800138000",
        "008613800138000",
        "8613800138000",
        "+86 138-0013-8000",
        "１３８００１３８０００",
        "＋86 138 0013 8000",
        "+86（138）00138000",
    ],
)
def test_one_number_however_written(written: str) -> None:
    assert normal_phone(written) == "13800138000"
    assert [contact.id for contact in Grid(STATION).by_phone(written)] == ["li"]


def test_numbers_that_only_begin_alike_are_others() -> None:
    assert normal_phone("8612345") == "8612345"
    assert normal_phone("+14155550100") == "14155550100"
    assert dialable(" +86 139-0000-0001 ") == "+8613900000001"
    assert Grid(STATION).by_phone("138001380001") == []
    assert Grid(STATION).by_phone("") == []


@pytest.mark.parametrize(
    ("target", "cell", "meant"),
    [
        ("role:squad@cell", "jc/3", ["li", "wang"]),
        ("role:squad@cell", "jc/3/12", ["li", "wang"]),  # nobody on that floor: the nearest above
        ("role:squad", "jc/3/12", ["li", "wang"]),
        ("role:squad@parent", "jc/3/12", ["li", "wang"]),
        ("role:squad@community", "jc/3/12", []),  # nobody above holds it
        ("role:captain@parent", "jc/3/12", ["chen", "mute"]),
        ("role:captain@district", "jc/3", ["chen", "mute"]),  # beyond the top is the top
        ("role:captain@jc", "jc/3/12", ["chen", "mute"]),
        ("role:captain@cell", "", ["chen", "mute"]),  # a place without a cell belongs to the top
        ("contact:wang", "jc", ["wang"]),
        ("contact:nobody", "jc", []),
        ("everyone", "jc", ["li", "wang", "chen"]),
        ("nonsense", "jc", []),
    ],
)
def test_whom_a_target_means(target: str, cell: str, meant: list[str]) -> None:
    assert [contact.id for contact in Grid(STATION).resolve(target, cell)] == meant


def test_a_grid_that_turns_in_a_circle_ends() -> None:
    cells = (Cell(id="a", parent="b"), Cell(id="b", parent="a"))
    assert Grid(msgspec.structs.replace(STATION, cells=cells)).ancestors("a") == ("a", "b")


def test_the_policy_falls_back_step_by_step() -> None:
    planner = Planner(STATION)
    assert planner.policy(alarm(policy="office")).id == "office"
    assert planner.policy(alarm(policy="gone")).id == "turn-out"
    assert planner.policy(alarm(AlarmClass.FAULT)).id == "office"  # chosen at an ancestor
    everybody = planner.policy(alarm(AlarmClass.GAS))
    assert everybody.steps == (Step(after=0.0, notify=("everyone",), by=("sms", "console", "siren")),)
    assert planner.policy(alarm(AlarmClass.SUPERVISORY)).steps[0].by == ("sms", "console")


def test_check_can_say_who_would_be_told_when() -> None:
    told = [(after, [m.contact or m.channel for m in methods]) for after, methods in Planner(STATION).timeline(facts())]
    assert told == [(0.0, ["li", "wang", "siren"]), (60.0, ["chen"])]
    assert Planner(replace(STATION, contacts=())).timeline(facts())[1] == (60.0, [])


def test_a_policy_that_finds_nobody_at_a_place_tells_everybody() -> None:
    planner = Planner(STATION)
    lost = replace(facts(), cell="a cell nobody holds a role at", policy="turn-out")
    told = [(after, {m.contact for m in methods if m.contact}) for after, methods in planner.timeline(lost)]
    everybody = {contact.id for contact in STATION.contacts if contact.phone}
    assert told == [(0.0, everybody), (60.0, everybody)]
    assert planner.policy(lost).id == "turn-out"
    sirens_only = replace(
        STATION, policies=(Policy(id="turn-out", steps=(Step(after=0.0, notify=(), by=("siren",)),)),)
    )
    assert [m.channel for _, methods in Planner(sirens_only).timeline(lost) for m in methods] == ["siren"]


def test_there_is_always_a_repeat() -> None:
    planner = Planner(STATION)
    assert planner.repeat(alarm()) == 120 * 10**9
    assert planner.repeat(alarm(AlarmClass.FAULT)) == 86_400 * 10**9
    quick = replace(STATION, policies=(replace(STATION.policies[0], repeat=30.0),))
    assert Planner(quick).repeat(alarm()) == 30 * 10**9


def test_methods_are_each_contact_by_each_channel_once() -> None:
    station = replace(
        STATION, channels=(*STATION.channels, ChannelSpec(id="call", kind="call"), ChannelSpec(id="led", kind="led"))
    )
    planner = Planner(station, {"led": ChannelKind.PLACE})
    step = Step(after=0.0, notify=("role:squad@cell", "contact:li"), by=("call", "siren", "sms", "led", "unknown"))
    methods = [(m.contact, m.channel) for m in planner.methods(step, "jc/3")]
    assert methods == [("li", "call"), ("li", "sms"), ("wang", "call"), ("wang", "sms")]
    assert [m.channel for m in planner.places_of(step)] == ["siren", "led"]


@pytest.mark.parametrize("case", REPLIES, ids=lambda case: f"{case['text']!r}")
def test_what_a_reply_means(case: dict[str, Any]) -> None:
    parsed = parse(case["text"])
    codes = case["open"]
    found = next((code for code in parsed.codes if code in codes), "")
    if parsed.bare and len(codes) == 1:
        found = codes[0]
    assert found == case["means"]


@given(st.text(max_size=40))
def test_no_text_breaks_the_reading_of_replies(text: str) -> None:
    assert all(code.isdigit() for code in parse(text).codes)


def wording(station: Station = STATION, wall: str = "14:03") -> Wording:
    return Wording(station, Grid(station), lambda _: wall)


def test_the_first_part_says_class_code_and_place_whatever_the_names() -> None:
    cells = (Cell(id="a", name="很长的社区名称" * 8), Cell(id="b", name="第十二号楼第三单元", parent="a"))
    profile = Profile(id="p", title="", points=())
    devices = (Device(id="smoke", source="s", profile=profile, name="锅炉房烟感"),)
    station = replace(STATION, cells=cells, devices=devices)
    for language, word, drill in (("zh", "火警", "【演练】"), ("en", "FIRE", "DRILL ")):
        text = wording(station).text(alarm(cell="b", code="23456", key="3/17"), NotifyReason.RAISED, language)
        head = (drill + marked(marked(text, "unrecorded", language), "repeat", language))[:FIRST_PART]
        assert word in head
        assert "23456" in head
        assert "锅炉房烟感 3/17" in head


def test_every_class_has_its_word() -> None:
    for kind, word in zip(AlarmClass, ("火警", "燃气", "水位", "监管", "故障", "维护"), strict=True):
        assert wording().text(alarm(kind), NotifyReason.RAISED, "zh").startswith(f"【{word}】码")


@pytest.mark.parametrize(
    ("fields", "zh", "en"),
    [
        ({"from_before_start": True}, "启动前状态", "state from before start"),
        ({"condition": False, "returned_at": 5}, "已恢复正常14:03", "returned to normal 14:03"),
        ({"condition": False, "cause": Cause.CONFIGURATION}, "已从配置中移除", "removed from the configuration"),
        ({"cause": Cause.SILENCE, "value": 100.0, "unit": "s"}, "，设备失联，烟雾报警，100s", "not heard from"),
        ({"cause": Cause.LOST_WHILE_PENDING}, "延时期间失联", "lost while its delay ran"),
        ({"cause": Cause.LATE_READING}, "迟到的数据", "a late reading"),
        ({"cause": Cause.UNREGISTERED}, "未登记的地址", "not registered"),
        ({"text": "链路中断 link down: bus1: hung up"}, "，链路中断: bus1: 已断开，", ", link down: bus1: hung up,"),
        ({"value": 12.5, "unit": "%"}, "12.5%", "12.5%"),
        ({"value": 61.0, "unit": "Cel"}, "61℃", "61℃"),
        ({}, "回复10确认", "Reply 10 to acknowledge"),
        ({}, "江城社区微型消防站", "江城社区微型消防站"),
    ],
)
def test_what_a_notice_says(fields: dict[str, Any], zh: str, en: str) -> None:
    assert zh in wording().text(alarm(**fields), NotifyReason.RAISED, "zh")
    assert en in wording().text(alarm(**fields), NotifyReason.RAISED, "en")


def test_an_untrusted_clock_is_said() -> None:
    assert "时间未校准" in wording(wall="").text(alarm(), NotifyReason.RAISED, "zh")
    assert "clock not set" in wording(wall="").text(alarm(), NotifyReason.RAISED, "en")


def test_marks_are_put_once_and_in_front() -> None:
    text = marked(marked("【火警】", "repeat", "zh"), "repeat", "zh")
    assert text == "【重发】【火警】"
    assert marked(text, "unrecorded", "zh") == "【未存档】【重发】【火警】"
    assert marked("[FIRE]", "repeat", "en") == "AGAIN [FIRE]"


def test_follow_ups_name_the_person_and_the_words() -> None:
    texts = wording()
    assert texts.text(alarm(), NotifyReason.TAKEN_OVER, "zh", who="李伟").endswith("：李伟 已接管")
    assert "taken over by Li (steam)" in texts.text(alarm(), NotifyReason.TAKEN_OVER, "en", who="Li", note="steam")
    assert "误报" in texts.text(alarm(), NotifyReason.FALSE_ALARM, "zh", who="李伟")


def test_a_long_list_of_open_codes_is_cut() -> None:
    alarms = [alarm(code=str(code)) for code in range(20, 32)]
    text = wording().codes(alarms, "zh")
    assert "27" in text
    assert text.endswith("另有4条")
    assert wording().codes(alarms, "en").endswith("4 more")


AGENDA_MOVES = st.lists(st.tuples(st.integers(0, 6), st.integers(-1, 5), st.booleans()), max_size=60)


@given(AGENDA_MOVES)
def test_the_agenda_is_a_sorted_list_that_can_be_undone(moves: list[tuple[int, int, bool]]) -> None:
    agenda = Agenda("test")
    model: dict[str, tuple[int, ...]] = {}
    stack: list[tuple[Delta, dict[str, tuple[int, ...]]]] = []
    for number, order, undo in moves:
        if undo and stack:
            delta, model = stack.pop()
            delta.undo()
        else:
            delta = Delta()
            stack.append((delta, dict(model)))
            if order < 0:
                agenda.drop(delta, str(number))
                model.pop(str(number), None)
            else:
                agenda.put(delta, str(number), (order,))
                model[str(number)] = (order,)
        expected = min(((order, key) for key, order in model.items()), default=None)
        assert agenda.first() == expected
        assert len(agenda) == len(model)


def test_a_contact_without_a_phone_is_no_method() -> None:
    policies = (Policy(id="turn-out", steps=(STEP_TO_MUTE,)),)
    world = World(replace(STATION, policies=policies))
    world.flip(1, 0, up=True)
    assert {contact for contact, _ in world.said(NotifyReason.RAISED)} == {"li", "wang", "chen"}  # in place of mute
    world = World(replace(STATION, policies=policies, contacts=(Contact(id="mute", name="无电话"),)))
    world.flip(1, 0, up=True)
    assert world.said(NotifyReason.RAISED) == []
    assert [n.channel for n in world.notices() if n.state is DeliveryState.SENDING] == ["siren"]


STEP_TO_MUTE = Step(after=0.0, notify=("contact:mute",), by=("sms",))


def test_relatives_may_share_a_number() -> None:
    twins = tuple(Contact(id=name, name=name, phone="13800000000") for name in ("a", "b"))
    assert len(Grid(replace(STATION, contacts=twins)).by_phone("13800000000")) == 2
