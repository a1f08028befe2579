"""The diffs that CONTRIBUTING shows: they apply, are clean, and what they add passes the tests that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TAKEN = ("gateway", "drivers", "rules", "tests", "pyproject.toml")
ADDS = re.compile(r"^\+\+\+ b/(.+)$", re.MULTILINE)


def test_a_new_profile_and_a_new_dialect_are_one_file_and_one_test_each(tmp_path: Path) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    diffs = re.findall(r"```diff\n(.*?)```", text, flags=re.DOTALL)
    added = [path for diff in diffs for path in ADDS.findall(diff)]
    assert len(diffs) == 2
    assert [path.partition("/")[0] for path in added].count("tests") == 2
    for name in TAKEN:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    for diff in diffs:
        subprocess.run(["git", "apply", "-"], input=diff.encode(), cwd=tmp_path, check=True)
    tool = [sys.executable, "-m"]
    code = [path for path in added if path.endswith(".py")]
    for command in (["ruff", "check", *code], ["ruff", "format", "--check", *code]):
        ended = subprocess.run([*tool, *command], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout
    ended = subprocess.run(
        [*tool, "pytest", "-q", "tests/drivers", "-k", "acme"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    passed = re.search(r"(\d+) passed", ended.stdout)
    assert passed is not None
    assert int(passed[1]) >= 10, ended.stdout
    message = ["--topic", "acme/hall/up", "T=21.5;H=48"]
    ended = subprocess.run(
        [*tool, "gateway", "decode", *message], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    told = [json.loads(line) for line in ended.stdout.splitlines()]
    read = [(line["address"], line["point"], line["value"]) for line in told if line["kind"] == "reading"]
    assert read == [("hall", "temperature", 21.5), ("hall", "humidity", 48.0)], ended.stdout + ended.stderr
