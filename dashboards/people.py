"""The question how people handle it: what waits for an answer, how long answers take, what people did.

Beside `dashboards.questions`. The time until an answer is counted from what every transition says: PromQL counts the
moments in which an alarm stood unanswered, InfluxQL subtracts the times of the raise and of the acknowledgement.
"""

from __future__ import annotations

from dashboards.panels import Ask, Panel
from dashboards.questions import BARS, EVER, LEGEND, NUMBER, TABLE, WHERE, moves, titles
from dashboards.words import TEXTS, classes
from gateway.model.alarm import AlarmState
from gateway.model.verdict import Cause
from gateway.sinks._lines import STATES

ACTS = "|".join(
    cause.value
    for cause in (
        Cause.ACKNOWLEDGED,
        Cause.RESET,
        Cause.SHELVED,
        Cause.UNSHELVED,
        Cause.OUT_OF_SERVICE,
        Cause.IN_SERVICE,
    )
)
_OPEN = sorted(STATES[state] for state in AlarmState if state.unacknowledged)
_PLACE = ("station", "class", "device", "point", "key", "rule")
_BY = ", ".join(_PLACE)
_TAGS = ", ".join(f'"{name}"' for name in _PLACE)
# How many seconds each alarm stood unanswered: samples of the state at every interval, those that waited counted.
_STATE = f"max by ({_BY}) (last_over_time(firegrid_alarm_state{{{WHERE[0]}}}[{EVER[0]}]))"
# What is shelved, tested or out of service calls nobody, so it waits for nobody's answer.
_KEPT = f"max by ({_BY}) (last_over_time(firegrid_alarm_suppression{{{WHERE[0]}}}[{EVER[0]}])) > 0"
_WAITED = (
    "("
    + " or ".join(f"count_over_time(({_STATE} == {number} unless {_KEPT})[$__range:$__interval])" for number in _OPEN)
    + ") * $__interval_ms / 1000"
)
# From state 1 (raised) to the first state that is acknowledged, in between nothing else is looked at.
_ANSWERED = (
    f'SELECT {_TAGS}, "waited" FROM (SELECT ELAPSED("acknowledged", 1s) AS "waited", '
    'DIFFERENCE("acknowledged") AS "up" '
    f'FROM "firegrid_alarm" WHERE {WHERE[1]} AND $timeFilter AND ("state" = {STATES[AlarmState.UNACK]} '
    f'AND "suppression" = 0 OR "acknowledged" = 1) GROUP BY {_TAGS}) WHERE "up" = 1'
)
_LAST = (
    f'SELECT LAST("state") AS "state", "suppression" FROM "firegrid_alarm" WHERE {WHERE[1]} AND '
    f"time > now() - {EVER[1]} GROUP BY *"
)
_WAITS = "(" + " OR ".join(f'"state" = {number}' for number in _OPEN) + ') AND "suppression" = 0'


def handling(language: str) -> list[Panel]:
    """Return: how are people handling it?"""
    text = TEXTS[language]
    waiting = " or ".join(f"({_STATE} == {number} unless {_KEPT})" for number in _OPEN)
    return [
        Panel(
            "stat",
            text["unanswered"],
            [
                Ask(
                    f"count({waiting}) or vector(0)",
                    f'SELECT COUNT("state") FROM ({_LAST}) WHERE {_WAITS}',
                    text["unanswered"],
                )
            ],
            (6, 5),
            options=NUMBER,
            steps=((None, "green"), (1, "red")),
            empty="0",
        ),
        Panel(
            "stat",
            text["longest"],
            [Ask(f"max({_WAITED})", _ANSWERED.replace(f'{_TAGS}, "waited"', 'MAX("waited")', 1), text["longest"])],
            (6, 5),
            help=text["unanswered_help"],
            unit="s",
            options=NUMBER,
            steps=((None, "green"), (60, "orange"), (300, "red")),
        ),
        Panel(
            "timeseries",
            text["acts"],
            [
                Ask(
                    f'sum by (cause) (count_over_time(firegrid_transition_n{{{WHERE[0]},cause=~"{ACTS}"}}'
                    "[$__interval]))",
                    f'SELECT COUNT("n") FROM "firegrid_transition" WHERE {WHERE[1]} AND "cause" =~ /^({ACTS})$/ AND '
                    '$timeFilter GROUP BY time($__interval), "cause" fill(none)',
                    ("cause",),
                )
            ],
            (12, 5),
            custom=BARS,
            options=LEGEND,
        ),
        Panel(
            "table",
            text["answer_time"],
            [Ask(f"{_WAITED} > 0", _ANSWERED, table=True, value="waited")],
            (24, 9),
            help=text["answer_help"],
            options=TABLE,
            columns=titles(language, "Time", *_PLACE, "waited"),
            overrides={
                text["waited"]: {"unit": "s"},
                text["class"]: {"mappings": classes(language), "custom.cellOptions": {"type": "color-text"}},
            },
        ),
        moves(language, "act_list", ACTS),
        Panel(
            "timeseries",
            text["notices"],
            [Ask(f"sum by (channel, state) (firegrid_notices{{{WHERE[0]}}})", name=("channel", "state"))],
            (12, 8),
            options=LEGEND,
            overrides={},
        ),
        Panel(
            "timeseries",
            text["alarm_to_send"],
            [
                Ask(
                    "histogram_quantile(0.99, sum by (le) (increase("
                    f"firegrid_alarm_to_send_seconds_bucket{{{WHERE[0]}}}[$__range])))",
                    name="99 %",
                )
            ],
            (12, 8),
            unit="s",
            options=LEGEND,
        ),
    ]
