"""What the documentation says is so: examples are checked, commands run, tables made anew, links followed."""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
import subprocess
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from drivers._profiles import SHIPPED, profile
from gateway import registry
from gateway.app import problems_of, read
from gateway.channels.webhook import document
from gateway.cli.main import COMMANDS, run
from gateway.model.notification import Notification, NotifyReason
from gateway.model.point import AlarmClass
from gateway.registry import Group
from tests.documented import DOCS, filled

ROOT = DOCS.parent
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
BLOCKS = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")

# What a part of a configuration stands on: an example shows its own tables and leaves these away.
AROUND: dict[str, str] = {
    "station": '[station]\nid = "s1"\nclock = "trusted"\n',
    "store": '[store]\npath = "station.db"\n',
    "source": '[[source]]\nid = "bus1"\ndriver = "modbus_rtu"\nport = "/dev/null"\n'
    '[[source]]\nid = "broker"\ndriver = "mqtt"\nhost = "127.0.0.1"\n',
    "device": '[[device]]\nid = "hall-do"\nsource = "bus1"\nprofile = "io-waveshare-8ch"\naddress = 9\ncell = "jc/3"\n'
    '[[device]]\nid = "pump-house"\nsource = "broker"\nprofile = "json-generic"\ntopic = "t/1"\n'
    '[device.points.level]\nunit = "m"\n'
    '[[device]]\nid = "kitchen"\nsource = "broker"\nprofile = "json-generic"\ntopic = "t/2"\n'
    '[device.points.ch4]\nunit = "%[LEL]"\n',
    "cell": '[[cell]]\nid = "jc/3"\n',
    "contact": '[[contact]]\nid = "li-wei"\nphone = "13800138000"\ncell = "jc/3"\nrole = "squad"\n',
    "channel": '[[channel]]\nid = "screen"\nkind = "console"\n',
    "policy": '[[policy]]\nid = "turn-out"\nsteps = [{ after = "0s", notify = ["everyone"], by = ["screen"] }]\n',
}
ALWAYS = frozenset({"device", "channel"})  # an example adds one beside those it stands on


def _examples(language: str) -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for number, (kind, text) in enumerate(BLOCKS.findall(page.read_text(encoding="utf-8")), start=1):
            if kind == language:
                found.append((f"{page.relative_to(ROOT)}#{number}", text))
    return found


def _is_profile(data: dict[str, object]) -> bool:
    return "point" in data and "driver" in data


@pytest.mark.parametrize(("place", "text"), _examples("toml"), ids=lambda value: value if "#" in value[:60] else "")
def test_every_configuration_in_the_docs_passes_check(place: str, text: str, tmp_path: Path) -> None:
    if text.startswith("when ="):  # conditions alone, each a rule's
        text = "".join(
            f'[[rule]]\nid = "r{number}"\npoints = "{"hall-do.di1" if "alarm" in line else "kitchen.ch4"}"\n{line}\n'
            for number, line in enumerate(text.splitlines())
        )
    data = tomllib.loads(text)
    if _is_profile(data):
        (tmp_path / "own.toml").write_text(text, encoding="utf-8")
        assert profile("own", own=tmp_path).points
        return
    (tmp_path / "grid.csv").write_text("cell,name,parent\njc/3,B,\n", encoding="utf-8")
    (tmp_path / "contacts.csv").write_text("id,name,phone,cell,role\nli,L,13800138000,jc/3,squad\n", encoding="utf-8")
    lacking = [table for key, table in AROUND.items() if "station" not in data and (key not in data or key in ALWAYS)]
    if "station" not in data and "source" in data:  # the other examples' devices need theirs
        shown = [f'id = "{source["id"]}"' for source in data["source"]]
        others = AROUND["source"].replace("[[source]]", "\f[[source]]").split("\f")
        lacking += [table for table in others if not any(name in table for name in shown)]
    if "people" in data:
        lacking = [table for table in lacking if table not in (AROUND["cell"], AROUND["contact"])]
    path = tmp_path / "station.toml"
    whole = text + "\n" + "".join(lacking)
    path.write_text(whole.replace("/var/lib/firegrid", str(tmp_path)), encoding="utf-8")
    loaded = read(path)
    assert [problem.text() for problem in problems_of(loaded) if not problem.note] == [], place


def _console() -> list[tuple[str, str, str]]:
    found = []
    for place, text in _examples("console"):
        for command, output in re.findall(r"^\$ (firegrid .*)\n((?:(?!\$ ).*\n)*)", text, flags=re.MULTILINE):
            found.append((place, command, output))
    return found


