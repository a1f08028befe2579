"""Real time-series servers on free loopback ports, for tests: VictoriaMetrics and InfluxDB 1, as Debian has them."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.patience import PATIENCE, wait
from tests.ports import free_port

_INFLUX = """
bind-address = "127.0.0.1:{rpc}"
reporting-disabled = true
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  index-version = "inmem"
  query-log-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
[monitor]
  store-enabled = false
"""

Row = tuple[dict[str, str], int, dict[str, Any]]  # tags, ns since 1970, fields


class Server:
    """One server process on one port and folder; it may be stopped, hung and started again."""

    def __init__(self, command: list[str], folder: Path, port: int, ready: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._command = command
        self._folder = folder
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        try:
            wait(self._answers_or_ended)
            if self._process.poll() is None:
                return
        except TimeoutError:
            pass
        self.kill()
        raise AssertionError((self._folder / "server.log").read_text(encoding="utf-8", errors="replace")[-2000:])

    def _answers_or_ended(self) -> bool:
        try:
            self.get(self._ready)
        except OSError:
            return self._process is None or self._process.poll() is not None
        return True

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def hang(self) -> None:
        """SIGSTOP: connections are accepted by the kernel and nobody answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def get(self, path: str, **query: str) -> str:
        """GET; OSError when it fails."""
        url = f"{self.url}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:  # noqa: S310 - loopback
            return str(answer.read().decode())

    def post(self, path: str, body: bytes = b"", **query: str) -> str:
        """POST; OSError when it fails."""
        url = f"{self.url}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        with urllib.request.urlopen(url, data=body, timeout=PATIENCE) as answer:  # noqa: S310 - loopback
            return str(answer.read().decode())


class Victoria(Server):
    """VictoriaMetrics, which keeps milliseconds; of equal times it keeps one."""

    def rows(self, metric: str) -> list[tuple[dict[str, str], dict[int, float]]]:
        """Return labels and ms → value of every series of a metric, as `/api/v1/export` has them."""
        self.get("/internal/force_flush")
        found = []
        for line in self.get("/api/v1/export", **{"match[]": f'{{__name__="{metric}"}}'}).splitlines():
            series = json.loads(line)
            labels = {key: value for key, value in series["metric"].items() if key != "__name__"}
            found.append((labels, dict(zip(series["timestamps"], series["values"], strict=True))))
        return found


class Influx(Server):
    """InfluxDB 1, database `firegrid`."""

    def make(self, database: str = "firegrid") -> None:
        """Make a database."""
        self.ask(f"CREATE DATABASE {database}")

    def ask(self, query: str) -> Any:  # noqa: ANN401 - JSON
        """Ask in InfluxQL."""
        answer = self.post("/query", db="firegrid", epoch="ns", q=query)
        # JSON numbers of 64 bits pass through Python unharmed
        return json.loads(answer)["results"][0]

    def rows(self, measurement: str) -> list[Row]:
        """Return every point of a measurement."""
        found: list[Row] = []
        query = f'SELECT * FROM "{measurement}" GROUP BY *'  # noqa: S608 - names of our own
        for series in self.ask(query).get("series", ()):
            tags = {key: value for key, value in series["tags"].items() if value}
            for time_, *fields in series["values"]:
                known = dict(zip(series["columns"][1:], fields, strict=True))
                found.append((tags, time_, {key: value for key, value in known.items() if value is not None}))
        return found


@contextmanager
def victoria(folder: Path) -> Iterator[Victoria]:
    """Run VictoriaMetrics, killed at the end."""
    port = free_port()
    binary = _binary("victoria-metrics")
    command = [
        binary,
        f"-storageDataPath={folder}/vm",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-retentionPeriod=100y",
        "-dedup.minScrapeInterval=1ms",
        "-memory.allowedBytes=64MB",
    ]
    server = Victoria(command, folder, port, "/health")
    server.start()
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def influx(folder: Path) -> Iterator[Influx]:
    """Run InfluxDB 1 with database `firegrid`, killed at the end."""
    port = free_port()
    file = folder / "influx.conf"
    file.write_text(_INFLUX.format(rpc=free_port(), port=port, folder=folder), encoding="utf-8")
    server = Influx([_binary("influxd"), "-config", str(file)], folder, port, "/ping")
    server.start()
    server.make()
    try:
        yield server
    finally:
        server.kill()


def _binary(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/bin:/usr/sbin")
    if found is None:
        pytest.fail(f"{name} is not installed: make test installs it")
    return found
