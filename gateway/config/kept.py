"""The whole configuration as bytes, people and profiles included: what the store and the copy beside it keep.

A station that has run before starts on its last good configuration when the new one is bad (house section 7); that
copy must not need one of the files that were edited. Format: one line `firegrid-configuration 1 <hex SHA-256>`, then
MessagePack of `Station`.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

from gateway.errors import ConfigError
from gateway.model.station import Station

_MAGIC = b"firegrid-configuration 1 "
_encoder = msgspec.msgpack.Encoder(order="deterministic")
_decoder = msgspec.msgpack.Decoder(Station)


def dump(station: Station) -> bytes:
    """Return the configuration as bytes; equal stations give equal bytes."""
    body = _encoder.encode(station)
    return _MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def undump(raw: bytes) -> Station:
    """Return what was dumped.

    Raises:
        ConfigError: damaged, cut short, or written by a version that this one cannot read.
    """
    head, _, body = raw.partition(b"\n")
    if not head.startswith(_MAGIC):
        raise ConfigError("not a kept configuration, or one of another version")
    if head.removeprefix(_MAGIC).decode("ascii", errors="replace") != hashlib.sha256(body).hexdigest():
        raise ConfigError("the kept configuration is damaged")
    try:
        return _decoder.decode(body)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"the kept configuration does not fit this version: {error}") from error


def write_copy(path: Path, station: Station) -> None:
    """Write the copy, see `write_whole`. Raises OSError."""
    write_whole(path, dump(station))


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a power cut leaves the old or the new one; readable by its owner only. Raises OSError."""
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Let names that were given in a folder survive a power cut. Raises OSError."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_copy(path: Path) -> Station:
    """Read the copy. Raises ConfigError when it is absent or damaged."""
    try:
        return undump(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
