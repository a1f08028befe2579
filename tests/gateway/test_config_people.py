"""Grid and contacts as spreadsheets really are: encodings, separators, headings, Excel's ideas about numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.load import load
from gateway.config.people import bare
from gateway.config.problems import Kind, Problem
from gateway.errors import ConfigError
from gateway.model.contact import ChannelKind, Contact
from gateway.model.point import Profile
from gateway.model.station import Station

STATION = """
[station]
id = "s"
[store]
path = "s.db"
[[source]]
id = "a"
driver = "a"
[[channel]]
id = "sms"
kind = "modem"
[[channel]]
id = "screen"
kind = "screen"
"""
GRID = "cell,name,parent\njc,江城,\njc/3,三网格,jc\n"
CONTACTS = "id,name,phone,cell,role,language\nli,李伟,13800138000,jc/3,squad,zh\nli,李伟,13800138000,jc,clerk,zh\n"


def unknown_profile(name: str) -> Profile:
    raise ConfigError(f"no profile {name}")


def read(
    folder: Path, *, grid: bytes | str = GRID, contacts: bytes | str = CONTACTS, inline: str = ""
) -> tuple[Station, list[Problem]]:
    for name, content in (("grid.csv", grid), ("contacts.csv", contacts)):
        (folder / name).write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    people = '[people]\ngrid = "grid.csv"\ncontacts = "contacts.csv"\n'
    (folder / "s.toml").write_text(STATION + people + inline, encoding="utf-8")
    loaded = load(
        folder / "s.toml",
        profiles=unknown_profile,
        options=lambda _table, _name: None,
        addressed=lambda kind: ChannelKind.PERSON if kind == "modem" else ChannelKind.PLACE,
    )
    assert loaded.station is not None
    return loaded.station, [problem for problem in loaded.problems if problem.kind is not Kind.NO_DEFAULT]


LI = Contact(id="li", name="李伟", phone="13800138000", roles=(("jc/3", "squad"), ("jc", "clerk")))


@pytest.mark.parametrize(
    "contacts",
    [
        CONTACTS.encode("utf-8"),
        CONTACTS.encode("utf-8-sig"),
        CONTACTS.encode("gb18030"),
        CONTACTS.encode("utf-16"),
        CONTACTS.replace("\n", "\r\n").encode("utf-8"),
        CONTACTS.replace("\n", "\r").encode("utf-8"),
        CONTACTS.replace(",", ";").encode("utf-8"),
        CONTACTS.replace(",", "\t").encode("utf-16"),
        ("sep=;\n" + CONTACTS.replace(",", ";")).encode("utf-8"),
        ("\n,,,,,\n" + CONTACTS.replace("\n", ",,\n") + "\n,,,,,,,\n  \n").encode("utf-8"),
        CONTACTS.replace("13800138000", '"=""13800138000"""').encode("utf-8"),
        CONTACTS.replace("13800138000", "'13800138000").encode("utf-8"),
        CONTACTS.replace("13800138000", "\u202d13800138000\u202c").encode("utf-8"),
        CONTACTS.replace("13800138000", "１３８００１３８０００").encode("utf-8"),
        CONTACTS.replace("13800138000", "13800138000.0").encode("utf-8"),
        CONTACTS.replace("李伟", " 李伟\u00a0").encode("utf-8"),
        CONTACTS.replace("id,name,phone,cell,role,language", "编号,姓名,手机号,网格,角色,语言").encode("gb18030"),
        CONTACTS.replace("id,name,phone,cell,role,language", " ID ,Name,PHONE,Cell,Role,Language").encode("utf-8"),
        CONTACTS.replace(",language", "").replace(",zh", "").encode("utf-8"),
    ],
)
def test_the_same_contacts_in_every_dress(tmp_path: Path, contacts: bytes) -> None:
    station, problems = read(tmp_path, contacts=contacts)
    assert not problems, [problem.text() for problem in problems]
    assert station.contacts == (LI,)


def test_columns_may_stand_in_any_order_and_others_are_noted(tmp_path: Path) -> None:
    contacts = "role,备注,phone,name,cell,id\nsquad,夜班,13800138000,李伟,jc/3,li\n"
    station, problems = read(tmp_path, contacts=contacts)
    assert station.contacts[0].roles == (("jc/3", "squad"),)
    assert [(problem.kind, problem.line, problem.note) for problem in problems] == [(Kind.UNKNOWN_COLUMN, 1, True)]


