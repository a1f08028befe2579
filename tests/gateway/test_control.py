"""The control socket's acts, as a hostile or badly set up terminal writes them: answered, never a dead ledger."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.app import open_house
from gateway.clock import SystemClock
from gateway.control import Control
from gateway.house import House
from gateway.model.alarm import OperatorAct, Verb
from gateway.model.batch import Event, EventCode, make_batch
from gateway.model.notification import Reply
from gateway.store.read import Reader
from tests.patience import PATIENCE, until

STATION = """
[station]
id = "s1"
[store]
path = "station.db"
[[source]]
id = "broker"
driver = "mqtt"
host = "127.0.0.1"
port = 9
[[channel]]
id = "screen"
kind = "console"
[[contact]]
id = "li"
name = "li"
phone = "13800138000"
"""
SHELVE = {"do": "act", "verb": "shelve", "alarms": [1], "reason": "welding", "seconds": 60}


def live(folder: Path, body: Callable[[House, Control], Coroutine[Any, Any, None]]) -> None:
    """Run a whole house with its control, without sources."""

    async def main() -> None:
        path = folder / "station.toml"
        path.write_text(STATION, encoding="utf-8")
        clock = SystemClock()
        house = await open_house(path, clock)
        living = asyncio.create_task(house.run())
        try:
            await until(lambda: house.runner.turns > 1)
            await body(house, Control(house.runner, clock, links=list, people={"li": "李伟", "li-wei": "李威"}))
        finally:
            living.cancel()
            await asyncio.gather(living, return_exceptions=True)

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_surrogates_of_another_encoding_are_replaced_and_the_act_is_recorded(tmp_path: Path) -> None:
    async def body(house: House, control: Control) -> None:
        for request in ({**SHELVE, "reason": "\udcce\udcf3"}, {**SHELVE, "reason": "\ud800"}):
            answer = await control.answer(request, "li\udcff")
            assert answer["recorded"], answer
            assert [refusal["alarm"] for refusal in answer["refusals"]] == [1]
        assert not house.ledger.volatile

    live(tmp_path, body)


@pytest.mark.parametrize(
    "wrong",
    [
        {"alarms": [99999999999999999999999]},
        {"alarms": [-1]},
        {"seconds": 9999999999999999 * 3600},
        {"seconds": -1e30},
        {"seconds": "inf"},
        {"seconds": "nan"},
    ],
)
def test_numbers_that_cannot_be_recorded_are_not_understood(tmp_path: Path, wrong: dict[str, Any]) -> None:
    async def body(house: House, control: Control) -> None:
        answer = await control.answer({**SHELVE, **wrong}, "li")
        assert "the act was not understood" in answer["error"]
        assert (await control.answer(SHELVE, "li"))["recorded"]
        assert not house.ledger.volatile

    live(tmp_path, body)


def test_an_input_that_cannot_be_journalled_is_refused_before_it_is_a_step(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What comes past the control, from a plug-in with a bug, is set aside like any input that makes a step fail."""
    caplog.set_level(logging.CRITICAL)

    async def body(house: House, control: Control) -> None:
        now = house.clock.mono()
        acked: list[str] = []
        bad_event = Event(house.state.gateway_events, "k", EventCode.INFO, "\ud800")
        good_event = Event(house.state.gateway_events, "k", EventCode.INFO, "good")
        house.intake.put(OperatorAct(verb=Verb.ACK, alarms=(), who="\ud800", via="x", at=now))
        house.intake.put(OperatorAct(verb=Verb.ACK, alarms=(1 << 64,), who="x", via="x", at=now))
        events = [bad_event, good_event]
        house.intake.put(make_batch("gateway", now, events=events, ack=lambda: acked.append("batch")))
        answer = await control.answer(SHELVE, "li")
        assert answer["recorded"]
        await until(lambda: acked == ["batch"])
        assert house.runner.refused == 3
        assert not house.ledger.volatile
        msgspec.json.encode([msgspec.to_builtins(alarm) for alarm in house.state.book.open_alarms()])

    live(tmp_path, body)


