"""The four questions, each a dashboard: what it asks, in PromQL and InfluxQL, and how the answer is drawn.

Between `dashboards.generate` and `dashboards.panels`. Measurements, tags and fields are those of `docs/time-series.md`,
metrics of the gateway itself those of `docs/grafana.md`; classes, states and points of the box come from the model.
PromQL is plain: what VictoriaMetrics adds to it is not used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dashboards.panels import Ask, Json, Panel
from dashboards.words import TEXTS, classes, qualities, states, suppressions
from gateway.model.point import AlarmClass
from gateway.web import words as page

EVER = "1y", "52w"  # back to which the last transition of an alarm is looked for, in PromQL and InfluxQL
WHERE = 'station=~"$station"', '"station" =~ /^$station$/'
_PLACE = ("station", "class", "severity", "cell", "device", "point", "key", "rule")
_TAGS = ", ".join(f'"{name}"' for name in _PLACE)
LINES: Json = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 5, "showPoints": "auto", "spanNulls": 3_600_000}
BARS: Json = {"drawStyle": "bars", "fillOpacity": 60, "lineWidth": 0, "stacking": {"mode": "normal", "group": "A"}}
LEGEND: Json = {
    "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
    "tooltip": {"mode": "multi", "sort": "desc"},
}
NUMBER: Json = {
    "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    "orientation": "auto",
    "textMode": "auto",
    "colorMode": "background",
    "graphMode": "none",
    "justifyMode": "auto",
}
TABLE: Json = {"showHeader": True, "frameIndex": 0}
TIMELINE: Json = {
    "showValue": "auto",
    "rowHeight": 0.9,
    "mergeValues": True,
    "alignValue": "left",
    "legend": LEGEND["legend"],
    "tooltip": {"mode": "single", "sort": "none"},
}
ANY: Sequence[tuple[float | None, str]] = ((None, "green"), (1, "red"))


def titles(language: str, *names: str) -> dict[str, str]:
    """Return columns of a table with their titles."""
    text = TEXTS[language]
    return {name: text[name.lower()] for name in names}


def overview(language: str) -> list[Panel]:
    """Return: what is the state of everything?"""
    text = TEXTS[language]
    counts = [
        Ask(
            f'sum(last_over_time(firegrid_alarm_active{{{WHERE[0]},class="{kind.word}"}}[{EVER[0]}])) or vector(0)',
            f'SELECT SUM("active") FROM (SELECT LAST("active") AS "active" FROM "firegrid_alarm" WHERE {WHERE[1]} AND '
            f"\"class\" = '{kind.word}' AND time > now() - {EVER[1]} GROUP BY *)",
            page.CLASSES[language][kind],
        )
        for kind in AlarmClass
    ]
    return [
        Panel("stat", text["open_now"], counts, (16, 5), options=NUMBER, steps=ANY, empty="0"),
        Panel(
            "stat",
            text["stations"],
            [
                Ask(
                    f"count(count by (station) (last_over_time(firegrid_gateway_up{{{WHERE[0]}}}[10m])))",
                    'SELECT COUNT("up") FROM (SELECT LAST("up") AS "up" FROM "firegrid_gateway" WHERE '
                    f'{WHERE[1]} AND time > now() - 10m GROUP BY "station")',
                    text["stations"],
                )
            ],
            (4, 5),
            help=text["stations_help"],
            options=NUMBER,
            steps=((None, "red"), (1, "green")),
            empty="0",
        ),
        Panel(
            "stat",
            text["without"],
            [
                Ask(
                    f"count(last_over_time(firegrid_reading_quality{{{WHERE[0]}}}[2d]) >= 128) or vector(0)",
                    'SELECT COUNT("quality") FROM (SELECT LAST("quality") AS "quality" FROM "firegrid_reading" WHERE '
                    f'{WHERE[1]} AND time > now() - 2d GROUP BY *) WHERE "quality" >= 128',
                    text["without"],
                )
            ],
            (4, 5),
            options=NUMBER,
            steps=((None, "green"), (1, "orange")),
            empty="0",
        ),
        open_alarms(language),
        latest(language),
    ]


def open_alarms(language: str, only: str = "", title: str = "open_alarms") -> Panel:
    """Return the table of open alarms; `only` these classes (a regular expression)."""
    text = TEXTS[language]
    prom = f',class=~"{only}"' if only else ""
    influx = f' AND "class" =~ /^({only})$/' if only else ""
    state, kept = (
        f"max by ({', '.join(_PLACE)}) (last_over_time(firegrid_alarm_{field}{{{WHERE[0]}{prom}}}[{EVER[0]}]))"
        for field in ("state", "suppression")
    )
    return Panel(
        "table",
        text[title],
        [
            Ask(
                f"{state} > 0",
                f'SELECT {_TAGS}, "state", "suppression", "text" FROM (SELECT LAST("state") AS "state", "suppression", '
                f'"text" FROM "firegrid_alarm" WHERE {WHERE[1]}{influx} AND time > now() - {EVER[1]} GROUP BY *) '
                'WHERE "state" > 0',
                table=True,
                value="state",
            ),
            Ask(f"{kept} and {state} > 0", table=True, value="suppression"),
        ],
        (24, 8),
        options=TABLE,
        columns=titles(language, "Time", *_PLACE, "state", "suppression", "text"),
        overrides=_meaning(language),
        empty=text["no_alarm"],
    )


def _meaning(language: str) -> dict[str, Json]:
    """Return what the columns of class, state and quality mean, in colour."""
    text = TEXTS[language]
    cell = {"type": "color-text"}
    return {
        text[name]: {"mappings": mappings, "custom.cellOptions": cell}
        for name, mappings in (
            ("class", classes(language)),
            ("state", states(language)),
            ("suppression", suppressions(language)),
            ("quality", qualities(language)),
        )
    }


def latest(language: str) -> Panel:
    """Return the last value of every point."""
    text = TEXTS[language]
    place = ("station", "cell", "device", "point", "unit")
    by = ", ".join(place)
    tags = ", ".join(f'"{name}"' for name in place)
    fields = [
        Ask(f"max by ({by}) (last_over_time(firegrid_reading_{name}{{{WHERE[0]}}}[2d]))", table=True, value=name)
        for name in ("value", "quality")
    ]
    influx = (
        f'SELECT {tags}, "value", "quality" FROM (SELECT LAST("value") AS "value", LAST("quality") AS "quality" FROM '
        f'"firegrid_reading" WHERE {WHERE[1]} AND time > now() - 2d GROUP BY {tags})'
    )
    return Panel(
        "table",
        text["latest"],
        [Ask(fields[0].promql, influx, table=True, value="value"), fields[1]],
        (24, 12),
        help=text["latest_help"],
        options=TABLE,
        columns=titles(language, *place, "value", "quality"),
        overrides=_meaning(language),
    )


def events(language: str) -> list[Panel]:
    """Return: what happened?"""
    text = TEXTS[language]
    named = {kind.word: {"displayName": word} for kind, word in page.CLASSES[language].items()}
    chosen = f'{WHERE[0]},device=~"$device",point=~"$point"'
    return [
        Panel(
            "timeseries",
            text["transitions"],
            [
                Ask(
                    f"sum by (class) (count_over_time(firegrid_transition_n{{{WHERE[0]}}}[$__interval]))",
                    f'SELECT COUNT("n") FROM "firegrid_transition" WHERE {WHERE[1]} AND $timeFilter '
                    'GROUP BY time($__interval), "class" fill(none)',
                    ("class",),
                )
            ],
            (12, 7),
            custom=BARS,
            options=LEGEND,
            overrides=named,
        ),
        Panel(
            "timeseries",
            text["events_by_code"],
            [
                Ask(
                    f"sum by (code) (count_over_time(firegrid_event_n{{{WHERE[0]}}}[$__interval]))",
                    f'SELECT COUNT("n") FROM "firegrid_event" WHERE {WHERE[1]} AND $timeFilter '
                    'GROUP BY time($__interval), "code" fill(none)',
                    ("code",),
                )
            ],
            (12, 7),
            custom=BARS,
            options=LEGEND,
        ),
        Panel(
            "state-timeline",
            text["alarm_states"],
            [
                Ask(
                    f"last_over_time(firegrid_alarm_state{{{WHERE[0]}}}[{EVER[0]}])",
                    f'SELECT "state" FROM "firegrid_alarm" WHERE {WHERE[1]} AND $timeFilter '
                    'GROUP BY "class", "device", "point", "key", "rule"',
                    ("device", "point", "key", "rule"),
                )
            ],
            (24, 10),
            options=TIMELINE,
            mappings=states(language),
        ),
        Panel(
            "timeseries",
            text["readings"],
            [
                Ask(
                    f"firegrid_reading_value{{{chosen}}}",
                    f'SELECT MEAN("value") FROM "firegrid_reading" WHERE {WHERE[1]} AND "device" =~ /^$device$/ AND '
                    '"point" =~ /^$point$/ AND $timeFilter GROUP BY time($__interval), "device", "point" fill(none)',
                    ("device", "point"),
                )
            ],
            (24, 9),
            custom=LINES,
            options=LEGEND,
        ),
        _list(
            language,
            "event_list",
            Ask(
                f"sum by (station, device, code, key) (count_over_time(firegrid_event_n{{{WHERE[0]}}}[$__range])) > 0",
                f'SELECT "station", "device", "code", "key", "text" FROM "firegrid_event" WHERE {WHERE[1]} AND '
                "$timeFilter ORDER BY time DESC LIMIT 500",
                table=True,
                value="count",
            ),
            ("Time", "station", "device", "code", "key", "text"),
        ),
        moves(language, "transition_list", ""),
    ]


def _list(language: str, title: str, ask: Ask, names: Sequence[str]) -> Panel:
    columns = titles(language, *names, "count")
    return Panel(
        "table",
        TEXTS[language][title],
        [ask],
        (24, 9),
        options=TABLE,
        columns=columns,
        overrides=_meaning(language),
    )


def moves(language: str, title: str, causes: str) -> Panel:
    """Return the list of transitions; `causes`: a regular expression, empty for all."""
    prom = f',cause=~"{causes}"' if causes else ""
    influx = f' AND "cause" =~ /^({causes})$/' if causes else ""
    by = "station, class, cell, device, point, key, cause"
    tags = ", ".join(f'"{name}"' for name in by.split(", "))
    return _list(
        language,
        title,
        Ask(
            f"sum by ({by}) (count_over_time(firegrid_transition_n{{{WHERE[0]}{prom}}}[$__range])) > 0",
            f'SELECT {tags}, "from", "to", "who", "text" FROM "firegrid_transition" WHERE {WHERE[1]}{influx} AND '
            "$timeFilter ORDER BY time DESC LIMIT 500",
            table=True,
            value="count",
        ),
        ("Time", *by.split(", "), "from", "to", "who", "text"),
    )


Question = Callable[[str], list[Panel]]
