"""`firegrid check`: every problem of a broken file at once, and of a good one who is told when."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.cli.main import BAD_CONFIGURATION, GOOD, run

EXAMPLE = Path(__file__).parents[2] / "deploy" / "station.toml"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """Return the shipped example with its store in a folder that exists."""
    path = tmp_path / "station.toml"
    path.write_text(EXAMPLE.read_text(encoding="utf-8").replace("/var/lib/firegrid", str(tmp_path)), encoding="utf-8")
    return path


def _blocks(printed: str) -> dict[str, list[str]]:
    """Return heading → lines of each group of places."""
    blocks: dict[str, list[str]] = {}
    for line in printed.splitlines():
        if re.match(r" {2}\S", line):
            blocks[line.strip()] = lines = []
        elif line.startswith("    "):
            lines.append(line.strip())
    return blocks


def test_the_shipped_example_is_good_and_says_who_is_told_when(
    example: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", "-c", str(example), "--language", "en"]) == GOOD
    printed = capsys.readouterr().out
    blocks = _blocks(printed)
    assert blocks["fire · 锅炉房 (jc/3/12) · turn-out"] == [
        "boiler-room-smoke.smoke [profile:fire:critical]",
        "0 s  李伟 (li-wei, 13800138000) by sms; siren; screen",
        "60 s  王芳 (wang-fang, 13900139000) by sms",
        "120 s  李伟 (li-wei, 13800138000) by sms; 王芳 (wang-fang, 13900139000) by sms",
        "again every 120 s until somebody acknowledges",
    ]
    assert "the gateway's own faults" in blocks["fault · no cell · look-after"][0]
    assert blocks["fault · no cell · look-after"][2] == "600 s  王芳 (wang-fang, 13900139000) by sms"
    assert printed.count("Tonight at 03:00") == 1
    assert "! no person" not in printed
    assert printed.endswith("good: 2 sources, 4 devices, 2 rules, 2 contacts\n")


def test_chinese_is_the_language_of_a_chinese_station(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "-c", str(example)]) == GOOD
    printed = capsys.readouterr().out
    assert "火警 · 锅炉房 (jc/3/12) · turn-out" in printed
    assert "每 120 s 重复，直到有人确认" in printed
    assert "今晚 03:00" in printed
    assert "/dev/ttyUSB0 目前不存在" in printed


def test_a_class_without_policy_and_a_place_without_people_are_shown(
    example: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = example.read_text(encoding="utf-8")
    head, *defaults = text.split("[[default_policy]]\n")
    kept = [block for block in defaults if 'class = "fire"' not in block]
    text = "[[default_policy]]\n".join([head, *kept])
    text = text.replace('by = ["sms", "screen"]', 'by = ["screen"]').replace(
        'notify = ["role:captain@cell"], by = ["sms"]', 'notify = ["role:captain@cell"], by = ["screen"]'
    )
    example.write_text(text, encoding="utf-8")
    assert run(["check", "-c", str(example), "--language", "en"]) == GOOD
    printed = capsys.readouterr().out
    assert "no default policy for fire: everybody who has a phone is told" in printed
    blocks = _blocks(printed)
    fire = blocks["fire · 锅炉房 (jc/3/12) · no policy: everybody who has a phone"]
    assert fire[1].startswith("0 s  李伟 (li-wei, 13800138000) by sms; 王芳 (wang-fang, 13900139000) by sms")
    assert "! no person is told here, only channels of a place" in blocks["fault · no cell · look-after"]


def test_alarms_switched_off_are_listed_with_their_reason(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rule = '\n[[rule]]\nid = "kiln"\npoints = "boiler-room-smoke.smoke"\nalarm = false\nreason = "窑炉检修至五月"\n'
    example.write_text(example.read_text(encoding="utf-8") + rule, encoding="utf-8")
    assert run(["check", "-c", str(example), "--language", "en"]) == GOOD
    printed = capsys.readouterr().out
    assert "alarms switched off: boiler-room-smoke.smoke (rule kiln: 窑炉检修至五月)" in printed
    assert "boiler-room-smoke.smoke [profile:fire" not in printed


def test_every_problem_of_a_broken_file_at_once(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = example.read_text(encoding="utf-8")
    text = text.replace('driver = "mqtt"', 'driver = "mqt"').replace('id = "li-wei"', 'id = "li-wei"\nfone = "1"')
    text = text.replace('profile = "renke-smoke"', 'profile = "renke-smok"')
    text += '\n[[rule]]\nid = "door"\npoints = "hall-do.di1"\nwhen = \'value == "alrm"\'\n'
    example.write_text(text, encoding="utf-8")
    assert run(["check", "-c", str(example), "--language", "en"]) == BAD_CONFIGURATION
    printed = capsys.readouterr().out
    for part in ('did you mean "mqtt"?', 'did you mean "renke-smoke"?', "fone", "rule[door].when", "alrm"):
        assert part in printed, printed
    assert "matches no point" not in printed, "its device is broken: that is told already"
    lines = [line for line in printed.splitlines() if not line.startswith("note:")]
    assert all(line.startswith(f"{example}:") for line in lines[:-1])
    assert lines[-1] == f"{len(lines) - 1} problems"


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "-c", str(tmp_path / "none.toml")]) == BAD_CONFIGURATION
    assert "cannot read this file: no such file or directory" in capsys.readouterr().out
