"""Spreadsheets saved as CSV, read as if they were arrays of tables: grid and contacts as people really keep them.

Stands beside `text`: it gives the same `Document`, so that `people` reads CSV and TOML with one code. Forgives what
spreadsheet programs do to a file: byte order marks, GB18030, UTF-16, semicolons or tabs, a `sep=` line, blank lines and
columns, Chinese headings, `="138…"`, a leading apostrophe. It never guesses at digits that a program has destroyed.
"""

from __future__ import annotations

import codecs
import csv
import io
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gateway.config.problems import Kind
from gateway.config.sheet import Findings
from gateway.config.text import Document, Path

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_DELIMITERS = "\t;,，"
_INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u200e\u200f\u202a\u202c\u202d"))  # pasted along with numbers


class Form(NamedTuple):
    """What a spreadsheet holds.

    Attributes:
        table: name of the table its rows go to.
        columns: those that mean something, in the order to show people.
        required: those it cannot do without.
        headings: other headings → column.
    """

    table: str
    columns: Sequence[str]
    required: Sequence[str]
    headings: Mapping[str, str]


def read(raw: bytes, *, file: str, form: Form) -> Findings:
    """Read a CSV file into `{table: [{column: text}, …]}`; a blank field is an absent key. `file`: for messages."""
    table, columns, required, headings = form
    lines: dict[Path, int] = {}
    rows: list[dict[str, Any]] = []
    findings = Findings(file, Document({table: rows}, lines))
    text = _decode(raw)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    names: list[str] = []
    try:
        for fields in reader:
            values = [clean(field) for field in fields]
            if not any(values) or (not names and values[0].startswith("sep=")):
                continue
            if not names:
                lines.update(dict.fromkeys([(table,), *((value,) for value in values)], reader.line_num))
                names = _header(findings, values, columns, headings)
                missing = [column for column in required if column not in names]
                for column in missing:
                    findings.report(Kind.NO_COLUMN, (table,), given=column, wanted=",".join(columns))
                if missing:
                    return findings
                continue
            lines[(table, len(rows))] = reader.line_num - sum(field.count("\n") for field in fields)
            rows.append({name: value for name, value in zip(names, values, strict=False) if name and value})
    except csv.Error as error:
        lines[(table, len(rows))] = reader.line_num
        findings.report(Kind.UNREADABLE, (table, len(rows)), what="this row", error=error)
    if not names:
        findings.report(Kind.EMPTY, (), example=",".join(columns))
    return findings


def clean(field: str) -> str:
    """Return a field without what spreadsheet programs put around it."""
    field = field.translate(_INVISIBLE).strip()
    if field.startswith('="') and field.endswith('"'):
        field = field[2:-1].strip()
    return field.removeprefix("'").strip()


def _decode(raw: bytes) -> str:
    if raw.startswith(_UTF16):
        return raw.decode("utf-16", errors="replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("gb18030", errors="replace")


def _delimiter(text: str) -> str:
    """Return what separates the headings: no heading has one of these in it."""
    for line in text.splitlines():
        if line.lower().startswith("sep=") and len(line) > 4:
            return line[4]
        if line.strip():
            return max(_DELIMITERS, key=lambda sign: (line.count(sign), sign == ","))
    return ","


def _header(findings: Findings, values: list[str], columns: Sequence[str], headings: Mapping[str, str]) -> list[str]:
    names = []
    for value in values:
        word = unicodedata.normalize("NFKC", value).casefold().replace(" ", "_")
        name = headings.get(word, word)
        if name and (name not in columns or name in names):
            findings.report(Kind.UNKNOWN_COLUMN, (value,), **findings.suggest(name, columns))
            name = ""
        names.append(name)
    return names
