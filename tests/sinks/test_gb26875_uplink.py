"""The sink `gb26875_uplink` against our own centre: nothing lost, nothing twice, in every state of the connection."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.alarm import AlarmEvent
from tests.sinks.gb26875_far import TANK, delivered, move, scene

STORY = (
    move(1, second=0),
    move(2, AlarmEvent.ACK, second=5, who="li"),
    move(3, AlarmEvent.CLEAR, second=9),
    move(4, point=TANK, second=12),
)
TOLD = Counter({("FIRE", 0): 1, ("INFO", 5): 1, ("RESTORE", 9): 1, ("SUPERVISORY", 12): 1})
FATES = ("lost", "cut_before", "cut_after", "half", "twice", "late")


def test_alarms_arrive_fires_first_each_component_in_order() -> None:
    async def main() -> None:
        async with scene(operators={"li": 7}) as (sink, centre, air):
            assert await delivered(sink, air.clock, *reversed(STORY)) == []
            assert centre.told() == [("FIRE", 0), ("RESTORE", 9), ("SUPERVISORY", 12), ("INFO", 5)]
            fire = centre.stored[0]
            assert fire.key == "1/1/0/1"
            assert fire.text == "大厅 烟雾报警 感烟火灾探测器 smoke detector 火警 fire"
            assert "确认" in centre.stored[3].text
            assert centre.stored[3].text.endswith("7")

    asyncio.run(main())


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("fate", FATES)
@pytest.mark.parametrize("way", ["up", "down"])
def test_a_loss_in_any_state_costs_nothing_and_doubles_nothing(way: str, fate: str, place: int) -> None:
    async def main() -> None:
        fates = ["ok"] * place + [fate]
        async with scene(**{way: fates}) as (sink, centre, air):  # type: ignore[arg-type]
            assert await delivered(sink, air.clock, *reversed(STORY)) == []
            assert Counter(centre.told()) == TOLD
            assert air.fates[fate] == 1

    asyncio.run(main())


@settings(max_examples=60, deadline=None)
@given(
    up=st.lists(st.sampled_from(("ok", *FATES)), max_size=25),
    down=st.lists(st.sampled_from(("ok", *FATES)), max_size=25),
)
def test_over_any_schedule_of_losses(up: list[str], down: list[str]) -> None:
    async def main() -> None:
        async with scene(up, down) as (sink, centre, air):
            assert await delivered(sink, air.clock, *reversed(STORY), rounds=60) == []
            assert Counter(centre.told()) == TOLD

    asyncio.run(main())
