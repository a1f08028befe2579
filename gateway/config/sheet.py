"""One table of the configuration being read: takes keys by type, notes every mistake, names the keys nobody took.

Between `text` (what the file says, with lines) and the sections (what it means). A mistake never stops the reading:
the default is taken instead and the table is marked `broken`, so that all problems come at once (house section 11).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from gateway.config.problems import Kind, Place, Problem, suggest
from gateway.config.quantities import duration, size
from gateway.config.text import Document, Path
from gateway.model.words import nearest

_SUGGESTIONS = 100  # looking for the nearest of a thousand names takes a millisecond
NAME = re.compile(r"[\w-]+")  # of a device: `device.point` is cut at the dot
DOTTED = re.compile(r"[\w.-]+")
CELL = re.compile(r"[\w./-]+")
_ALLOWED = {NAME: "- and _", DOTTED: ". - and _", CELL: "/ . - and _"}
_EXAMPLE_IDS = {
    "station": '"jc-07"',
    "source": '"bus1"',
    "device": '"kitchen-gas"',
    "rule": '"gas-leak"',
    "channel": '"sms"',
    "policy": '"turn-out"',
    "cell": '"jc/3"',
    "contact": '"li-wei"',
}
_SPOKEN = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text in quotes",
    list: "a list",
    dict: "a table",
}


def spoken(given: object) -> str:
    """Return a value as it stands in TOML."""
    return f'"{given}"' if isinstance(given, str) else str(given).lower() if isinstance(given, bool) else str(given)


class Findings:
    """Everything found so far in one file, and where each key stands."""

    def __init__(self, file: str, document: Document) -> None:
        self.file = file
        self.document = document
        self.problems: list[Problem] = []
        self._suggestions = 0

    def report(self, kind: Kind, path: Path, **facts: object) -> None:
        """Note a problem at a key path."""
        problem = Problem(
            file=self.file,
            line=self.document.line(path),
            key=self.key(path),
            kind=kind,
            facts={name: str(fact) for name, fact in facts.items()},
        )
        self.problems.append(problem)

    def key(self, path: Path) -> str:
        """Return a path as people read it: `device[kitchen-gas].poll`, `policy[turn-out].steps[2].by`."""
        text, here = "", self.document.data
        for part in path:
            try:
                here = here[part]  # type: ignore[index] # a path leads through tables and lists by turns
            except (KeyError, IndexError, TypeError):
                here = {}
            if isinstance(part, str):
                text += f".{part}" if text else part
            else:
                name = here.get("id") if isinstance(here, dict) else None
                text += f"[{name}]" if isinstance(name, str) and name else f"[{part + 1}]"
        return text

    def unknown(self, path: Path, what: str, given: str, known: Iterable[str]) -> None:
        """Note a name that nothing has, with the nearest one that something has."""
        self.report(Kind.UNKNOWN_NAME, path, what=what, given=given, **self.suggest(given, known))

    def suggest(self, given: str, known: Iterable[str]) -> dict[str, str]:
        """Return the facts of "did you mean"; past a number of them a file has another fault than its spelling."""
        self._suggestions += 1
        return suggest(given, nearest(given, known) if self._suggestions <= _SUGGESTIONS else "")

    def places(self) -> dict[str, Place]:
        """Return where each key stands; the first of equal keys counts."""
        places: dict[str, Place] = {}
        for path, line in self.document.lines.items():
            places.setdefault(self.key(path), Place(self.file, line))
        return places


class Sheet:
    """A table; `take` methods remember what was asked for, `finish` reports the rest."""

    def __init__(self, findings: Findings, path: Path, table: object) -> None:
        self.findings = findings
        self.path = path
        self.table: dict[str, Any] = table if isinstance(table, dict) else {}
        self.broken = False
        self.known: set[str] = set()
        if not isinstance(table, dict):
            self._mistyped(path, table, dict, f"[{path[0]}]")

    def report(self, kind: Kind, *key: str | int, **facts: object) -> None:
        """Note a problem at a key of this table; the table is broken."""
        self.broken = self.broken or not kind.note
        self.findings.report(kind, (*self.path, *key), **facts)

    def remark(self, kind: Kind, *key: str | int, **facts: object) -> None:
        """Note a problem that costs nothing of the table: it goes on with what is left."""
        self.findings.report(kind, (*self.path, *key), **facts)

    def _mistyped(self, path: Path, given: object, wanted: type, example: str) -> None:
        self.broken = True
        shown = _SPOKEN[type(given)] if isinstance(given, (list, dict)) else spoken(given)
        self.findings.report(Kind.WRONG_TYPE, path, given=shown, wanted=_SPOKEN[wanted], example=example)

    def _take(self, key: str, wanted: type, example: str, *, required: bool = False) -> Any:  # noqa: ANN401 - TOML
        self.known.add(key)
        if key not in self.table:
            if required:
                self.report(Kind.MISSING_KEY, key, example=f"{key} = {example}")
            return None
        given = self.table[key]
        fits = type(given) is wanted or (wanted is float and type(given) is int)
        if not fits:
            header = example.startswith((f"[{key}", f"[[{key}"))
            self._mistyped((*self.path, key), given, wanted, example if header else f"{key} = {example}")
            return None
        return given

    def text(self, key: str, default: str = "", *, example: str = '"…"', required: bool = False) -> str:
        """Take a text; blanks at its ends are dropped."""
        given = self._take(key, str, example, required=required)
        if given is not None and not given.strip():
            self.report(Kind.EMPTY, key, example=f"{key} = {example}")
        return default if given is None else str(given).strip()

    def name(self, key: str = "id", pattern: re.Pattern[str] = DOTTED) -> str:
        """Take a required name; empty when it has none that can be used."""
        given = self.text(key, example=_EXAMPLE_IDS.get(str(self.path[0]), '"name-1"'), required=True)
        if given and not pattern.fullmatch(given):
            self.report(Kind.BAD_ID, key, given=given, allowed=_ALLOWED[pattern])
            return ""
        return given

    def word(self, key: str, words: dict[str, Any], default: Any, *, required: bool = False) -> Any:  # noqa: ANN401
        """Take one of a closed set of words; returns what stands for it."""
        given = self.text(key, example=f'"{next(iter(words))}"', required=required)
        if not given:
            return default
        if given not in words:
            self.broken = True
            self.findings.unknown((*self.path, key), f"{key} ({', '.join(words)})", given, words)
            return default
        return words[given]

    def flag(self, key: str, *, default: bool | None) -> bool | None:
        """Take true or false."""
        given: bool | None = self._take(key, bool, "true")
        return default if given is None else given

    def integer(self, key: str, default: int, *, least: int = 1) -> int:
        """Take a whole number."""
        given = self._take(key, int, str(default))
        if given is not None and given < least:
            self.report(Kind.OUT_OF_RANGE, key, given=given, wanted=f"{key} = {default} (at least {least})")
            return default
        return default if given is None else int(given)

    def size(self, key: str, default: int) -> int:
        """Take bytes, as a number or a text such as `2GiB`."""
        if type(self.table.get(key)) is int:
            return self.integer(key, default)
        given = self.text(key, example='"2GiB"')
        try:
            return size(given) if given else default
        except ValueError:
            self._mistyped((*self.path, key), given, int, f'{key} = "2GiB"')
            return default

    def duration(self, key: str, default: float, *, zero: bool = True, example: str = '"5s"') -> float:
        """Take a duration; returns seconds."""
        self.known.add(key)
        if key not in self.table:
            return default
        seconds = self.seconds(self.table[key], key, example=f"{key} = {example}")
        if seconds == 0 and not zero:
            self.report(Kind.OUT_OF_RANGE, key, given=f'"{self.table[key]}"', wanted=f"{key} = {example}")
            return default
        return default if seconds is None else seconds

    def seconds(self, given: object, *key: str | int, example: str) -> float | None:
        """Read a duration that stands at `key`; None and a problem when it is none."""
        try:
            return duration(given) if isinstance(given, str) else duration("")
        except ValueError:
            self.broken = True
            wanted = "a duration (ms, s, m, h, d, w, y)"
            self.findings.report(
                Kind.WRONG_TYPE, (*self.path, *key), given=spoken(given), wanted=wanted, example=example
            )
            return None

    def texts(self, key: str, *, example: str, required: bool = False) -> list[tuple[int, str]]:
        """Take a list of texts, or one text; returns them with their places in the list."""
        if isinstance(self.table.get(key), str):
            given = self.text(key, example=example)
            return [(0, given)] if given else []
        found = []
        values = self._take(key, list, example, required=required)
        for index, value in enumerate(values or ()):
            if isinstance(value, str) and value.strip():
                found.append((index, value.strip()))
            else:
                self._mistyped((*self.path, key, index), value, str, example)
        if values == []:
            self.report(Kind.EMPTY, key, example=f"{key} = {example}")
        return found

    def sheets(self, key: str, *, example: str) -> list[Sheet]:
        """Take an array of tables."""
        values = self._take(key, list, example) or []
        return [Sheet(self.findings, (*self.path, key, index), value) for index, value in enumerate(values)]

    def sheet(self, key: str, *, example: str = "") -> Sheet:
        """Take a table inside this one; an absent one is empty."""
        given = self._take(key, dict, example or f"[{key}]")
        return Sheet(self.findings, (*self.path, key), {} if given is None else given)

    def rest(self) -> dict[str, Any]:
        """Return the keys nobody asked for: the plug-in's own."""
        return {key: value for key, value in self.table.items() if key not in self.known}

    def finish(self) -> bool:
        """Report the keys nobody asked for; returns whether the table can be used. An unknown key alone costs none."""
        for key in self.rest():
            self.remark(Kind.UNKNOWN_KEY, key, **self.findings.suggest(key, self.known))
        return not self.broken