def test_lines_are_those_of_the_spreadsheet(tmp_path: Path) -> None:
    contacts = 'id,name,phone\n\n"li","first\nsecond",13800138000\nwang,王,12\n'
    _, problems = read(tmp_path, contacts=contacts)
    assert [(problem.kind, problem.line) for problem in problems] == [(Kind.BAD_PHONE, 5)]


def test_what_is_no_spreadsheet_is_told_and_costs_the_rest_nothing(tmp_path: Path) -> None:
    for junk in (b"\x00\x01\x02", b'id,name,phone\n"' + b"x" * 200_000, b"PK\x03\x04 this is an xlsx", b""):
        station, problems = read(tmp_path, contacts=junk)
        assert station.cells
        assert any(not problem.note for problem in problems)


def test_people_in_the_file_itself_and_beside_it_are_one_grid(tmp_path: Path) -> None:
    inline = """
[[cell]]
id = "jc/4"
parent = "jc"
[[contact]]
id = "sun"
name = "Sun Li"
phone = "+86 138-0013-8005"
cell = "jc/3"
role = "squad"
language = "en"
[[contact]]
id = "li"
cell = "jc/4"
role = "helper"
"""
    station, problems = read(tmp_path, inline=inline)
    assert not problems, [problem.text() for problem in problems]
    by_id = {contact.id: contact for contact in station.contacts}
    assert by_id["sun"].language == "en"
    assert set(by_id["li"].roles) == {("jc/4", "helper"), ("jc/3", "squad"), ("jc", "clerk")}
    assert by_id["li"].phone == "13800138000"
    assert [cell.id for cell in station.cells] == ["jc/4", "jc", "jc/3"]


def test_a_further_row_need_not_say_name_and_phone_again(tmp_path: Path) -> None:
    contacts = "id,name,phone,cell,role,language\nli,李伟,13800138000,jc/3,squad,en\nli,,,jc,clerk,\n"
    station, problems = read(tmp_path, contacts=contacts)
    assert not problems, [problem.text() for problem in problems]
    roles = (("jc/3", "squad"), ("jc", "clerk"))
    assert station.contacts == (Contact(id="li", name="李伟", phone="13800138000", roles=roles, language="en"),)


def test_numbers_are_compared_bare() -> None:
    written = [
        "13800138000",
        "+8613800138000",
        "008613800138000",
        "8613800138000",
        "138 0013-8000",
        "１３８００１３８０００",
    ]
    assert {bare(phone) for phone in written} == {"13800138000"}
    assert bare("119") == "119"
    assert bare("+441234567890") == "+441234567890"


@pytest.mark.parametrize("circle", [2, 3, 50])
def test_every_circle_is_cut_once_and_told_once(tmp_path: Path, circle: int) -> None:
    rows = [f"c{index},,c{(index + 1) % circle}" for index in range(circle)] + ["d,,c0", "e,,d"]
    station, problems = read(tmp_path, grid="cell,name,parent\n" + "\n".join(rows), contacts="id,name,phone\n")
    assert [problem.kind for problem in problems if problem.file.endswith("grid.csv")] == [Kind.CYCLE]
    parents = {cell.id: cell.parent for cell in station.cells}
    for parent in parents.values():
        steps, above = 0, parent
        while above:
            above, steps = parents[above], steps + 1
            assert steps <= len(parents)


def street(cells: int = 1190) -> tuple[str, str]:
    """Return a street as in mission S1: 6 first-level, 40 second-level, the rest third-level cells, a contact each."""
    names = [f"j/{index}" for index in range(cells)]
    parents = ["", *["j/0"] * 6, *[f"j/{1 + index % 6}" for index in range(40)]]
    parents += [f"j/{7 + index % 40}" for index in range(cells - len(parents))]
    grid = "".join(f"{name},网格{name},{parent}\n" for name, parent in zip(names, parents, strict=True))
    people = "".join(f"p{n},王{n},139{n:08d},{name},squad,zh\n" for n, name in enumerate(names))
    return "cell,name,parent\n" + grid, "id,name,phone,cell,role,language\n" + people


def test_a_whole_street_loads_without_comparing_everybody_with_everybody(tmp_path: Path) -> None:
    grid, contacts = street()
    station, problems = read(tmp_path, grid=grid, contacts=contacts)
    assert not problems
    assert (len(station.cells), len(station.contacts)) == (1190, 1190)
    # a spreadsheet whose column of cells is shifted must not take minutes to be refused
    _, problems = read(tmp_path, grid=grid, contacts=contacts.replace(",j/", ",k/"))
    assert sum(problem.kind is Kind.UNKNOWN_NAME for problem in problems) == 1190
