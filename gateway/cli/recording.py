"""A recording of live traffic: JSON lines, one per piece of bytes or message, written as they come and read again.

For `firegrid listen --record` and `--replay`. The first line says how it was heard. A recording of a station's traffic
is evidence: an existing file is never written over, and each line is on its way to the disk before the next is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO, TypeVar

import msgspec

from gateway.clock import SECOND
from gateway.errors import ConfigError

VERSION = 1

Struct = TypeVar("Struct", bound=msgspec.Struct)


class Head(msgspec.Struct, frozen=True, kw_only=True, rename={"protocol": "as"}):
    """How it was heard: what on, read as what."""

    recording: int = VERSION
    what: str = ""
    protocol: str = ""
    profile: str = ""
    datagrams: bool = False


class Piece(msgspec.Struct, frozen=True, kw_only=True, rename={"peer": "from"}, omit_defaults=True):
    """What came at once: bytes of a peer, or a message of a topic. `time`: RFC 3339, `hex`: the bytes."""

    time: str
    direction: str = "in"
    peer: str = ""
    topic: str = ""
    retained: bool = False
    hex: str = ""

    @property
    def data(self) -> bytes:
        """The bytes. Raises ValueError."""
        return bytes.fromhex(self.hex)


def piece(wall: int, data: bytes, *, peer: str = "", topic: str = "", retained: bool = False) -> Piece:
    """Return a piece that came at `wall` (ns since 1970)."""
    time = datetime.fromtimestamp(wall / SECOND, tz=UTC).isoformat(timespec="milliseconds")
    return Piece(time=time, peer=peer, topic=topic, retained=retained, hex=data.hex())


class Recorder:
    """Writes a recording. Raises ConfigError: the file exists or cannot be written."""

    def __init__(self, path: Path, head: Head) -> None:
        try:
            self._file: TextIO = path.open("x", encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}: name a new file") from error
        self._line(head)

    def write(self, one: Piece) -> None:
        """Add a piece."""
        self._line(one)

    def close(self) -> None:
        """End it."""
        self._file.close()

    def _line(self, thing: msgspec.Struct) -> None:
        self._file.write(json.dumps(msgspec.to_builtins(thing), ensure_ascii=False) + "\n")
        self._file.flush()


def read(path: Path) -> tuple[Head, Iterator[Piece]]:
    """Return how a recording was heard, and its pieces one after the other. Raises ConfigError with the line."""
    try:
        with path.open("rb") as file:
            first = file.readline()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    head = _decoded(path, 1, first, Head)
    if head.recording != VERSION or b'"recording"' not in first:
        raise ConfigError(f"{path}:1: no recording of firegrid listen, or of a newer version")
    return head, _pieces(path)


def _pieces(path: Path) -> Iterator[Piece]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return  # cut off by a power cut: what stands before it is whole
            if number == 1 or not line.strip():
                continue
            found = _decoded(path, number, line, Piece)
            try:
                _ = found.data
            except ValueError as error:
                raise ConfigError(f"{path}:{number}: hex: {error}") from error
            yield found


def _decoded(path: Path, number: int, line: bytes, kind: type[Struct]) -> Struct:
    try:
        return msgspec.json.decode(line, type=kind)
    except ValueError as error:
        raise ConfigError(f"{path}:{number}: {error}") from error
