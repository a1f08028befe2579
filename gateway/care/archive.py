"""A backup as a folder: the store, the configuration with people and profiles, and a manifest that vouches for both.

Beside the flow, in processes of their own: `firegrid backup` and `firegrid restore`. Everything is written under
another name and renamed when it is whole and on the disk, so a backup that has its name can be trusted to be one: power
loss leaves no half of one. Secrets stay out unless they are asked for: what a finder of a lost stick must not have.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import msgspec

from gateway.care import redact
from gateway.config.kept import dump, undump
from gateway.errors import ConfigError, StoreError
from gateway.model.station import Station
from gateway.store import backup

MANIFEST, STORE, CONFIGURATION = "manifest.json", "station.db", "configuration"
FORMAT = 1
_SECRET = ("password", "secret", "token", "key")  # of files, as `gateway.config.options` has them
_OF_SECRETS = ("page *", "channel *.pin_refused")  # remembered: of `gateway.web.auth`, and a PIN's hash of `sms_modem`
_TLS = {"keyfile": "key_file", "certfile": "cert_file", "cafile": "ca_file"}


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds.

    `files`: path inside it → hex SHA-256; `private`: those that hold a secret; `missing`: named, but not in it.
    """

    format: int
    firegrid: str
    station: str
    made: str
    schema: int
    seq: int
    record: int
    head: str
    config: str
    secrets: bool
    private: tuple[str, ...]
    missing: tuple[str, ...]
    files: dict[str, str]


def references(data: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - a parsed TOML file
    """Yield (key, path) of every file that plug-ins' tables name."""
    if isinstance(data, dict):
        for key, value in data.items():
            if isinstance(value, str) and (key.endswith("_file") or key in _TLS):
                yield _TLS.get(str(key), str(key)), value
            yield from references(value)
    elif isinstance(data, list | tuple):
        for value in data:
            yield from references(value)


def is_secret(key: str) -> bool:
    """Whether a file named under such a key holds a secret."""
    return key.startswith(_SECRET)


def make(
    target: Path,
    *,
    config: Path,
    files: Sequence[Path],
    named: Iterable[tuple[str, str]],
    store: Path,
    about: dict[str, str],
    secrets: bool,
    progress: backup.Progress,
) -> Manifest:
    """Make a backup at `target`, which must not be there yet.

    `files`: that make up the configuration; `named`: (key, path) as `references` gives them; `about`: station, version
    and moment. Raises StoreError (StoreFull: no room), OSError; nothing is left behind then.
    """
    if target.exists():
        raise FileExistsError(17, "is there already", str(target))
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a try that was cut off
    partial.mkdir(mode=0o700)
    try:
        if secrets:
            copied = backup.backup(store, partial / STORE, progress)
        else:
            copied = backup.backup(store, partial / STORE, progress, keep=_without_secrets)
        private, missing = _configuration(partial / CONFIGURATION, config, files, named, secrets=secrets)
        manifest = Manifest(
            format=FORMAT,
            firegrid=about["firegrid"],
            station=about["station"],
            made=about["made"],
            schema=copied.schema,
            seq=copied.seq,
            record=copied.record,
            head=copied.hash,
            config=config.name,
            secrets=secrets,
            private=tuple(private),
            missing=tuple(missing),
            files={str(path.relative_to(partial)): digest(path) for path in _within(partial)},
        )
        text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
        (partial / MANIFEST).write_bytes(text + b"\n")
        (partial / MANIFEST).chmod(0o600)
        settle(partial)
        partial.rename(target)
        _sync(target.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return manifest


def _configuration(
    folder: Path, config: Path, files: Sequence[Path], named: Iterable[tuple[str, str]], *, secrets: bool
) -> tuple[list[str], list[str]]:
    """Copy what makes up the configuration; returns the secret ones, and what was named and is not in the copy."""
    home = config.absolute().parent
    private: list[str] = []
    missing: list[str] = []
    wanted = [(path, False) for path in (config, *files, *sorted(home.glob("profiles/*.toml")))]
    wanted += [(home / path, is_secret(key)) for key, path in named]
    for path, secret in dict.fromkeys(wanted):
        place = Path(os.path.relpath(path.absolute(), home))
        if (secret and not secrets) or ".." in place.parts or not path.is_file():
            missing.append(str(place) if ".." not in place.parts else str(path.absolute()))
            continue
        copy = folder / place
        copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        raw = path.read_bytes()
        if path == config and not secrets:
            raw = redact.without_secrets(raw.decode(errors="surrogateescape")).encode(errors="surrogateescape")
        copy.write_bytes(raw)
        copy.chmod(0o600)
        if secret:
            private.append(f"{CONFIGURATION}/{place}")
    return private, missing


def _without_secrets(table: str, row: backup.Row) -> backup.Row | None:
    """Take the secrets out of a configuration that the store keeps, and hold back what plug-ins remember of them."""
    if table == "state":
        name, key = row[:2]
        return None if name == "memory" and any(fnmatchcase(key, of) for of in _OF_SECRETS) else row
    if table == "configuration":
        known, used, body = row
        try:
            station = undump(zlib.decompress(body))
        except (ConfigError, zlib.error):  # of another version: nobody can tell what stands in it
            return None
        cleaned = msgspec.convert(redact.emptied(msgspec.to_builtins(station)), Station)
        return row if cleaned == station else (known, used, zlib.compress(dump(cleaned)))
    return row


# -- reading one


def read(folder: Path) -> Manifest:
    """Read and check a backup: format, and every file by its digest. Raises StoreError: what is wrong with it."""
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except OSError as error:
        raise StoreError(f"{folder} is no backup: {MANIFEST}: {error.strerror}") from error
    except ValueError as error:
        raise StoreError(f"{folder} is no backup this firegrid can read: {error}") from error
    if manifest.format != FORMAT:
        raise StoreError(f"{folder} has format {manifest.format}, this firegrid reads {FORMAT}: install a newer one")
    for name, wanted in manifest.files.items():
        if ".." in Path(name).parts or Path(name).is_absolute():
            raise StoreError(f"{folder}: {name} lies outside the backup")
        try:
            found = digest(folder / name)
        except OSError as error:
            raise StoreError(f"{folder}: {name}: {error.strerror}") from error
        if found != wanted:
            raise StoreError(f"{folder}: {name} is not what was written: use another backup")
    if STORE not in manifest.files or f"{CONFIGURATION}/{manifest.config}" not in manifest.files:
        raise StoreError(f"{folder} is incomplete: use another backup")
    return manifest


def put(source: Path, target: Path, mode: int, owner: tuple[int, int] | None) -> None:
    """Copy one file to its place: whole under another name, then renamed. Raises OSError."""
    fresh = target.with_name(f"{target.name}.new")
    try:
        with source.open("rb") as reading, fresh.open("wb") as writing:
            os.fchmod(writing.fileno(), mode)
            if owner is not None:
                os.fchown(writing.fileno(), *owner)
            shutil.copyfileobj(reading, writing, 1 << 20)
            writing.flush()
            os.fsync(writing.fileno())
        fresh.replace(target)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    _sync(target.parent)


def digest(path: Path) -> str:
    """Return the hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def settle(folder: Path) -> None:
    """Get every file and folder below onto the disk."""
    for path in [*_within(folder), *(path for path in folder.rglob("*") if path.is_dir()), folder]:
        _sync(path)


def _within(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
