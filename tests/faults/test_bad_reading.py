"""A reading that makes a rule kind or the whole step raise costs itself, and no reading beside it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.app import serve
from gateway.house import House
from gateway.model.delta import Delta
from gateway.model.moment import Moment
from gateway.model.verdict import Change
from gateway.pipeline.latest import Latest
from rules.kinds.threshold import Threshold
from tests.faults.hearing_station import faults, publish, publisher, stored, write
from tests.field import Field
from tests.patience import wait
from tests.real_mosquitto import running


def test_a_reading_that_makes_a_rule_kind_or_the_step_raise_costs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge, take = Threshold.apply, Latest.take

    def raising(self: Threshold, pairs: Any, moment: Moment, delta: Delta) -> list[Change]:  # noqa: ANN401 - as apply
        if np.any(moment.value == 666.0):
            raise ZeroDivisionError("a reading no rule was made for")
        return judge(self, pairs, moment, delta)

    def failing(self: Latest, moment: Moment, delta: Delta) -> None:
        if np.any(moment.value == 667.0):
            raise ArithmeticError("a reading that no step survives")
        take(self, moment, delta)

    monkeypatch.setattr(Threshold, "apply", raising)
    monkeypatch.setattr(Latest, "take", failing)
    with running(tmp_path) as broker, Field(tmp_path, slaves=1) as field, publisher(broker.port) as client:
        config = write(tmp_path, broker.port)

        async def scene() -> House:
            up: asyncio.Future[House] = asyncio.get_running_loop().create_future()
            serving = asyncio.create_task(serve(config, ready=up.set_result))
            house = await up
            await asyncio.to_thread(play, house)
            serving.cancel()
            await serving
            return house

        def play(house: House) -> None:
            wait(lambda: house.links["broker"].health.up, what="the broker")
            for payload in (b'{"v": 1}', b'{"v": 667}', b'{"v": 2}', b'{"v": 667}'):
                client.publish("site/p1", payload, qos=1)
            wait(lambda: len(stored(tmp_path, "any.v")) == 4, what="the offender and those beside it are kept")
            publish(client, "gas/1", b'{"ch4": 666}')
            wait(lambda: any("threshold" in text for text in field.texts()), what="a fault of the rule kind is told")
            publish(client, "gas/1", b'{"ch4": 43}')
            wait(lambda: any("43" in text for text in field.texts()), what="the kind judges again")

        house = asyncio.run(scene())
        assert house.runner.refused == 2
        good = [(1.0, "GOOD"), (2.0, "GOOD")]
        assert [reading for reading in stored(tmp_path, "any.v") if reading[1] == "GOOD"] == good
        assert [quality for value, quality in stored(tmp_path, "any.v") if value == 667.0] == ["BAD:refused"] * 2
        assert sum("refused" in text for text in faults(tmp_path)) >= 1
