"""The question how healthy gateway, links and batteries are; the points of device `gateway` come from the model.

Beside `dashboards.questions`. What the gateway tells of itself as readings is in every time-series store; what only
its `/metrics` has is shown where that is scraped (PromQL).
"""

from __future__ import annotations

from dashboards.panels import Ask, Json, Panel
from dashboards.questions import LEGEND, LINES, NUMBER, TIMELINE, WHERE, open_alarms
from dashboards.words import TEXTS, label
from gateway.care.own import POINTS
from gateway.model.inventory import BOX
from gateway.model.point import Kind, PointSpec

UNITS = {
    "%": "percent",
    "By": "bytes",
    "By/d": "bytes",
    "Cel": "celsius",
    "s": "s",
    "d": "d",
    "1": "short",
    "dB[mW]": "dBm",
}
# Charts of measures: what is of one unit and of one size stands together.
CHARTS = {
    "shares": (
        "disk_free_share",
        "store_budget",
        "inodes_free_share",
        "memory_available",
        "battery_charge",
        "card_wear",
    ),
    "bytes": ("disk_free", "store_size", "wal_size", "memory_used"),
    "kept": ("readings_kept",),
    "wear": ("written_day", "disk_written_day"),
    "temperature": ("cpu_temperature",),
    "delays": ("loop_lag", "clock_error"),
    "times": ("uptime", "battery_runtime"),
    "numbers": ("load", "restarts_day"),
    "signal": ("modem_signal",),
}
_GOOD = ("normal", "no", "home", "roaming", "ready", "present")
_YES_IS_GOOD = "clock_trusted"


def health(language: str) -> list[Panel]:
    """Return: how healthy are gateway, links, batteries?"""
    text = TEXTS[language]
    known = {spec.name: spec for spec in POINTS}
    return [
        Panel(
            "stat",
            text["gateway_up"],
            [
                Ask(
                    f"count(last_over_time(firegrid_gateway_up{{{WHERE[0]}}}[10m])) or vector(0)",
                    f'SELECT LAST("up") FROM "firegrid_gateway" WHERE {WHERE[1]} AND time > now() - 10m',
                    text["gateway_up"],
                )
            ],
            (4, 6),
            options=NUMBER,
            mappings=[_words({"0": (text["dead"], "red"), "1": (text["live"], "green")})],
            steps=((None, "red"), (1, "green"), (2, "orange")),
            empty=text["dead"],
        ),
        _states(language),
        open_alarms(language, "supervisory|fault|maintenance", "faults"),
        *(_chart(language, title, [known[name] for name in names]) for title, names in CHARTS.items()),
        Panel(
            "timeseries",
            text["batteries"],
            [
                Ask(
                    f'last_over_time(firegrid_reading_value{{{WHERE[0]},point=~"battery.*",device!="{BOX}"}}[2d])',
                    f'SELECT LAST("value") FROM "firegrid_reading" WHERE {WHERE[1]} AND "point" =~ /^battery/ AND '
                    f"\"device\" != '{BOX}' AND $timeFilter "
                    'GROUP BY time($__interval), "device", "point" fill(none)',
                    ("device", "point"),
                )
            ],
            (12, 8),
            custom=LINES,
            options=LEGEND,
        ),
        _qualities(language),
        *_told_by_metrics(language),
    ]


def _states(language: str) -> Panel:
    """Return the states of the box over time, each with its own words."""
    specs = [spec for spec in POINTS if spec.kind is Kind.STATE]
    where = f'{WHERE[0]},device="{BOX}"'
    return Panel(
        "state-timeline",
        TEXTS[language]["states"],
        [
            Ask(
                f'last_over_time(firegrid_reading_value{{{where},point="{spec.name}"}}[5m])',
                f'SELECT LAST("value") FROM "firegrid_reading" WHERE {WHERE[1]} AND "device" = \'{BOX}\' AND '
                f"\"point\" = '{spec.name}' AND $timeFilter GROUP BY time($__interval) fill(none)",
                _title(language, spec),
            )
            for spec in specs
        ],
        (20, 8),
        options=TIMELINE,
        overrides={_title(language, spec): {"mappings": [_labels(language, spec)]} for spec in specs},
    )


