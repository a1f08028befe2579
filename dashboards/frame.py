"""What stands around the panels of a dashboard: variables to choose by, and alarms as annotations.

Between `dashboards.generate` and `dashboards.panels`.
"""

from __future__ import annotations

from dashboards.panels import Json, Source, annotation, variable
from dashboards.questions import WHERE
from dashboards.words import TEXTS
from gateway.model.point import AlarmClass


def frame(source: Source, language: str, *, one: bool, readings: bool) -> tuple[list[Json], list[Json]]:
    """Return variables and annotations. `one`: one station at a time; `readings`: device and point to choose."""
    text = TEXTS[language]
    found = [
        variable(
            source,
            "station",
            text["station"],
            (
                "label_values(firegrid_reading_quality, station)",
                'SHOW TAG VALUES FROM "firegrid_reading" WITH KEY = "station"',
            ),
            many=not one,
        )
    ]
    for name in ("device", "point") if readings else ():
        asked = (
            f"label_values(firegrid_reading_value{{{WHERE[0]}}}, {name})",
            f'SHOW TAG VALUES FROM "firegrid_reading" WITH KEY = "{name}" WHERE {WHERE[1]}',
        )
        found.append(variable(source, name, text[name], asked, many=True))
    safety = "|".join(kind.word for kind in AlarmClass if kind.life_safety)
    others = "|".join(kind.word for kind in AlarmClass if not kind.life_safety)
    marks = [
        annotation(source, text["open_alarms"] if first else text["faults"], colour, _marked(wanted))
        for first, colour, wanted in ((True, "red", safety), (False, "orange", others))
    ]
    return found, marks


def _marked(wanted: str) -> tuple[str, str]:
    by = "station, class, severity, device, point, key, rule, cause"
    promql = f'sum by ({by}) (count_over_time(firegrid_transition_n{{{WHERE[0]},class=~"{wanted}"}}[1m])) > 0'
    influxql = (
        f'SELECT "text", "to", "class", "device", "cause" FROM "firegrid_transition" WHERE {WHERE[1]} AND '
        f'"class" =~ /^({wanted})$/ AND $timeFilter'
    )
    return promql, influxql
