"""The rules of the house that a machine can check: rooms, names, the clock, the layers, lazy imports, guarantees."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from gateway import registry

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("gateway", "drivers", "rules")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LONGEST_FILE = 330
LONGEST_FUNCTION = 60
BANNED_NAMES = {"utils", "util", "helpers", "helper", "manager", "service", "base", "common", "misc"}
CLOCK_CALLS = {
    ("time", name)
    for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "sleep", "clock_gettime")
} | {
    ("asyncio", "sleep"),
    ("asyncio", "timeout"),
    ("asyncio", "wait_for"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("date", "today"),
}


def test_there_are_sources() -> None:
    assert len(SOURCES) > 50


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_rooms_are_small_and_named_by_nouns(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= LONGEST_FILE, f"{path.name}: divide it by noun"
    assert path.stem.lstrip("_") not in BANNED_NAMES, "say what it is"
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a module says what it is, where it stands and which rule it keeps"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno
            assert lines <= LONGEST_FUNCTION, f"{node.name} has {lines} lines"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_clock_reads_clocks_or_sleeps(path: Path) -> None:
    if path == ROOT / "gateway" / "clock.py":
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if not isinstance(node.func.value, ast.Name):
            continue
        call = (node.func.value.id, node.func.attr)
        yields = call == ("asyncio", "sleep") and ast.unparse(node.args[0]) == "0"
        expires = path.name == "driven_clock.py" and call == ("asyncio", "timeout")
        assert call not in CLOCK_CALLS or yields or expires, (
            f"line {node.lineno}: {'.'.join(call)} belongs to the clock"
        )


def test_plug_ins_are_not_imported_before_they_are_asked_for() -> None:
    """What the configuration does not name is not imported; `drivers._profiles` is the loader, no plug-in."""
    code = "import sys, gateway.app; print(sorted(sys.modules))"
    loaded = ast.literal_eval(subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True))
    plug_ins = {f"{group.value}.{name}" for group in registry.Group for name in registry.names(group)}
    assert len(plug_ins) >= 10
    assert not plug_ins & set(loaded)
    assert not {"serial", "mqtt5"} & set(loaded)


def test_every_room_has_its_layer() -> None:
    """The layer contract is exhaustive: a package or module of `gateway` that no layer names fails here."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = {name for layer in contracts[0]["layers"] for name in layer.split(" | ")}
    rooms = {f"gateway.{path.stem}" for path in (ROOT / "gateway").glob("*.py") if path.stem != "__init__"}
    rooms |= {f"gateway.{path.parent.name}" for path in (ROOT / "gateway").glob("*/__init__.py")}
    assert rooms | {"drivers", "rules"} == layers


def test_pure_packages_are_all_under_contract() -> None:
    """House section 5 lists them; one left out of the contract would be pure by good will only."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    pure = set(contracts[1]["source_modules"])
    assert {"gateway.protocols", "gateway.alarms", "gateway.escalation", "rules", "drivers.dialects"} <= pure
    assert {f"gateway.pipeline.{name}" for name in ("step", "validate", "latest")} <= pure
    modules = {f"gateway.model.{path.stem}" for path in (ROOT / "gateway" / "model").glob("*.py")}
    assert {"gateway.model"} <= pure or modules - {"gateway.model.__init__"} <= pure


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_path_of_one_machine_and_no_registry(path: Path) -> None:
    """What is shipped runs anywhere: no home folder, no work folder, no host of a package registry."""
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.])/(?:home|root|work|Users)/|pypi\.org|pythonhosted\.org|crates\.io", text)


def test_no_other_distribution_owns_our_top_level_names() -> None:
    """Three top-level packages live in an environment of their own (docs/adr): nothing else may own their names."""
    owners = importlib.metadata.packages_distributions()
    for package in PACKAGES:
        assert set(owners.get(package, ["firegrid"])) <= {"firegrid"}


def test_every_guarantee_names_a_test_that_exists() -> None:
    text = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (G\d+) \|.*\| (.+?) \|$", text, flags=re.MULTILINE)
    assert len(rows) >= 10
    for number, cell in rows:
        tests = re.findall(r"`(tests/[^`:]+)::(\w+)`", cell)
        assert tests, f"{number} has no test"
        for file, name in tests:
            source = (ROOT / file).read_text(encoding="utf-8")
            assert re.search(rf"def {name}\b", source), f"{number}: {file} has no {name}"
