"""Writes `dashboards/grafana/`: data sources, providers and one dashboard per question, language and data source.

Run by `make dashboards` and committed; a test says when what is committed is not what this writes. Nothing of the
daemon imports it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from dashboards.box import health
from dashboards.frame import frame
from dashboards.panels import INFLUX, SOURCES, VICTORIA, Json, Source, placed
from dashboards.people import handling
from dashboards.questions import Question, events, overview
from dashboards.words import LANGUAGES, TEXTS

HERE = Path(__file__).parent / "grafana"
MOUNTED = "/var/lib/grafana/dashboards/firegrid"  # where the folder `dashboards` stands in Grafana's container
SCHEMA = 39  # of Grafana 10 and 11; newer ones migrate it when they load it
QUESTIONS: dict[str, Question] = {"overview": overview, "events": events, "handling": handling, "health": health}
_NAMES = {"victoriametrics": "VictoriaMetrics", "influxdb": "InfluxDB"}
_HEAD = "# Written by dashboards/generate.py.\n"
_DATA_SOURCES = {
    VICTORIA: """# VictoriaMetrics, or a Prometheus that has its data: PromQL. Correct `url`.
apiVersion: 1
datasources:
  - name: firegrid VictoriaMetrics
    uid: firegrid-victoriametrics
    type: prometheus
    access: proxy
    url: http://victoriametrics:8428
    editable: false
    jsonData:
      httpMethod: POST
      timeInterval: 30s
""",
    INFLUX: """# InfluxDB 1, 2 and 3: InfluxQL. Correct `url` and `dbName` (of InfluxDB 2 and 3 the bucket).
apiVersion: 1
datasources:
  - name: firegrid InfluxDB
    uid: firegrid-influxdb
    type: influxdb
    access: proxy
    url: http://influxdb:8086
    editable: false
    jsonData:
      dbName: firegrid
      httpMode: POST
      version: InfluxQL
      # InfluxDB 2 and 3 ask for a token: take these lines and set FIREGRID_INFLUX_TOKEN for Grafana.
      # httpHeaderName1: Authorization
    # secureJsonData:
    #   httpHeaderValue1: Token ${FIREGRID_INFLUX_TOKEN}
""",
}


def dashboard(source: Source, language: str, name: str) -> Json:
    """Return one dashboard as Grafana's JSON."""
    variables, marks = frame(source, language, one=name == "health", readings=name == "events")
    return {
        "uid": f"firegrid-{name}-{language}-{source.id}",
        "title": TEXTS[language][name],
        "tags": ["firegrid", language],
        "timezone": "browser",
        "editable": True,
        "graphTooltip": 1,
        "schemaVersion": SCHEMA,
        "refresh": "10s" if name in ("overview", "handling") else "30s",
        "time": {"from": "now-24h" if name in ("events", "handling") else "now-6h", "to": "now"},
        "links": [
            {
                "title": "firegrid",
                "type": "dashboards",
                "tags": ["firegrid", language],
                "asDropdown": False,
                "icon": "external link",
                "includeVars": True,
                "keepTime": True,
                "targetBlank": False,
                "tooltip": "",
                "url": "",
            }
        ],
        "templating": {"list": variables},
        "annotations": {"list": marks},
        "panels": placed(QUESTIONS[name](language), source),
    }


def _provider(source: Source) -> str:
    lines = [_HEAD + "apiVersion: 1", "providers:"]
    for language in LANGUAGES:
        lines += [
            f"  - name: firegrid-{language}-{source.id}",
            f"    folder: {TEXTS[language]['folder']} · {_NAMES[source.id]} ({language})",
            f"    folderUid: firegrid-{language}-{source.id}",
            "    type: file",
            "    allowUiUpdates: false",
            "    updateIntervalSeconds: 60",
            "    options:",
            f"      path: {MOUNTED}/{source.id}/{language}",
        ]
    return "\n".join(lines) + "\n"


def files() -> dict[str, str]:
    """Return path under `dashboards/grafana` → text."""
    found = {}
    for source in SOURCES:
        found[f"provisioning/datasources/firegrid-{source.id}.yaml"] = _HEAD + _DATA_SOURCES[source]
        found[f"provisioning/dashboards/firegrid-{source.id}.yaml"] = _provider(source)
        for language in LANGUAGES:
            for name in QUESTIONS:
                text = json.dumps(dashboard(source, language, name), ensure_ascii=False, indent=1)
                found[f"dashboards/{source.id}/{language}/{name}.json"] = text + "\n"
    return found


def main() -> int:
    """Write what differs and take away what is no more."""
    wanted = files()
    for old in HERE.rglob("*"):
        if old.is_file() and old.relative_to(HERE).as_posix() not in wanted:
            old.unlink()
    for name, text in wanted.items():
        path = HERE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
