"""The files a configuration is made of: the TOML file, the spreadsheets it names, and one hash over all they hold.

Used by `gateway.config.load`. The hash tells one configuration from another (house section 3: a tail of the journal is
replayed under the configuration it was written with).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from gateway.config import spreadsheet
from gateway.config.problems import Kind
from gateway.config.sheet import Findings, Sheet


class Files:
    """The files read so far; `folder` is where relative paths start."""

    def __init__(self, main: Path) -> None:
        self.folder = main.absolute().parent
        self.paths: list[Path] = []
        self.hash = hashlib.sha256()
        self._shown = main.parent

    def read(self, path: Path) -> bytes:
        """Return what stands in a file. Raises OSError."""
        raw = path.read_bytes()
        self.paths.append(path)
        self.hash.update(len(raw).to_bytes(8, "big") + raw)
        return raw

    def spreadsheet(self, sheet: Sheet, key: str, form: spreadsheet.Form) -> list[Findings]:
        """Return the spreadsheet that a key names: none without the key, or where it cannot be read (reported)."""
        name = sheet.text(key, example=f'"{key}.csv"')
        if not name:
            return []
        path = self.folder / name
        try:
            raw = self.read(path)
        except OSError as error:
            sheet.report(Kind.UNREADABLE, key, **unreadable(str(path), error))
            return []
        return [spreadsheet.read(raw, file=str(self._shown / name), form=form)]


def unreadable(what: str, error: OSError) -> dict[str, str]:
    """Return the facts of a file that cannot be read; `what` empty: the one that is loaded."""
    return {"what": what or "this file", "error": (error.strerror or type(error).__name__).lower()}
