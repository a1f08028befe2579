"""The people of the grid: cells and contacts, from CSV files or from `[[cell]]` and `[[contact]]` tables.

One row says one role of a contact; rows with the same id are one person. Keeps mission S1: a whole street of cells
and the people in charge of them load in well under a second. What is wrong with one row costs that row at most.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from gateway.config.problems import Kind
from gateway.config.sheet import CELL, Findings, Sheet
from gateway.config.spreadsheet import Form
from gateway.config.text import Path
from gateway.model.contact import Cell, Contact

GRID = Form(
    table="cell",
    columns=("cell", "name", "parent"),
    required=("cell",),
    headings={
        "id": "cell",
        "网格": "cell",
        "网格编号": "cell",
        "名称": "name",
        "网格名称": "name",
        "上级": "parent",
        "上级网格": "parent",
    },
)
CONTACTS = Form(
    table="contact",
    columns=("id", "name", "phone", "cell", "role", "language"),
    required=("id", "name", "phone"),
    headings={
        "编号": "id",
        "姓名": "name",
        "电话": "phone",
        "手机": "phone",
        "手机号": "phone",
        "网格": "cell",
        "网格编号": "cell",
        "角色": "role",
        "职务": "role",
        "语言": "language",
    },
)
LANGUAGES = {"zh": "zh", "en": "en", "中文": "zh", "英文": "en"}

_ROUNDED = re.compile(r"\d(?:\.\d+)?[eE]\+?\d+")
_BETWEEN = re.compile(r"[\s()\-]+")
_PHONE = re.compile(r"\+?\d{3,15}", re.ASCII)
_MOBILE = re.compile(r"1[3-9]\d{6,}", re.ASCII)
_MOBILE_LENGTH = 11

Where = tuple[Findings, Path]


class Grid:
    """Cells by id, each with the place that defines it. `whole` is False when a part of the grid could not be read."""

    def __init__(self) -> None:
        self.cells: dict[str, Cell] = {}
        self.where: dict[str, Where] = {}
        self.whole = True

    def has(self, cell: str) -> bool:
        """Whether a cell may be named: in a grid that could not be read any may be."""
        return cell in self.cells or not self.whole


class Book:
    """Contacts by id, each with the place of its first row. `whole` is False when a row lost who it is or its role."""

    def __init__(self) -> None:
        self.contacts: dict[str, Contact] = {}
        self.where: dict[str, Where] = {}
        self.without_phone: set[str] = set()  # reported already
        self.whole = True


def read_grid(parts: Iterable[Findings]) -> Grid:
    """Read the `cell` tables of every part; parents that are unknown or lead in a circle are dropped."""
    grid = Grid()
    for findings in parts:
        for index, row in enumerate(_rows(findings, "cell")):
            sheet = Sheet(findings, ("cell", index), row)
            name = sheet.name("cell" if "cell" in sheet.table else "id", CELL)
            cell = Cell(id=name, name=sheet.text("name"), parent=sheet.text("parent"))
            sheet.finish()
            if name in grid.cells:
                sheet.report(Kind.DUPLICATE, given=name, other=_place(grid.where[name]))
            elif name:
                grid.cells[name] = cell
                grid.where[name] = (findings, sheet.path)
    for cell in list(grid.cells.values()):
        if cell.parent and cell.parent not in grid.cells:
            findings, path = grid.where[cell.id]
            if grid.whole:
                findings.unknown((*path, "parent"), "cell", cell.parent, grid.cells)
            grid.cells[cell.id] = Cell(id=cell.id, name=cell.name)
    _cut_circles(grid)
    return grid


def _cut_circles(grid: Grid) -> None:
    done: set[str] = set()
    for start in list(grid.cells):
        way: dict[str, None] = {}
        here = start
        while here and here not in done and here not in way:
            way[here] = None
            here = grid.cells[here].parent
        if here in way:
            circle = list(way)[list(way).index(here) :]
            findings, path = grid.where[here]
            findings.report(Kind.CYCLE, (*path, "parent"), given=" → ".join([*circle, here]))
            grid.cells[here] = Cell(id=here, name=grid.cells[here].name)
        done.update(way)


def read_contacts(parts: Iterable[Findings], grid: Grid) -> Book:
    """Read the `contact` tables of every part and join the rows of each person."""
    book = Book()
    seen: dict[tuple[str, ...], Where] = {}
    for findings in parts:
        for index, row in enumerate(_rows(findings, "contact")):
            sheet = Sheet(findings, ("contact", index), row)
            contact = _contact(sheet, grid)
            if contact is None:
                book.whole = False
                continue
            if "role" in sheet.table and not contact.roles:
                book.whole = False
            if not contact.phone and "phone" in sheet.table:
                book.without_phone.add(contact.id)
            content = (contact.id, contact.name, contact.phone, contact.language, *map(str, contact.roles))
            if content in seen:
                sheet.report(Kind.SAME_ROW, other=_place(seen[content]))
                continue
            seen[content] = (findings, sheet.path)
            before = book.contacts.get(contact.id)
            if before is None:
                book.where[contact.id] = (findings, sheet.path)
            book.contacts[contact.id] = contact if before is None else _join(sheet, before, contact)
    _note_shared(book)
    return book


def _contact(sheet: Sheet, grid: Grid) -> Contact | None:
    contact_id = sheet.name("id", CELL)
    name = sheet.text("name")
    phone = _phone(sheet)
    cell, role = sheet.text("cell"), sheet.text("role")
    language = sheet.word("language", LANGUAGES, "")
    sheet.finish()
    if role and not cell:
        sheet.report(Kind.NO_CELL, "role")
    if cell and not grid.has(cell):
        sheet.findings.unknown((*sheet.path, "cell"), "cell", cell, grid.cells)
        cell = ""
    if not contact_id:
        return None
    roles = ((cell, role),) if cell and role else ()
    return Contact(id=contact_id, name=name, phone=phone, roles=roles, language=language)


def _join(sheet: Sheet, first: Contact, row: Contact) -> Contact:
    """Add a row to a person; what the rows say twice must agree, what one leaves out the other says."""
    joined = {}
    for what in ("name", "phone", "language"):
        old, new = getattr(first, what), getattr(row, what)
        if old and new and (bare(old) != bare(new) if what == "phone" else old != new):
            sheet.report(Kind.CONTRADICTION, what, what=what, given=new, other=old)
        joined[what] = old or new
    return Contact(id=first.id, roles=tuple(dict.fromkeys((*first.roles, *row.roles))), **joined)


def spoken(contact: Contact, language: str) -> Contact:
    """Return the contact with name and language filled in where no row said them."""
    return Contact(
        id=contact.id,
        name=contact.name or contact.id,
        phone=contact.phone,
        roles=contact.roles,
        language=contact.language or language,
    )


def bare(phone: str) -> str:
    """Return the digits of a number without country code 86, as two are compared."""
    digits = _BETWEEN.sub("", unicodedata.normalize("NFKC", phone))
    return re.sub(r"^(\+86|0086|86(?=1\d{10}$))", "", digits)


def _phone(sheet: Sheet) -> str:
    given = unicodedata.normalize("NFKC", sheet.text("phone", example='"13800138000"')).strip()
    if not given:
        return ""
    given = given.removesuffix(".0")  # a spreadsheet took it for a number
    digits = bare(given)
    advice = ("write digits, e.g. 13800138000", "请填写数字，例如 13800138000")
    if _ROUNDED.fullmatch(given):
        advice = (
            "the spreadsheet has rounded it: format the column as text and type it again",
            "表格已将其四舍五入：请将该列设为文本后重新输入",
        )
    elif _PHONE.fullmatch(digits):
        if not _MOBILE.fullmatch(digits) or len(digits) == _MOBILE_LENGTH:
            return given
        advice = (f"a mobile number has {_MOBILE_LENGTH} digits", f"手机号应为 {_MOBILE_LENGTH} 位")
    sheet.report(Kind.BAD_PHONE, "phone", given=given, advice=advice[0], advice_zh=advice[1])
    return ""


def _note_shared(book: Book) -> None:
    owner: dict[str, str] = {}
    for contact in book.contacts.values():
        if contact.phone:
            first = owner.setdefault(bare(contact.phone), contact.id)
            if first != contact.id:
                findings, path = book.where[contact.id]
                findings.report(Kind.SAME_PHONE, (*path, "phone"), other=first)


def _rows(findings: Findings, table: str) -> list[Mapping[str, object]]:
    rows = findings.document.data.get(table, [])
    return rows if isinstance(rows, list) else []


def _place(where: Where) -> str:
    findings, path = where
    return f"{findings.file}:{findings.document.line(path)}"