@pytest.mark.parametrize("shown", _console(), ids=lambda shown: f"{shown[0]} {shown[1]}")
def test_every_command_in_the_docs_says_what_they_show(
    shown: tuple[str, str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each line shown is printed, in order; a line of three dots stands for whatever comes between."""
    place, command, output = shown
    page = ROOT / place.partition("#")[0]
    stations = [text for kind, text in BLOCKS.findall(page.read_text(encoding="utf-8")) if "[station]" in text]
    if stations:
        (tmp_path / "station.toml").write_text(stations[0], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    with contextlib.suppress(SystemExit):  # argparse ends so after --help
        run(shlex.split(command)[1:])
    printed = iter(capsys.readouterr().out.splitlines())
    for line in output.splitlines():
        if line.strip() != "...":
            assert any(line.rstrip() == given.rstrip() for given in printed), f"{place}: not printed: {line!r}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_between_the_docs_leads_somewhere(page: Path) -> None:
    for target, _ in LINK.findall(page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_tables_made_from_the_code_are_up_to_date(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert filled(text) == text, "run: python -m tests.documented"


def test_every_plug_in_profile_and_command_has_its_place() -> None:
    pages = {
        Group.DRIVER: "*.md",  # a protocol has a page of its own
        Group.DIALECT: "*.md",
        Group.KIND: "rules.md",
        Group.CHANNEL: "channels.md",
        Group.SINK: "*.md",
    }
    for group, page in pages.items():
        text = "\n".join(found.read_text(encoding="utf-8") for found in sorted(DOCS.glob(page)))
        heads = re.findall(r"^#+ (?:Dialect )?(\w+)$", text, flags=re.MULTILINE)
        assert set(registry.names(group)) <= set(heads), page
    profiles = (DOCS / "profiles.md").read_text(encoding="utf-8")
    assert all(f"| `{path.stem}` |" in profiles for path in SHIPPED.glob("*.toml"))
    commands = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert all(f"| `firegrid {name}` |" in commands for name in COMMANDS)


def test_the_fields_of_the_webhook_are_documented() -> None:
    notice = Notification(
        id=1,
        alarm=1,
        alarm_class=AlarmClass.FIRE,
        contact="",
        channel="hook",
        address="",
        reason=NotifyReason.RAISED,
        text="",
        planned_at=0,
    )
    table = (DOCS / "channels.md").read_text(encoding="utf-8").partition("- The document:")[2].partition("- 2xx")[0]
    fields = {
        name
        for line in table.splitlines()[4:]
        for name in re.findall(r"`(\w+)`", line.split("|")[1] if "|" in line else "")
    }
    assert fields == set(document(notice, "s1"))


def test_both_readmes_show_the_same_station_and_commands() -> None:
    english, chinese = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md"))
    shown = [[text for kind, text in BLOCKS.findall(page) if kind == "sh"] for page in (english, chinese)]
    bare = [[re.sub(r"\s*#.*", "", text) for text in texts] for texts in shown]
    assert bare[0] == bare[1]
    stations = [
        tomllib.loads(next(text for kind, text in BLOCKS.findall(page) if kind == "toml"))
        for page in (english, chinese)
    ]
    assert stations[0].keys() == stations[1].keys()
    assert stations[0]["rule"][0]["when"] == stations[1]["rule"][0]["when"]
    links = [Counter(LINK.findall(page)) for page in (english, chinese)]
    assert links[0] - links[1] == {("README.zh-CN.md", ""): 1}
    assert links[1] - links[0] == {("README.md", ""): 1}


def test_the_chinese_readme_calls_the_makers_of_panels_as_their_profiles_do() -> None:
    text = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")
    makers = re.search(r"\(docs/panel-serial\.md\)：(.+) \|", text)
    titles = [profile(path.stem).title for path in (ROOT / "drivers" / "profiles").glob("panel-*.toml")]
    assert makers is not None
    assert [maker for maker in makers[1].split("、") if not any(maker in title for title in titles)] == []


def test_every_decision_record_is_listed_and_whole() -> None:
    index = (DOCS / "adr" / "README.md").read_text(encoding="utf-8")
    records = sorted((DOCS / "adr").glob("0*.md"))
    assert [path.name[:4] for path in records] == [f"{number:04}" for number in range(1, len(records) + 1)]
    for path in records:
        text = path.read_text(encoding="utf-8")
        assert path.name in index
        heads = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
        assert heads == ["Context", "Decision", "Is / Is not", "Consequences"], path.name


def test_a_first_own_station_in_the_clone_is_not_taken_into_the_repository() -> None:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("no git work tree")
    own = ["station.toml", *(f"station.db{end}" for end in ("", "-wal", "-shm", ".sock", ".lock", ".configuration"))]
    found = subprocess.run([git, "check-ignore", *own], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.stdout.split() == own
    kept = subprocess.run([git, "check-ignore", "deploy/station.toml"], cwd=ROOT, capture_output=True, check=False)
    assert kept.returncode == 1
