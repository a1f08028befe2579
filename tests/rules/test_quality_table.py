"""Quality and verdicts: every row of the table in house section 6, and late readings, as golden cases."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from gateway.model.delta import Delta
from gateway.model.point import AlarmClass
from gateway.model.quality import Doubt, Level, quality
from tests.rules.building import SECOND, device, engine, moment, rule

CASES: list[dict[str, Any]] = tomllib.loads(
    (Path(__file__).parents[1] / "cases" / "rules" / "quality.toml").read_text(encoding="utf-8")
)["case"]
WORDS = {
    "GOOD": 0,
    "UNCERTAIN": quality(Level.UNCERTAIN, Doubt.DEVICE_DOUBT),
    "RETAINED": quality(Level.UNCERTAIN, Doubt.RETAINED),
    "OVER_RANGE": quality(Level.UNCERTAIN, Doubt.OVER_RANGE),
    "BAD": quality(Level.BAD, Doubt.IMPLAUSIBLE),
}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_row(case: dict[str, Any]) -> None:
    made = engine(
        (device("d", silence=9000.0),),
        rule(
            when=case.get("when", "value > 10"),
            clear=case.get("clear", "value < 5") or None,
            on_delay=float(case.get("on_delay", 3)),
            off_delay=float(case.get("off_delay", 4)),
            alarm_class=AlarmClass[case.get("class", "gas").upper()],
        ),
    )
    delta = Delta()
    changes = []
    for time, value, word, *arrival in case["reads"]:
        at = arrival[0] if arrival else time
        changes += made.fire(at * SECOND - 1, delta)
        changes += made.judge(moment(at, [(1, time, value, WORDS[word])]), delta)
    changes += made.fire(case.get("until", 500) * SECOND, delta)
    got = [[change.up, change.at / SECOND, change.since / SECOND, change.cause.value] for change in changes]
    assert got == case["changes"]
    assert not len(made.tables.delays) or case["class"] in ("supervisory", "fault")
