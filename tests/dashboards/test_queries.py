"""Every query of every panel, variable and annotation of every dashboard, asked at real servers."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dashboards.generate import QUESTIONS, dashboard
from dashboards.panels import INFLUX, ONLY_INFLUXQL, SOURCES, VICTORIA, Json, Source
from dashboards.words import LANGUAGES, TEXTS
from gateway.model.point import AlarmClass
from tests.dashboards import watched
from tests.dashboards.watched import STATION, WAITED, Watched

RANGE, STEP = 3600, 60  # s
Rows = list[dict[str, Any]]
ALL = [(source, language, name) for source in SOURCES for language in LANGUAGES for name in QUESTIONS]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with watched.watched(tmp_path_factory.mktemp("tsdb")) as found:
        yield found


def spelled(text: str, at: Watched) -> str:
    """Write what Grafana puts in place of its variables."""
    return (
        text.replace("$timeFilter", f"time >= {at.now - RANGE}s and time <= {at.now}s")
        .replace("now()", f"{at.now}s")
        .replace("$__interval_ms", str(STEP * 1000))
        .replace("$__interval", f"{STEP}s")
        .replace("$__rate_interval", "4m")
        .replace("$__range", f"{RANGE}s")
        .replace("$station", STATION)
        .replace("$device", ".*")
        .replace("$point", ".*")
    )


@cache
def asked(at: Watched, target: str) -> tuple[Rows, list[str]]:
    """Return what a target gives: rows of labels and numbers (or columns), and what the fields are called."""
    given: Json = json.loads(target)
    return prometheus(at, given) if "expr" in given else influxql(at, given)


def prometheus(at: Watched, target: Json) -> tuple[Rows, list[str]]:
    query = spelled(target["expr"], at)
    if target.get("instant"):
        answer = at.victoria.get("/api/v1/query", query=query, time=str(at.now), nocache="1")
    else:
        times = {"start": str(at.now - RANGE), "end": str(at.now), "step": str(STEP)}
        answer = at.victoria.get("/api/v1/query_range", query=query, nocache="1", **times)
    found = json.loads(answer)
    assert found["status"] == "success"
    rows = []
    for series in found["data"]["result"]:
        pairs = [series["value"]] if "value" in series else series["values"]
        rows.append(series["metric"] | {"Value": [float(value) for _, value in pairs]})
    return rows, sorted({key for row in rows for key in row})


def influxql(at: Watched, target: Json) -> tuple[Rows, list[str]]:
    answer = at.influx.ask(spelled(target["query"], at))
    assert "error" not in answer, answer
    rows, columns = [], set[str]()
    for series in answer.get("series", ()):
        names = ["Time" if name == "time" else name for name in series["columns"]]
        columns |= {*names, *series.get("tags", {})}
        rows += [dict(zip(names, values, strict=True)) | series.get("tags", {}) for values in series["values"]]
    return rows, sorted(columns)


def numbers(row: dict[str, Any]) -> list[float]:
    found = row.get("Value", [value for value in row.values() if isinstance(value, int | float)])
    return [value for value in found if not math.isnan(value)]


def renamed(panel: Json) -> dict[str, str]:
    return next(
        (step["options"]["renameByName"] for step in panel.get("transformations", ()) if step["id"] == "organize"), {}
    )


@pytest.mark.parametrize(("source", "language", "name"), ALL, ids=lambda value: getattr(value, "id", value))
def test_every_query_of_every_panel_gives_data_of_the_right_shape(
    servers: Watched, source: Source, language: str, name: str
) -> None:
    made = dashboard(source, language, name)
    assert len(made["panels"]) >= 5
    for panel in made["panels"]:
        columns = set[str]()
        for target in panel["targets"]:
            rows, fields = asked(servers, json.dumps(target))
            where = (panel["title"], target.get("expr") or target["query"])
            assert rows, where
            assert any(numbers(row) for row in rows) or panel["type"] == "table", where
            letter = target["refId"]
            many = len(panel["targets"]) > 1 and source.promql
            columns |= {f"Value #{letter}" if many and field == "Value" else field for field in fields}
            for label in re.findall(r"{{(\w+)}}|\$tag_(\w+)", target.get("legendFormat", "") + target.get("alias", "")):
                assert "".join(label) in fields, where
        wanted = set(renamed(panel)) - {"key"}  # only some places have one
        assert wanted <= columns, (panel["title"], wanted - columns)
        assert panel["type"] != "table" or len(wanted) >= 4


@pytest.mark.parametrize(("source", "language", "name"), ALL, ids=lambda value: getattr(value, "id", value))
def test_every_variable_and_annotation_finds_something(
    servers: Watched, source: Source, language: str, name: str
) -> None:
    made = dashboard(source, language, name)
    for variable in made["templating"]["list"]:
        assert choices(servers, variable), variable["name"]
    assert len(made["annotations"]["list"]) == 2
    for mark in made["annotations"]["list"]:
        rows, fields = asked(servers, json.dumps(mark["target"]))
        assert len(rows) >= 3
        if source is INFLUX:
            assert {"text", "to", "class", "device", "cause", "Time"} <= set(fields)
            assert all(row["text"] for row in rows)
        else:
            assert {"class", "device", "point", "cause", "rule"} <= set(fields)


def choices(at: Watched, variable: Json) -> list[str]:
    query = variable["query"]
    text = spelled(query if isinstance(query, str) else query["query"], at)
    if variable["datasource"]["type"] == INFLUX.type:
        rows, _ = influxql(at, {"query": text})
        return [row["value"] for row in rows]
    inside = re.fullmatch(r"label_values\((.*), (\w+)\)", text)
    assert inside is not None
    times = {"start": str(at.now - RANGE), "end": str(at.now)}
    answer = at.victoria.get(f"/api/v1/label/{inside[2]}/values", **{"match[]": inside[1]}, **times)
    return list(json.loads(answer)["data"])


def panel_of(source: Source, name: str, title: str) -> Json:
    made = dashboard(source, "en", name)
    return next(panel for panel in made["panels"] if panel["title"] == TEXTS["en"][title])


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.id)
def test_the_answers_are_right(servers: Watched, source: Source) -> None:
    """One open alarm a class: fire answered and gas shelved after five minutes, four still wait for an answer."""

    def ask(name: str, title: str, place: int = 0) -> Rows:
        return asked(servers, json.dumps(panel_of(source, name, title)["targets"][place]))[0]

    for kind in AlarmClass:
        (row,) = ask("overview", "open_now", kind)
        assert numbers(row)[-1] == 1
    assert {row["class"] for row in ask("overview", "open_alarms")} == {kind.word for kind in AlarmClass}
    assert numbers(ask("handling", "unanswered")[0])[-1] == 4
    kept = {row["class"]: row for row in ask("overview", "open_alarms", 1 if source is VICTORIA else 0)}
    named = "Value" if source is VICTORIA else "suppression"
    assert {word: row[named] for word, row in kept.items() if row[named] not in (0, [0.0])}.keys() == {"gas"}
    waited = {row["class"]: row for row in ask("handling", "answer_time")}
    fire = waited["fire"]["Value"][0] if source is VICTORIA else waited["fire"]["waited"]
    assert abs(fire - WAITED) <= (STEP if source is VICTORIA else 0)
    if source is VICTORIA:  # InfluxQL counts only what was answered
        assert abs(waited["gas"]["Value"][0] - WAITED) <= STEP < waited["flood"]["Value"][0] - WAITED
    assert numbers(ask("overview", "without")[0])[-1] == 1
    assert {row["cause"] for row in ask("handling", "act_list")} == {"acknowledged", "shelved"}


def test_what_only_one_data_source_has_is_named(servers: Watched) -> None:
    """Tables in InfluxQL have texts and people; both languages ask the same."""
    text = panel_of(INFLUX, "events", "event_list")
    rows, _ = asked(servers, json.dumps(text["targets"][0]))
    assert rows[0]["text"] == '火警 "3/17"'
    assert set(ONLY_INFLUXQL) & set(renamed(text)) == {"Time", "text"}
    assert not set(ONLY_INFLUXQL) & set(renamed(panel_of(VICTORIA, "events", "event_list")))
    for source in SOURCES:
        for name in QUESTIONS:
            zh, en = [queries(dashboard(source, language, name)) for language in LANGUAGES]
            assert zh == en


def queries(made: Json) -> list[str]:
    return [target.get("expr") or target["query"] for panel in made["panels"] for target in panel["targets"]]


def rules() -> Iterator[tuple[str, str]]:
    import yaml

    path = Path(__file__).parents[2] / "deploy" / "alert-rules.yml"
    for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


BAD = """
up{job="firegrid",instance="x"} 0
firegrid_turns_total 5
firegrid_notices{channel="sms",state="failed_for_good"} 2
firegrid_store_volatile 1
firegrid_link_up{link="bus1"} 0
firegrid_sink_backlog_seconds{sink="far"} 900
firegrid_clock_trusted 0
firegrid_gateway_up{instance="i1"} 1
firegrid_gateway_up{instance="i2"} 1
firegrid_dropped_total N
firegrid_thinned_readings_total N
firegrid_commit_seconds_bucket{le="1"} 0
firegrid_commit_seconds_bucket{le="5"} N
firegrid_commit_seconds_bucket{le="+Inf"} N
firegrid_alarm_to_send_seconds_bucket{le="2"} 0
firegrid_alarm_to_send_seconds_bucket{le="10"} N
firegrid_alarm_to_send_seconds_bucket{le="+Inf"} N
firegrid_reading_value{device="gateway",point="disk_free_share"} 3
firegrid_reading_value{device="gateway",point="card_wear"} 90
firegrid_reading_value{device="gateway",point="mains"} 0
firegrid_reading_value{device="gateway",point="battery_charge"} 10
firegrid_reading_value{device="gateway",point="modem_signal"} -110
firegrid_alarm_active{class="fire",device="d"} 1
firegrid_alarm_acknowledged{class="fire",device="d"} 0
"""


def firing(at: Watched, expression: str, second: int, station: str) -> bool:
    answer = at.victoria.get("/api/v1/query", query=expression, time=str(second), nocache="1")
    return any(row["metric"].get("station") == station for row in json.loads(answer)["data"]["result"])


def test_every_alert_fires_when_it_should_and_is_quiet_for_a_good_station(servers: Watched) -> None:
    found = dict(rules())
    assert len(found) >= 15
    for minute in range(5):
        text = BAD.replace(" N\n", f" {minute * 10}\n")
        labels = {"extra_label": "station=bad", "timestamp": str((servers.now - 60 * (4 - minute)) * 1000)}
        servers.victoria.post("/api/v1/import/prometheus", text.encode(), **labels)
    servers.victoria.get("/internal/force_flush")
    loud = {alert for alert, expression in found.items() if firing(servers, expression, servers.now, "bad")}
    assert set(found) - loud == {"FiregridDead"}
    assert firing(servers, found["FiregridDead"], servers.now + 900, "bad")
    told = {alert for alert, expression in found.items() if firing(servers, expression, servers.now, STATION)}
    # What the half hour has of it: alarms without an answer, a channel without a modem, a sink that is behind …
    assert not told & {"FiregridDead", "FiregridStuck", "FiregridTwoGateways", "FiregridStoreFault", "FiregridBacklog"}
    assert "FiregridUnanswered" in told
    rows, _ = prometheus(servers, {"expr": found["FiregridUnanswered"], "instant": True})
    assert [row["class"] for row in rows if row["station"] == STATION] == ["flood"], "not the fire, not what is shelved"
