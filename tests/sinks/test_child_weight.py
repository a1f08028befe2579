"""What the process of a sink and the page must not import, and libraries of which they import a part.

Not RSS against a number, on which no two machines agree, but the modules that once made it: told by name when one comes
back, also when another version of the library brings it.
"""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.transport.piecemeal import piecemeal
from tests.http_far_end import answer, far_end

ROOT = Path(__file__).parent.parent.parent
ELSEWHERE = {
    "starlette", "uvicorn", "jinja2", "prometheus_client", "click", "anyio",  # the page's
    "reactivex", "dateutil", "certifi", "pandas",  # of influxdb-client: its batching, its queries
    "numpy.ma",  # see gateway.model.distinct
    "gateway.app", "gateway.house", "gateway.pipeline.step", "gateway.escalation.chains", "gateway.web", "drivers",
}  # fmt: skip
PIECES = {
    "influxdb_client", "client", "domain", "service",  # packages whose `__init__` is not run
    "_sync", "_sync.api_client", "_sync.rest", "rest", "configuration", "client.exceptions", "version",
    "service._base_service", "service.signin_service", "service.signout_service",
}  # fmt: skip
CHILDREN = """
import asyncio, sys
import gateway.uplink.child
from gateway import registry
from tests.sinks.portions import readings, setup

registry.sink("mqtt_uplink").create(setup("mqtt_uplink", host="127.0.0.1"))
print(sorted(sys.modules))

async def main():
    sink = registry.sink("influx").create(setup("influx", url=sys.argv[1], bucket="b"))
    assert await sink.send(readings(3)) == []
    await sink.close()

asyncio.run(main())
print(sorted(sys.modules))

import influxdb_client
assert influxdb_client.Point is influxdb_client.client.write.point.Point

import gateway.web.server
print(sorted(sys.modules))
"""


def weighs(loaded: set[str]) -> set[str]:
    return {name for name in loaded if any(name == one or name.startswith(f"{one}.") for one in ELSEWHERE)}


def test_the_process_of_a_sink_and_the_page_import_what_they_use() -> None:
    """Of the library 14 modules of some 400, which weigh 13 MB: what a new version wants more must not come unseen."""
    with far_end(answer(204)) as end:
        told = subprocess.check_output(
            [sys.executable, "-c", CHILDREN, f"http://127.0.0.1:{end.port}"], cwd=ROOT, text=True
        )
    publisher, writer, page = (set(ast.literal_eval(line)) for line in told.splitlines())
    assert not weighs(writer | publisher)
    assert not {"influxdb_client", "urllib3", "http.client"} & publisher
    assert b"influxdb-client-python/" in end.requests[0]
    assert {name.removeprefix("influxdb_client.") for name in writer if name.startswith("influxdb_client")} == PIECES
    assert not {"click", "uvicorn.main", "uvicorn.supervisors"} & page  # uvicorn's command line


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package on the path, and nothing of it in memory afterwards."""
    for name, text in {
        "__init__": "from pieces.one import One, Other  # noqa\nfrom pieces.deep import Two\nlast = One, Two\n",
        "one": "class One: ...\nclass Other: ...\n",
        "deep/__init__": "from pieces.deep.two import Two\n",
        "deep/two": "from pieces import One\nclass Two(One): ...\n",
    }.items():
        path = tmp_path / "pieces" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield "pieces"
    for loaded in [name for name in sys.modules if name.startswith("pieces")]:
        del sys.modules[loaded]


def loaded(package: str) -> set[str]:
    return {name for name in sys.modules if name.startswith(package)}


def test_a_name_brings_the_module_that_has_it(package: str) -> None:
    piecemeal(package, f"{package}.deep")
    whole = importlib.import_module(package)
    assert loaded(package) == {"pieces", "pieces.deep"}
    assert whole.Other is sys.modules["pieces.one"].Other
    assert loaded(package) == {"pieces", "pieces.deep", "pieces.one"}
    assert whole.Two is whole.deep.Two
    assert issubclass(whole.Two, whole.One)


def test_a_name_that_is_not_imported_runs_the_package_after_all(package: str) -> None:
    piecemeal(package, f"{package}.deep")
    whole = importlib.import_module(package)
    assert whole.last == (whole.One, whole.Two)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = whole.nonsense


def test_what_is_loaded_already_stays(package: str) -> None:
    before = importlib.import_module(package)
    piecemeal(package, f"{package}.deep")
    assert importlib.import_module(package) is before
    assert before.Two is importlib.import_module(f"{package}.deep").Two


def test_a_package_that_is_not_there_is_said_so() -> None:
    with pytest.raises(ImportError, match="no_such_package"):
        piecemeal("no_such_package")
