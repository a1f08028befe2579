"""The beat of an open page says whether the core still turns; on a fake clock."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

import msgspec

from gateway.clock import SECOND
from gateway.pipeline.run import LONGEST_SLEEP
from gateway.testing import FakeClock
from gateway.web.facts import Facts
from gateway.web.live import STUCK_AFTER, Live
from gateway.web.render import Renderer, Topic

TOPIC = Topic("alarms", "", "zh", entitled=False)


def test_a_core_that_has_not_turned_for_fifteen_seconds_is_said_to_be_stuck() -> None:
    clock, runner = FakeClock(), SimpleNamespace(turns=0)
    facts = cast("Facts", SimpleNamespace(clock=clock, runner=runner))
    live = Live(facts, cast("Renderer", SimpleNamespace(fragments=lambda _: {})), "")

    async def main() -> dict[float, bool]:
        with live.joined(TOPIC) as page:
            messages = page.messages()
            await anext(messages)

            async def stuck_after(seconds: float) -> bool:
                clock.jump(round(seconds * SECOND))
                live.push()
                beat = (await anext(messages)).decode().partition("data: ")[2]
                return bool(msgspec.json.decode(beat)["stuck"])

            told = {}
            for seconds in (15.0, 15.1):
                runner.turns += 1
                assert not await stuck_after(2.0)  # the beat that sees the turn
                told[seconds] = await stuck_after(seconds)
            return told

    assert asyncio.run(main()) == {15.0: False, 15.1: True}


def test_a_core_at_rest_is_not_taken_for_one_that_is_stuck() -> None:
    assert round(LONGEST_SLEEP * SECOND) < STUCK_AFTER