def _labels(language: str, spec: PointSpec) -> Json:
    good = ("yes",) if spec.name == _YES_IS_GOOD else _GOOD
    return _words(
        {
            str(int(number)): (label(language, word), "green" if word in good else "red")
            for word, number in spec.labels.items()
        }
    )


def _words(said: dict[str, tuple[str, str]]) -> Json:
    options = {
        number: {"text": word, "color": colour, "index": place}
        for place, (number, (word, colour)) in enumerate(said.items())
    }
    return {"type": "value", "options": options}


def _title(language: str, spec: PointSpec) -> str:
    return spec.title if language == "zh" else spec.title_en


def _chart(language: str, title: str, specs: list[PointSpec]) -> Panel:
    """Return measures of the box over time."""
    names = "|".join(spec.name for spec in specs)
    return Panel(
        "timeseries",
        TEXTS[language][title],
        [
            Ask(
                f'last_over_time(firegrid_reading_value{{{WHERE[0]},device="{BOX}",point=~"{names}"}}[5m])',
                f'SELECT MEAN("value") FROM "firegrid_reading" WHERE {WHERE[1]} AND "device" = \'{BOX}\' AND '
                f'"point" =~ /^({names})$/ AND $timeFilter GROUP BY time($__interval), "point" fill(none)',
                ("point",),
            )
        ],
        (12, 8),
        unit=UNITS[specs[0].unit],
        custom=LINES,
        options=LEGEND,
        overrides={spec.name: {"displayName": _title(language, spec)} for spec in specs},
    )


def _qualities(language: str) -> Panel:
    """Return how many points are good, doubtful and bad."""
    text = TEXTS[language]
    asks = []
    for name, first, beyond in (("good", 0, 64), ("uncertain", 64, 128), ("bad", 128, 256)):
        newest = f"last_over_time(firegrid_reading_quality{{{WHERE[0]}}}[10m])"
        asks.append(
            Ask(
                f"count({newest} >= {first} < {beyond}) or vector(0)",
                f'SELECT COUNT("quality") FROM "firegrid_reading" WHERE {WHERE[1]} AND "quality" >= {first} AND '
                f'"quality" < {beyond} AND $timeFilter GROUP BY time($__interval) fill(0)',
                text[name],
            )
        )
    return Panel("timeseries", text["bad_points"], asks, (12, 8), custom=LINES, options=LEGEND)


def _told_by_metrics(language: str) -> list[Panel]:
    """Return what the gateway's own `/metrics` say."""
    text = TEXTS[language]

    def rest(name: str) -> str:
        return f"firegrid_{name}{{{WHERE[0]}}}"

    def late(name: str) -> str:
        return f"histogram_quantile(0.99, sum by (le) (increase({rest(name + '_seconds_bucket')}[$__range])))"

    return [
        Panel(
            "state-timeline",
            text["links"],
            [Ask(rest("link_up"), name=("link",))],
            (24, 10),
            options=TIMELINE,
            mappings=[_words({"0": (text["down"], "red"), "1": (text["up"], "green")})],
        ),
        _metric(text["rates"], [Ask(f"rate({rest('readings_total')}[$__rate_interval])", name=text["rates"])], "cps"),
        _metric(
            text["commit"],
            [Ask(late("commit"), name=text["commit"]), Ask(late("arrival_to_commit"), name=text["arrival"])],
            "s",
        ),
        _metric(text["queues"], [Ask(rest("intake_waiting"), name=text["waiting"])], "short"),
        _metric(text["backlog"], [Ask(rest("sink_backlog_seconds"), name=("sink",))], "s"),
    ]


def _metric(title: str, asks: list[Ask], unit: str) -> Panel:
    return Panel("timeseries", title, asks, (12, 8), unit=unit, custom=LINES, options=LEGEND)
