"""TOML with positions: what `tomllib` reads, and beside it the line of every key.

First step of the configuration's flow. `tomllib` alone decides what the text means; the scanner here only walks the
same, already accepted text and notes where each key stands, so that every message can name its line (house
section 11). Follows TOML 1.0.0. A broken block is cut out and the rest read on, because a gateway that cannot read
one device is still to hear the others (house section 7).
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from typing import Any

import msgspec

Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_DOT = re.compile(r"[ \t]*\.[ \t]*")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]+")
_WHERE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_HEADER = re.compile(r"[ \t]*\[")
_TABLE = re.compile(r"[ \t]*\[\[?[ \t]*([\w-]+)")
_NAMED = re.compile(r"""[ \t]*(?:id|path)[ \t]*=[ \t]*["']?([\w./-]+)""")
_SWALLOWED = ("Unclosed array", "Invalid value")  # what tomllib says at a header that it took for a value
_CUTS = 20  # broken blocks cut out before the file is given up


class Broken(msgspec.Struct, frozen=True):
    """A place that is not TOML: line from 1, what the parser says, table and name of the block it costs.

    The name is its `id`, or its `path`: as far as they can be read without being TOML.
    """

    line: int
    reason: str
    table: str = ""
    name: str = ""


class Document(msgspec.Struct, frozen=True):
    """What a file says, the line of each key path, and the blocks that could not be read.

    A path alternates keys and indices as Python would index `data`; a table has the line of its header.
    """

    data: dict[str, Any]
    lines: dict[Path, int]
    broken: tuple[Broken, ...] = ()

    def line(self, path: Path) -> int:
        """Return the line of a path, else of the nearest table above it, else 0."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path[:-1]
        return 0


def decode(raw: bytes) -> tuple[str, int]:
    """Return the text of a file and the first line that is not UTF-8 (0 if all is); such a file is read as GB18030."""
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        return raw.decode("utf-8"), 0
    except UnicodeDecodeError as error:
        return raw.decode("gb18030", errors="replace"), raw.count(b"\n", 0, error.start) + 1


def parse(text: str) -> Document:
    """Read a TOML text. Never raises: what cannot be read is told in `broken`."""
    broken: list[Broken] = []
    lines = text.replace("\r\n", "\n").split("\n")
    for _ in range(_CUTS):
        whole = "\n".join(lines)
        try:
            data = tomllib.loads(whole)
        except tomllib.TOMLDecodeError as error:
            place = _where(str(error), len(lines))
            table, name = _cut(lines, place)
            broken.append(Broken(place.line, place.reason, table, name))
        except RecursionError:
            broken.append(Broken(1, "nested too deep"))
            break
        else:
            return Document(data, _Scanner(whole).scan(), tuple(broken))
    return Document({}, {}, tuple(broken))


def _where(message: str, last: int) -> Broken:
    found = _WHERE.search(message)
    line = int(found[1]) if found and found[1] else last
    return Broken(line, message[: found.start()] if found else message)


def _cut(lines: list[str], place: Broken) -> tuple[str, str]:
    """Blank the block of a place up to the next header; lines keep their numbers. Returns its table and name."""
    first = min(place.line, len(lines)) - 1
    if place.reason in _SWALLOWED and _HEADER.match(lines[first]):
        first -= 1  # the list was not closed in the block above
    after = first + 1
    while first > 0 and not _HEADER.match(lines[first]):
        first -= 1
    while after < len(lines) and not _HEADER.match(lines[after]):
        after += 1
    block = lines[first:after]
    if not any(block):  # blank already: the culprit stands further up, and nobody can tell where
        first, after = 0, len(lines)
    lines[first:after] = [""] * (after - first)
    table = _TABLE.match(block[0]) if block else None
    name = next((found[1] for line in block if (found := _NAMED.match(line))), "")
    return table[1] if table else "", name


class _Scanner:
    """Walks a text that tomllib has accepted and notes the line of each key."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._breaks = [place for place, char in enumerate(text) if char == "\n"]
        self._lines: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}  # elements of arrays of tables

    def scan(self) -> dict[Path, int]:
        """Return path → line."""
        table: Path = ()
        self._skip()
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip()
        return self._lines

    def _skip(self) -> None:
        blank = _BLANK.match(self._text, self._at)
        self._at = blank.end() if blank else self._at

    def _note(self, path: Path) -> None:
        self._lines.setdefault(path, bisect_right(self._breaks, self._at - 1) + 1)

    def _header(self) -> Path:
        start = self._at
        array = self._text.startswith("[[", start)
        self._at += 2 if array else 1
        path: Path = ()
        keys = self._keys()
        for key in keys[:-1]:
            path = self._inside((*path, key))
        path = (*path, keys[-1])
        end, self._at = self._at, start
        if array:
            index = self._counts.get(path, 0)
            self._counts[path] = index + 1
            self._note(path)
            path = (*path, index)
        self._note(path)
        self._at = self._text.index("]", end) + (2 if array else 1)
        return path

    def _inside(self, path: Path) -> Path:
        """Step into the newest element where the path is an array of tables."""
        self._note(path)
        return (*path, self._counts[path] - 1) if path in self._counts else path

    def _keys(self) -> list[str]:
        keys = []
        while True:
            self._skip()
            found = _KEY.match(self._text, self._at)
            if found is None:
                raise AssertionError(f"no key at {self._at}: tomllib accepted what the scanner cannot walk")
            raw = found[0]
            keys.append(next(iter(tomllib.loads(f"{raw}=0"))) if raw[0] in "\"'" else raw)
            self._at = found.end()
            dot = _DOT.match(self._text, self._at)
            if dot is None:
                return keys
            self._at = dot.end()

    def _pair(self, table: Path) -> None:
        start = self._at
        keys = self._keys()
        end, self._at = self._at, start
        path = table
        for key in keys:
            path = (*path, key)
            self._note(path)
        self._at = self._text.index("=", end) + 1
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip()
        match self._text[self._at]:
            case "[":
                self._series(path, "]")
            case "{":
                self._series(path, "}")
            case _:
                found = _STRING.match(self._text, self._at) or _SCALAR.match(self._text, self._at)
                self._at = found.end() if found else self._at

    def _series(self, path: Path, close: str) -> None:
        """Walk an array's values or an inline table's pairs, separated by commas."""
        self._at += 1
        index = 0
        self._skip()
        while self._text[self._at] != close:
            if close == "]":
                self._note((*path, index))
                self._value((*path, index))
                index += 1
            else:
                self._pair(path)
            self._skip()
            if self._text[self._at] == ",":
                self._at += 1
                self._skip()
        self._at += 1
