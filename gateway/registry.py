"""Plug-ins by file name: a driver, dialect, rule kind, channel or sink is one file, and no list of them is edited.

`gateway.app` asks here for the module of a configured name; `gateway.config` asks for the keys that it knows. Keeps
house rule 8 (open by adding). Names are read from the folders, and nothing is imported until it is asked for: an idle
gateway does not pay for what it does not use. Entry points of other distributions (groups `firegrid.drivers`,
`firegrid.dialects`, `firegrid.kinds`, `firegrid.channels`, `firegrid.sinks`, each naming a module) extend the
folders, and cannot replace a file of ours. Files with a leading underscore are no plug-ins.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from importlib import metadata
from types import ModuleType

import msgspec

from gateway.errors import ConfigError
from gateway.model.contact import ChannelKind
from gateway.model.words import nearest


class UnknownPlugInError(ConfigError):
    """No plug-in of that name: `group`, `name`, and the nearest one that exists (or nothing)."""

    def __init__(self, group: Group, name: str, alike: str, known: Sequence[str]) -> None:
        hint = f'did you mean "{alike}"?' if alike else f"known: {', '.join(known)}"
        super().__init__(f'unknown {group.word} "{name}"; {hint}')
        self.group = group
        self.name = name
        self.alike = alike


class Group(StrEnum):
    """A kind of plug-in; the value is the package that holds its files."""

    DRIVER = "drivers"
    DIALECT = "drivers.dialects"
    KIND = "rules.kinds"
    CHANNEL = "gateway.channels"
    SINK = "gateway.sinks"

    @property
    def word(self) -> str:
        """What people call one of the group."""
        return "rule kind" if self is Group.KIND else self.name.lower()

    @property
    def entry_points(self) -> str:
        """The entry point group that extends it."""
        return f"firegrid.{self.value.rpartition('.')[2]}"


_OWNERS = {
    "source": Group.DRIVER,
    "device": Group.DIALECT,
    "channel": Group.CHANNEL,
    "sink": Group.SINK,
    "rule": Group.KIND,
}


def driver(name: str) -> ModuleType:
    """Import `drivers/<name>.py`. Raises ConfigError for an unknown name."""
    return load(Group.DRIVER, name)


def dialect(name: str) -> ModuleType:
    """Import `drivers/dialects/<name>.py`. Raises ConfigError for an unknown name."""
    return load(Group.DIALECT, name)


def rule_kind(name: str) -> ModuleType:
    """Import `rules/kinds/<name>.py`. Raises ConfigError for an unknown name."""
    return load(Group.KIND, name)


def channel(kind: str) -> ModuleType:
    """Import `gateway/channels/<kind>.py`. Raises ConfigError for an unknown name."""
    return load(Group.CHANNEL, kind)


def sink(kind: str) -> ModuleType:
    """Import `gateway/sinks/<kind>.py`. Raises ConfigError for an unknown name."""
    return load(Group.SINK, kind)


def load(group: Group, name: str) -> ModuleType:
    """Import one plug-in.

    Raises:
        UnknownPlugInError: no such plug-in; the nearest name is given.
        ConfigError: it needs a package that is not installed.
    """
    target = _target(group, name)
    if not target:
        known = names(group)
        raise UnknownPlugInError(group, name, nearest(name, known), known)
    try:
        return importlib.import_module(target)
    except ImportError as error:
        raise ConfigError(f'{group.word} "{name}" cannot be loaded: {error}') from error


def names(group: Group) -> tuple[str, ...]:
    """Return the names of a group's plug-ins, sorted, without importing one."""
    return tuple(sorted(_files(group) | _entries(group).keys()))


def options(table: str, name: str) -> type[msgspec.Struct] | None:
    """Return the Struct that says which keys a table of the configuration knows; None when it takes any.

    Args:
        table: `source` (keys of a driver), `device` (keys of a dialect's or driver's device), `channel`,
            `sink` or `rule`.
        name: driver, dialect or driver, kind of channel, of sink or of rule.

    Raises:
        ConfigError: unknown name.
    """
    if table == "device" and not _target(Group.DIALECT, name):
        return _struct(load(Group.DRIVER, name), "DEVICE_OPTIONS")
    return _struct(load(_OWNERS[table], name), "OPTIONS")


def addressed(kind: str) -> ChannelKind:
    """Return whether a kind of channel needs a person's number or is one for everybody at a place."""
    return ChannelKind(getattr(channel(kind), "ADDRESSED", ChannelKind.PERSON))


def serves(driver: str, spoken: str) -> bool:
    """Return whether devices whose profile speaks `spoken` (a driver or a dialect) may stand on a driver's source.

    A driver serves its own devices, those of its `SERVES`, and with `DIALECTS` those of every dialect. What is no
    file of ours, or no plug-in at all, is not judged here.
    """
    ours = driver in _files(Group.DRIVER) and (spoken in _files(Group.DRIVER) or is_dialect(spoken))
    if driver == spoken or not ours:
        return True
    module = load(Group.DRIVER, driver)
    return bool(getattr(module, "DIALECTS", False) if is_dialect(spoken) else spoken in getattr(module, "SERVES", ()))


def is_dialect(name: str) -> bool:
    """Return whether it is a dialect: its devices stand on a driver that reads those."""
    return bool(_target(Group.DIALECT, name))


def _struct(module: ModuleType, name: str) -> type[msgspec.Struct] | None:
    found = getattr(module, name, None)
    return found if isinstance(found, type) and issubclass(found, msgspec.Struct) else None


def _target(group: Group, name: str) -> str:
    """Return the module of a plug-in, empty if there is none. Entry points are read for what is no file of ours."""
    return f"{group.value}.{name}" if name in _files(group) else _entries(group).get(name, "")


@lru_cache
def _files(group: Group) -> frozenset[str]:
    spec = importlib.util.find_spec(group.value)
    folders = spec.submodule_search_locations if spec else None
    return frozenset(
        found.name for found in pkgutil.iter_modules(folders) if not found.ispkg and not found.name.startswith("_")
    )


@lru_cache
def _entries(group: Group) -> dict[str, str]:
    return {entry.name: entry.module for entry in metadata.entry_points(group=group.entry_points)}
