"""`firegrid check`: every problem of a broken file at once, and of a good one who is told when."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.app import read
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
    assert "gateway.disk_free_share [profile:fault:warning]" in blocks["fault · no cell · look-after"][0]
    assert "gateway.mains [profile:supervisory:warning]" in blocks["supervisory · no cell · look-after"][0]
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
    assert "default_policy: none for fire: such an alarm tells everybody" in printed
    blocks = _blocks(printed)
    fire = blocks["fire · 锅炉房 (jc/3/12) · no policy: everybody"]
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
    lines = [line for line in printed.splitlines() if not line.startswith(("note:", "warning:"))]
    assert all(line.startswith(f"{example}:") for line in lines[:-1])
    assert lines[-1] == f"{len(lines) - 1} problems"


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "-c", str(tmp_path / "none.toml")]) == BAD_CONFIGURATION
    assert "cannot read this file: no such file or directory" in capsys.readouterr().out


def _told(path: Path, capsys: pytest.CaptureFixture[str], language: str = "en") -> list[str]:
    """Return the problems of a file without their place."""
    assert run(["check", "-c", str(path), "--language", language]) == BAD_CONFIGURATION
    lines = capsys.readouterr().out.splitlines()
    return [re.sub(r"^\S+?\.toml(:\d+)?: ", "", line) for line in lines[:-1]]


def test_a_wrong_key_of_a_rule_hides_no_other(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rule = (
        '\n[[rule]]\nid = "two"\npoints = "kitchen-gas.ch4"\nwhen = "valu > 1"\nclear = "value < "\non_delay = "3h"\n'
    )
    example.write_text(example.read_text(encoding="utf-8") + rule + 'off_delay = 5\nclass = "gas"\n', encoding="utf-8")
    keys = [line.partition(": ")[0] for line in _told(example, capsys) if line.startswith("rule[")]
    assert keys == [f"rule[two].{key}" for key in ("when", "clear", "on_delay", "off_delay")]


def test_a_broken_source_or_contact_hides_no_mistake_of_a_rule(
    example: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = example.read_text(encoding="utf-8").replace('host = "127.0.0.1"', "").replace("value < 1.2", "valu < 1.2")
    example.write_text(text, encoding="utf-8")
    told = _told(example, capsys)
    assert [line.partition(": ")[0] for line in told if not line.startswith("warning")] == [
        "source[broker].host",
        "rule[pump-house-low].when",
    ]


FOLLOWERS = {
    "the only source is broken": (['driver = "mqtt"', 'driver = "mqt"'], ["source[broker].driver"]),
    "the only phone is wrong": (['"13800138000"', '"138001380"'], ["contact[li].phone"]),
    "the only channel is unknown": (['kind = "sms_modem"', 'kind = "sms"'], ["channel[sms].kind"]),
    "whoever holds the role has no id": (['id = "li"\n', ""], ["contact[1].id"]),
    "the role has no cell": (['cell = "kitchen"\nrole', "role"], ["contact[li].role"]),
    "the contacts are not there": (["[people]", '[people]\ncontacts = "c.csv"'], ["people.contacts"]),
    "the device of the rule is broken": (['profile = "json-generic"', 'profile = "json"'], ["device[gas].profile"]),
    "no station": (['[station]\nid = "s"\nlanguage = "en"\n', ""], ["station"]),
}  # fmt: skip
SMALL = """
[station]
id = "s"
language = "en"
[store]
path = "s.db"
[people]
[[source]]
id = "broker"
driver = "mqtt"
host = "127.0.0.1"
[[device]]
id = "gas"
source = "broker"
profile = "json-generic"
topic = "gas"
[device.points.ch4]
unit = "%[LEL]"
[[rule]]
id = "leak"
points = "gas.ch4"
when = "value > 10"
policy = "p"
[[cell]]
id = "kitchen"
[[contact]]
id = "li"
name = "Li Wei"
phone = "13800138000"
cell = "kitchen"
role = "squad"
[[channel]]
id = "sms"
kind = "sms_modem"
port = "/dev/null"
[[policy]]
id = "p"
steps = [{ after = "0s", notify = ["role:squad@cell"], by = ["sms"] }]
"""


@pytest.mark.parametrize("name", FOLLOWERS)
def test_what_only_follows_from_a_mistake_is_not_told(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (old, new), keys = FOLLOWERS[name]
    assert old in SMALL
    path = tmp_path / "station.toml"
    path.write_text(SMALL.replace(old, new), encoding="utf-8")
    told = [line for line in _told(path, capsys) if not line.startswith(("note", "warning"))]
    assert [line.partition(": ")[0] for line in told] == keys, told


def test_problems_come_first_then_warnings_then_notes_and_last_who_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "station.toml"
    text = SMALL.replace("/dev/null", "/dev/ttyNONE9")
    path.write_text(text + '[[rule]]\nid = "x"\npoints = "gas.ch4"\nwhen = "1"\n', encoding="utf-8")
    told = _told(path, capsys)
    assert [line.partition(":")[0] for line in told] == ["rule[x].when", "warning", "note"]
    path.write_text(text, encoding="utf-8")
    assert run(["check", "-c", str(path)]) == GOOD
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines[:3]] == ["warning", "note", "Who is told when"]
    assert lines[-1].startswith("good: 1 source, 1 device, 1 rule, 1 contact")


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_the_first_station_of_the_readme_has_nothing_to_warn_of(
    readme: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (EXAMPLE.parents[1] / readme).read_text(encoding="utf-8")
    path = tmp_path / "station.toml"
    path.write_text(text.partition("```toml\n")[2].partition("```")[0], encoding="utf-8")
    assert run(["check", "-c", str(path)]) == GOOD
    printed = capsys.readouterr().out
    for mark in ("!", "！", "warning: ", "警告：", "86400"):
        assert mark not in printed
    assert printed.count("note:") + printed.count("提示：") == 2


def test_a_missing_key_is_named_with_a_line_to_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "station.toml"
    text = SMALL.replace('id = "s"\n', "").replace('host = "127.0.0.1"\n', "").replace('topic = "gas"\n', "")
    path.write_text(text, encoding="utf-8")
    told = _told(path, capsys)
    assert 'station.id: is missing; add a line such as: id = "jc-07"' in told
    assert 'source[broker].host: is missing; add a line such as: host = "127.0.0.1"' in told


ENGLISH = re.compile(r"\b[A-Za-z]{2,} [A-Za-z]{2,}\b")
DEVICE = '[[device]]\nsource = "broker"\nprofile = "json-generic"\n'
MISTAKEN = (
    'when = "value > 10 and value < 5"',
    'when = "value > -1"\nvalid_range = 3',
    'when = "value > 10"\nclear = "value < 20"',
    'when = "value >"',
    'when = "valu > 3"',
    "when = \"value > '25 ppm'\"",
    "when = \"value == 'hot'\"",
    'when = "abs(value) > 3"',
    'when = "value"',
    'when = "value > 1/0"',
    'when = "value > 10"\non_delay = "3h"\nclass = "fire"',
    'when = "value > 10"\noff_delay = "30d"',
    'when = "value > 10"\nkind = "rate"\nwindow = "1ms"',
    'when = "value > 10"\nalarm = false',
)


def test_what_a_chinese_station_is_told_is_chinese(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = [f'[[rule]]\nid = "r{n}"\npoints = "gas.ch4"\n{body}\n' for n, body in enumerate(MISTAKEN)]
    wrong = [
        '[[rule]]\nid = "nix"\npoints = "gas.ch5"\nwhen = "value > 1"\n',
        '[[device]]\nid = "d1"\nsource = "broker"\nprofile = "json-genric"\n',
        f'{DEVICE}id = "d2"\ntopic = "t"\n[device.points.x]\nunt = "1"\n',
        f'{DEVICE}id = "d3"\ntopic = "t"\n[device.points.x]\nkind = 3\n',
        '[[device]]\nid = "d4"\nsource = "broker"\nprofile = "zigbee2mqtt-gas"\ntopic = "t"\n',
        '[[source]]\nid = "b2"\nport = "x"\ndriver = "mqtt"\n',
    ]
    path = tmp_path / "station.toml"
    path.write_text(SMALL.replace("10", "5", 1) + "".join([*rules, *wrong]), encoding="utf-8")
    told = _told(path, capsys, "zh")
    assert len(told) > len(MISTAKEN)
    for line in told:
        bare = re.sub(r"“[^”]*”|\"[^\"]*\"|`[^`]*`|（[^）]*）", "", line)
        assert not ENGLISH.search(bare), line


def test_an_english_station_has_english_titles_and_a_chinese_one_chinese(tmp_path: Path) -> None:
    path = tmp_path / "station.toml"
    titles = {}
    for language in ("en", "zh"):
        text = SMALL.replace('"en"', f'"{language}"').replace('"json-generic"', '"zigbee2mqtt-gas"')
        path.write_text(text.replace('topic = "gas"', 'topic = "zigbee2mqtt/gas"'), encoding="utf-8")
        judged = read(path).judged
        assert judged is not None
        (device,) = judged.devices
        titles[language] = {spec.name: spec.title for spec in device.profile.points}
    assert titles["en"]["tamper"] == "tamper"
    assert titles["zh"]["tamper"] == "防拆"


def test_a_device_of_an_unconfirmed_profile_warns(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "-c", str(example), "--language", "en"]) == GOOD
    (warning,) = [line for line in capsys.readouterr().out.splitlines() if "is a template" in line]
    assert warning.startswith("warning: ")
    assert 'device[boiler-room-smoke].profile: profile "renke-smoke" is a template' in warning
    assert run(["check", "-c", str(example)]) == GOOD
    assert "型号档案“renke-smoke”为模板" in capsys.readouterr().out
