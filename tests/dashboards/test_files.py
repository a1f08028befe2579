"""What is handed to Grafana and Prometheus: as generated, of Grafana's own schema, and loadable as it lies there."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import generate
from dashboards.box import CHARTS, UNITS
from dashboards.panels import COLUMNS, SOURCES, Json, Source
from dashboards.words import LABELS_ZH, LANGUAGES
from gateway.care.own import POINTS
from gateway.model.point import Kind
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "dashboards" / "grafana"
CORE = {"stat", "table", "timeseries", "state-timeline"}
# What the data sources add to an annotation; the schema says of it "this should just be a normal query target".
LOOSE = {"target", "step", "titleFormat", "textFormat", "tagKeys"}
ALL = [(source, language, name) for source in SOURCES for language in LANGUAGES for name in generate.QUESTIONS]


def committed(source: Source, language: str, name: str) -> Json:
    path = GRAFANA / "dashboards" / source.id / language / f"{name}.json"
    made: Json = json.loads(path.read_text(encoding="utf-8"))
    return made


def test_what_is_committed_is_what_the_generator_writes() -> None:
    there = {
        path.relative_to(GRAFANA).as_posix(): path.read_text(encoding="utf-8")
        for path in GRAFANA.rglob("*")
        if path.is_file()
    }
    wanted = generate.files()
    assert set(there) == set(wanted), "run make dashboards"
    assert [name for name in wanted if there[name] != wanted[name]] == [], "run make dashboards"


@pytest.mark.parametrize(("source", "language", "name"), ALL, ids=lambda value: getattr(value, "id", value))
def test_a_dashboard_is_what_grafanas_schema_knows(source: Source, language: str, name: str) -> None:
    """The schema's own classes read it and write it back: what they do not know would be missing."""
    register_default_plugins()
    made = committed(source, language, name)
    for mark in made["annotations"]["list"]:
        for key in LOOSE:
            mark.pop(key, None)
    back = json.loads(json.dumps(Dashboard.from_json(made), cls=JSONEncoder))
    lost = list(missing(made, back))
    assert lost == []


def missing(wanted: object, found: object, path: str = "") -> list[str]:
    """Return what of `wanted` is not in `found`."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        gone = [f"{path}.{key}" for key in wanted if key not in found]
        return gone + [
            one for key in wanted if key in found for one in missing(wanted[key], found[key], f"{path}.{key}")
        ]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        pairs = enumerate(zip(wanted, found, strict=True))
        return [one for place, (left, right) in pairs for one in missing(left, right, f"{path}[{place}]")]
    return [] if wanted == found else [f"{path}: {wanted!r} is {found!r}"]


def test_the_comparison_finds_what_the_schema_does_not_know() -> None:
    register_default_plugins()
    made = committed(*ALL[0])
    made["panels"][0]["options"]["no_such_option"] = 1
    back = json.loads(json.dumps(Dashboard.from_json(made), cls=JSONEncoder))
    assert missing({"panels": made["panels"]}, back) == [".panels[0].options.no_such_option"]


@pytest.mark.parametrize(("source", "language", "name"), ALL, ids=lambda value: getattr(value, "id", value))
def test_panels_are_of_grafanas_core_and_none_lies_on_another(source: Source, language: str, name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in committed(source, language, name)["panels"]:
        assert panel["type"] in CORE
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < COLUMNS
        taken |= cells
        assert panel["title"]


def test_the_provisioning_layout_loads() -> None:
    """As Grafana does it: data sources, then providers, then every file of each provider's folder."""
    known = {}
    for path in sorted((GRAFANA / "provisioning" / "datasources").glob("*.yaml")):
        for source in yaml.safe_load(path.read_text(encoding="utf-8"))["datasources"]:
            assert {"name", "type", "access", "url"} <= set(source)
            known[source["uid"]] = source["type"]
    assert known == {source.ref["uid"]: source.type for source in SOURCES}
    uids, folders, loaded = [], [], []
    for path in sorted((GRAFANA / "provisioning" / "dashboards").glob("*.yaml")):
        for provider in yaml.safe_load(path.read_text(encoding="utf-8"))["providers"]:
            assert provider["type"] == "file"
            folders.append((provider["folder"], provider["folderUid"], provider["name"]))
            where = GRAFANA / "dashboards" / Path(provider["options"]["path"]).relative_to(generate.MOUNTED)
            for file in sorted(where.glob("*.json")):
                made = json.loads(file.read_text(encoding="utf-8"))
                uids.append(made["uid"])
                loaded.append(file)
                assert len(made["uid"]) <= 40  # Grafana's limit
                assert references(made) == {(known_type, uid) for uid, known_type in known.items() if uid in str(made)}
                assert len(references(made)) == 1
    assert len(set(uids)) == len(uids) == len(ALL)
    assert len({one[0] for one in folders}) == len({one[1] for one in folders}) == len({one[2] for one in folders})
    assert set(loaded) == set((GRAFANA / "dashboards").rglob("*.json"))


def references(made: object) -> set[tuple[str, str]]:
    """Return every data source that is referred to anywhere."""
    if isinstance(made, dict):
        own = {(made["datasource"]["type"], made["datasource"]["uid"])} if "datasource" in made else set()
        return own.union(*map(references, made.values()))
    return set[tuple[str, str]]().union(*map(references, made)) if isinstance(made, list) else set()


def test_every_figure_of_the_box_is_drawn_once_in_its_unit() -> None:
    measures = {spec.name: spec for spec in POINTS if spec.kind is Kind.MEASURE}
    drawn = [name for names in CHARTS.values() for name in names]
    assert sorted(drawn) == sorted(measures)
    for names in CHARTS.values():
        assert len({UNITS[measures[name].unit] for name in names}) == 1
    assert {word for spec in POINTS for word in spec.labels} == set(LABELS_ZH)


def test_both_languages_show_the_same() -> None:
    for source in SOURCES:
        for name in generate.QUESTIONS:
            zh, en = (
                [panel["type"] for panel in committed(source, language, name)["panels"]] for language in LANGUAGES
            )
            assert zh == en
            told = json.dumps(committed(source, "zh", name), ensure_ascii=False)
            assert any("\u4e00" <= letter <= "\u9fff" for letter in told)


def test_the_alert_rules_are_what_vmalert_takes() -> None:
    path = ROOT / "deploy" / "alert-rules.yml"
    done = subprocess.run(["vmalert", "-dryRun", f"-rule={path}"], capture_output=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr.decode()
    rules = [rule for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]
    for rule in rules:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert {"summary", "summary_zh"} <= set(rule["annotations"])


def test_vmalert_refuses_a_rule_that_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yml"
    path.write_text("groups: [{name: x, rules: [{alert: A, expr: 'sum(('}]}]", encoding="utf-8")
    done = subprocess.run(["vmalert", "-dryRun", f"-rule={path}"], capture_output=True, timeout=PATIENCE, check=False)
    assert done.returncode != 0
