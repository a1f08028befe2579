"""The JSON of Grafana: targets, panels, variables, annotations. Nothing in here knows what firegrid measures.

Below `dashboards.questions`. A query is written twice, in PromQL and in InfluxQL; which of the two a dashboard gets is
decided by its data source. Panels and options are those of Grafana itself, no plug-in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
COLUMNS = 24  # of Grafana's grid
ONLY_INFLUXQL = ("Time", "text", "who", "from", "to")  # PromQL's rows of now have no time of their own, and no text
ONLY_PROMQL = ("count",)  # InfluxQL has the rows themselves instead


@dataclass(frozen=True)
class Source:
    """A data source: how its files are called, Grafana's type, and whether it is asked in PromQL."""

    id: str
    type: str
    promql: bool

    @property
    def ref(self) -> Json:
        """Return the reference that panels carry."""
        return {"type": self.type, "uid": f"firegrid-{self.id}"}


VICTORIA = Source("victoriametrics", "prometheus", promql=True)
INFLUX = Source("influxdb", "influxdb", promql=False)
SOURCES = (VICTORIA, INFLUX)


@dataclass(frozen=True)
class Ask:
    """One query in both languages; an empty one is not asked. `name`: labels that name a series, or its name.

    `table`: rows of now (PromQL: instant) instead of series over time. `value`: column that is the number in PromQL.
    """

    promql: str
    influxql: str = ""
    name: Sequence[str] | str = ""
    table: bool = False
    value: str = ""

    def target(self, source: Source, letter: str) -> Json | None:
        """Return the target for a data source; None if that has no such query."""
        if source.promql:
            if not self.promql:
                return None
            legend = self.name if isinstance(self.name, str) else " ".join(f"{{{{{name}}}}}" for name in self.name)
            form: Json = {"instant": True, "range": False, "format": "table"} if self.table else {
                "instant": False, "range": True, "format": "time_series"}  # fmt: skip
            legends = {"legendFormat": legend} if legend else {}
            return (
                {"refId": letter, "datasource": source.ref, "editorMode": "code", "expr": self.promql} | form | legends
            )
        if not self.influxql:
            return None
        alias = self.name if isinstance(self.name, str) else " ".join(f"$tag_{name}" for name in self.name)
        return {
            "refId": letter,
            "datasource": source.ref,
            "query": self.influxql,
            "rawQuery": True,
            "resultFormat": "table" if self.table else "time_series",
        } | ({"alias": alias} if alias else {})


@dataclass(frozen=True)
class Panel:
    """One panel before it has a place. `overrides`: field name → properties. `columns`: of a table, in order."""

    kind: str
    title: str
    asks: Sequence[Ask]
    size: tuple[int, int]  # columns, rows
    help: str = ""
    unit: str = ""
    options: Json = field(default_factory=dict)
    custom: Json = field(default_factory=dict)
    mappings: Sequence[Json] = ()
    steps: Sequence[tuple[float | None, str]] = ()
    overrides: Mapping[str, Json] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    empty: str = ""

    def json(self, source: Source, number: int, place: tuple[int, int]) -> Json | None:
        """Return the panel; None when the data source has nothing for it."""
        made = [ask.target(source, chr(ord("A") + index)) for index, ask in enumerate(self.asks)]
        targets = [target for target in made if target is not None]
        if not targets:
            return None
        defaults: Json = {"custom": self.custom} if self.custom else {}
        defaults |= {"unit": self.unit} if self.unit else {}
        defaults |= {"mappings": list(self.mappings)} if self.mappings else {}
        defaults |= {"noValue": self.empty} if self.empty else {}
        if self.steps:
            steps = [{"value": value, "color": colour} for value, colour in self.steps]
            defaults |= {"color": {"mode": "thresholds"}, "thresholds": {"mode": "absolute", "steps": steps}}
        panel: Json = {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "datasource": source.ref,
            "gridPos": {"x": place[0], "y": place[1], "w": self.size[0], "h": self.size[1]},
            "targets": targets,
            "fieldConfig": {"defaults": defaults, "overrides": [_override(*item) for item in self.overrides.items()]},
            "options": self.options,
        }
        panel |= {"description": self.help} if self.help else {}
        if self.columns:
            panel["transformations"] = _arranged(self._fields(source, targets), len(targets))
        return panel

    def _fields(self, source: Source, targets: Sequence[Json]) -> dict[str, str]:
        """Return field names as the data source gives them → titles, in order."""
        if not source.promql:
            return {name: title for name, title in self.columns.items() if name not in ONLY_PROMQL}
        values = {
            ask.value: "Value" if len(targets) == 1 else f"Value #{chr(ord('A') + index)}"
            for index, ask in enumerate(self.asks)
        }
        return {values.get(name, name): title for name, title in self.columns.items() if name not in ONLY_INFLUXQL}


def _override(name: str, properties: Json) -> Json:
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": key, "value": value} for key, value in properties.items()],
    }


def _arranged(columns: Mapping[str, str], targets: int) -> list[Json]:
    """Return transformations that leave a table its columns, in order and by their names for people."""
    arranged: Json = {
        "id": "organize",
        "options": {"excludeByName": {}, "renameByName": dict(columns), "indexByName": {
            name: place for place, name in enumerate(columns)}},
    }  # fmt: skip
    only: Json = {"id": "filterFieldsByName", "options": {"include": {"names": list(columns)}}}
    return [*([{"id": "merge", "options": {}}] if targets > 1 else []), only, arranged]


def placed(panels: Sequence[Panel], source: Source) -> list[Json]:
    """Return panels from left to right and from top to bottom; those without a query are left out."""
    found: list[Json] = []
    x = y = height = 0
    for panel in panels:
        if x + panel.size[0] > COLUMNS:
            x, y, height = 0, y + height, 0
        made = panel.json(source, len(found) + 1, (x, y))
        if made is not None:
            found.append(made)
            x, height = x + panel.size[0], max(height, panel.size[1])
    return found


def variable(source: Source, name: str, title: str, asked: tuple[str, str], *, many: bool) -> Json:
    """Return a variable of the dashboard; `asked` in PromQL and InfluxQL."""
    text = asked[0] if source.promql else asked[1]
    query: Json | str = {"query": text, "refId": name} if source.promql else text
    made: Json = {
        "type": "query",
        "name": name,
        "label": title,
        "datasource": source.ref,
        "query": query,
        "refresh": 2,  # when the time range changes
        "sort": 1,
        "multi": many,
        "includeAll": many,
        "hide": 0,
    }
    if many:
        made |= {"allValue": ".*", "current": {"text": ["All"], "value": ["$__all"]}}
    return made


def annotation(source: Source, name: str, colour: str, asked: tuple[str, str]) -> Json:
    """Return alarms as marks over every chart; columns are `text`, `to` and tags."""
    made: Json = {"name": name, "datasource": source.ref, "enable": True, "hide": False, "iconColor": colour}
    if source.promql:
        return made | {
            "expr": asked[0],
            "step": "60s",
            "titleFormat": "{{class}} {{device}} {{point}} {{key}}",
            "textFormat": "{{rule}} {{cause}}",
            "tagKeys": "class,severity,cause",
            "target": {"refId": "Anno", "expr": asked[0], "interval": "60s", "range": True, "instant": False},
        }
    return made | {
        "target": {
            "refId": "Anno",
            "query": asked[1],
            "fromAnnotations": True,
            "rawQuery": True,
            "resultFormat": "table",
            "titleColumn": "device",
            "textColumn": "text",
            "tagsColumn": "class,to,cause",
        }
    }
