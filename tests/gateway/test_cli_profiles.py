"""`firegrid profiles`: what there is, what one says, and every problem of a file of one's own with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers._decode_profile import problems
from drivers._profiles import SHIPPED, names
from gateway.cli.main import BAD_CONFIGURATION, GOOD, run

WRONG = """title = "probe"
driver = "modbus_rtu"
class = "flod"
sourc = "me"

[[point]]
name = "level"
unit = "m"
decode = { fc = 3, address = 4 }

[[point]]
name = "Bad Name"
kind = "state"
valid_range = [5, 1]
lables = { a = 1 }
"""
RIGHT = """title = "probe"
driver = "modbus_rtu"
source = "manual"

[[point]]
name = "level"
unit = "m"
decode = { fc = 3, address = 4 }
"""


def test_the_list_is_chosen_by_driver_and_class(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["profiles", "list", "--json"]) == GOOD
    assert [json.loads(line)["profile"] for line in capsys.readouterr().out.splitlines()] == names()
    assert run(["profiles", "list", "--driver", "uart", "--class", "gas", "--language", "en"]) == GOOD
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["profile", "driver", "class", "confirmed", "title", "points"]
    assert [line.split()[0] for line in lines] == ["winsen-zc05-ch4", "winsen-ze07-co"]
    assert "template" in lines[0]


def test_a_driver_that_is_none_is_refused_with_the_names_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["profiles", "list", "--driver", "nosuch", "--language", "en"]) == BAD_CONFIGURATION
    told = capsys.readouterr().err
    assert "--driver nosuch: no profile is of this driver or dialect" in told
    assert all(name in told for name in ("gb26875", "zigbee2mqtt", "uart"))
    assert run(["profiles", "list", "--driver", "zigbee2mqt", "--language", "zh"]) == BAD_CONFIGURATION
    assert "是否应为“zigbee2mqtt”" in capsys.readouterr().err
    assert run(["profiles", "list", "--driver", "modbus_tcp", "--json"]) == GOOD  # the same devices, over TCP
    assert '"xy-md02"' in capsys.readouterr().out


@pytest.mark.parametrize("language", ["zh", "en"])
def test_one_is_shown_with_its_ranges_and_alarms(language: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["profiles", "show", "winsen-zc05-ch4", "--language", language]) == GOOD
    text = capsys.readouterr().out
    assert ("模板" if language == "zh" else "template") in text
    assert "value >= " in text
    assert run(["profiles", "show", "xy-md02", "--json"]) == GOOD
    said = json.loads(capsys.readouterr().out)
    assert [point["name"] for point in said["points"]] == ["temperature", "humidity"]


def test_one_that_does_not_exist_is_told_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["profiles", "show", "renke-smok"]) == BAD_CONFIGURATION
    assert 'did you mean "renke-smoke"' in capsys.readouterr().err


def test_profiles_of_the_station_come_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "xy-md02.toml").write_text(RIGHT, encoding="utf-8")
    assert run(["profiles", "show", "xy-md02", "--toml", "-c", str(tmp_path / "station.toml")]) == GOOD
    assert capsys.readouterr().out == RIGHT


def test_every_problem_is_told_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "probe.toml"
    path.write_text(WRONG, encoding="utf-8")
    assert run(["profiles", "check", str(path), "--language", "en"]) == BAD_CONFIGURATION
    told = [line.removeprefix(str(path)) for line in capsys.readouterr().out.splitlines()]
    assert told == [
        ": Object missing required field `source`",
        ":3: class: Invalid enum value 'flod'",
        ":4: sourc: Object contains unknown field `sourc`",
        ":11: point[2]: point 'Bad Name': a name has lower-case letters, digits and _ only",
        ":11: point[2]: point 'Bad Name': a state needs labels, e.g. { normal = 0, alarm = 1 }",
        ":11: point[2]: point 'Bad Name': valid_range must be [low, high]",
        ":15: point[2].lables: Object contains unknown field `lables`",
    ]


def test_a_chinese_terminal_is_told_in_chinese(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "probe.toml"
    path.write_text(WRONG, encoding="utf-8")
    assert run(["profiles", "check", str(path), "--language", "zh"]) == BAD_CONFIGURATION
    told = [line.removeprefix(str(path)) for line in capsys.readouterr().out.splitlines()]
    assert told[:4] == [
        ": 缺少键 source",
        ":3: class: “flod”不是允许的值",
        ":4: sourc: 未知的键 sourc",
        ":11: point[2]: 测点 Bad Name：名称只能含小写字母、数字和 _",
    ]


def test_what_the_driver_refuses_is_told_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "probe.toml"
    path.write_text(RIGHT.replace("fc = 3", "fc = 9"), encoding="utf-8")
    assert run(["profiles", "check", str(path), "--language", "en"]) == BAD_CONFIGURATION
    assert ":5: point[1]: point level: Invalid enum value 9" in capsys.readouterr().out
    path.write_text(RIGHT.replace("modbus_rtu", "modbus_rtv"), encoding="utf-8")
    assert run(["profiles", "check", str(path), "--language", "en"]) == BAD_CONFIGURATION
    assert "modbus_rtv" in capsys.readouterr().out
    path.write_text("title = ", encoding="utf-8")
    assert run(["profiles", "check", str(path), "--language", "en"]) == BAD_CONFIGURATION
    assert "not TOML" in capsys.readouterr().out


def test_what_a_station_would_refuse_is_told_here_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "probe.toml"

    def told(text: str) -> list[str]:
        path.write_text(text, encoding="utf-8")
        assert run(["profiles", "check", str(path), "--language", "en"]) == BAD_CONFIGURATION
        return [line.removeprefix(str(path)) for line in capsys.readouterr().out.splitlines()]

    alarms = 'alarms = [\n  { when = "value > 1", class = "fault" },\n  { when = "value > ", class = "fault" },\n]\n'
    (condition,) = told(RIGHT + alarms)
    assert condition.startswith(":11: point[1].alarms[2].when: not a condition (")
    (element,) = told(RIGHT.replace("modbus_rtu", "sl651").replace("{ fc = 3, address = 4 }", '{ element = "NOPE" }'))
    assert element.startswith(":8: point[1].decode: element 'NOPE': a name of SL 651")
    alarms = 'alarms = [{ when = "value > 1", class = "fault", on_delay = "soon" }]\n'
    assert told('silence = "5"\n' + RIGHT + alarms) == [
        ':1: silence: "5" is not a duration; write a number with ms, s, m, h, d: "5s"',
        ':10: point[1].alarms[1].on_delay: "soon" is not a duration; write a number with ms, s, m, h, d: "5s"',
    ]


def test_every_shipped_profile_is_good_and_a_template_warns(capsys: pytest.CaptureFixture[str]) -> None:
    files = sorted(map(str, SHIPPED.glob("*.toml")))
    assert run(["profiles", "check", *files, "--language", "en"]) == GOOD
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.endswith(": good")] == [f"{path}: good" for path in files]
    warned = [line for line in lines if "warning" in line]
    assert len(warned) == sum("confirmed = false" in Path(path).read_text(encoding="utf-8") for path in files)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 70000) | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["fc", "type", "a", "name"]), inner, max_size=3)
    ),
    max_leaves=4,
)
KEYS = ["title", "driver", "source", "class", "silence", "options", "point", "x"]
POINT = st.dictionaries(st.sampled_from(["name", "kind", "unit", "labels", "decode", "alarms", "valid_range"]), VALUES)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), VALUES | st.lists(POINT, max_size=2), max_size=6))
def test_whatever_stands_in_a_file_is_judged_and_never_raises(data: dict[str, object]) -> None:
    made, found = problems(data, "own")
    assert made is not None or found