def test_a_refused_input_is_answered_at_once_and_its_channel_may_forget_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the asker waits for its time-out, and a message stays in the modem for ever."""
    caplog.set_level(logging.CRITICAL)

    async def body(house: House, _: Control) -> None:
        now = house.clock.mono()
        asked = house.runner.ask("key-1"), house.runner.ask("key-2")
        house.intake.put(OperatorAct(verb=Verb.ACK, alarms=(), who="\ud800", via="key", at=now, request="key-1"))
        house.intake.put(OperatorAct(verb=Verb.ACK, alarms=(1, 2), who="\ud800", via="key", at=now, request="key-2"))
        slot, forgotten = "slot 3", list[str]()
        monkeypatch.setattr(house.channels["screen"], "accepted", forgotten.append)
        house.intake.put(Reply(channel="screen", number="1", text="\ud800", at=now, token=slot))
        async with house.clock.timeout(PATIENCE):
            refusals = await asyncio.gather(*asked)
            while not forgotten:
                await house.clock.sleep(0.01)
        assert [[refusal.alarm for refusal in each] for each in refusals] == [[0], [1, 2]]
        assert forgotten == [slot]
        assert house.runner.refused == 3

    live(tmp_path, body)


def test_the_record_says_who_acted_and_which_user_of_the_box_typed_it(tmp_path: Path) -> None:
    async def body(house: House, control: Control) -> None:
        assert (await control.answer({**SHELVE, "who": "li"}, "root"))["recorded"]
        assert (await control.answer(SHELVE, "root"))["recorded"]
        with Reader(house.station.store.path) as reader:
            acts = [entry.body for entry in reader.record(("act",), OperatorAct)]
        assert [(act.who, act.peer, act.via) for act in acts] == [("li", "root", "cli"), ("root", "root", "cli")]

    live(tmp_path, body)


def test_an_act_of_before_the_user_was_recorded_is_still_read() -> None:
    old = {"verb": "ack", "alarms": [1], "who": "li", "via": "cli", "at": 1, "until": 0, "reason": "", "request": "q"}
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(old), type=OperatorAct).peer == ""


@pytest.mark.parametrize(("who", "meant"), [("li-wie", "li-wei"), ("李伟", "li"), ("zzz", "")])
def test_who_is_no_contact_is_told_the_nearest(tmp_path: Path, who: str, meant: str) -> None:
    async def body(_: House, control: Control) -> None:
        error = (await control.answer({**SHELVE, "who": who}, "root"))["error"]
        assert (f"did you mean '{meant}'" in error) == bool(meant), error

    live(tmp_path, body)


def test_an_act_says_how_each_alarm_stands_and_how_many_are_told(tmp_path: Path) -> None:
    async def body(house: House, control: Control) -> None:
        fault = Event(house.state.gateway_events, "k", EventCode.FAULT, "hot")
        house.intake.put(make_batch("gateway", house.clock.mono(), events=[fault]))
        await until(lambda: any(alarm.key == "k" for alarm in house.state.book.open_alarms()))
        number = next(alarm.id for alarm in house.state.book.open_alarms() if alarm.key == "k")
        answer = await control.answer({"do": "act", "verb": "ack", "alarms": [number, 99], "who": "li"}, "root")
        (done,) = answer["done"]
        assert (done["alarm"], done["state"], done["suppression"], done["name"]) == (number, "acked", "none", "李伟")
        assert done["place"].endswith(" k")
        assert done["told"] == 0  # a screen is no person
        assert [refusal["alarm"] for refusal in answer["refusals"]] == [99]
        house.intake.put(
            make_batch("gateway", house.clock.mono(), events=[Event(fault.point, "k", EventCode.RESTORE, "")])
        )
        await until(lambda: house.state.book.by_id(number) is None)
        assert (await control.answer({"do": "act", "verb": "ack", "alarms": []}, "root"))["done"] == []

    live(tmp_path, body)
