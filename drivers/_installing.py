"""The devices of a source, each read by its keys, and all that is wrong with them told at once.

Pure; used before anything is opened, by the drivers on wires and buses and by the dialects of a broker. Keeps house
section 11 (every problem is listed at once, by the device it belongs to) and section 13: what a `[[device]]` does not
say comes from its profile.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

import msgspec

from gateway.errors import ConfigError
from gateway.model.point import Device

Struct = TypeVar("Struct", bound=msgspec.Struct)
Made = TypeVar("Made")
Make = Callable[[Device, Mapping[str, int]], Made]  # of a device and the durable ids; raises ValueError or ConfigError
_MISSING = re.compile(r"(?:Object|object) missing required field `(\w+)`")


class Setup(Protocol):
    """What drivers and dialects are given alike."""

    @property
    def devices(self) -> Sequence[Device]:
        """The devices of the source."""

    @property
    def point_ids(self) -> Mapping[str, int]:
        """`device.point` → durable id."""


def options_of(device: Device, schema: type[Struct], *, strict: bool = False) -> Struct:
    """Return the keys of a device; what it does not give comes from its profile. Raises msgspec.ValidationError."""
    return msgspec.convert({**device.profile.options, **device.options}, schema, strict=strict)


def each_key(checks: Iterable[tuple[str, Callable[[], object]]]) -> None:
    """Ask every (key, check) of an options struct. Raises ValueError: `key: reason` of each wrong one, one a line."""
    wrong = []
    for key, check in checks:
        try:
            check()
        except ValueError as error:
            wrong.append(f"{key}: {error}")
    if wrong:
        raise ValueError("\n".join(wrong))


def read_each(setup: Setup, make: Make[Made]) -> tuple[dict[str, Made], list[str]]:
    """Return what was made of each device, by its id, and what is wrong with the others."""
    found: dict[str, Made] = {}
    problems: list[str] = []
    for device in setup.devices:
        try:
            found[device.id] = make(device, setup.point_ids)
        except (ConfigError, ValueError) as error:  # msgspec's among them
            said = _MISSING.sub(r"\1: is missing", str(error))
            problems += [f"device {device.id}: {line}" for line in said.splitlines()]
    return found, problems


def install(setup: Setup, make: Make[Made]) -> dict[str, Made]:
    """Return what was made of each device, by its id. Raises ConfigError that names every device that is wrong."""
    found, problems = read_each(setup, make)
    refuse(problems)
    return found


def install_named(setup: Setup, make: Make[Made], key: str, called: Callable[[Made], str]) -> dict[str, Made]:
    """Return the devices by what their frames call them; `key` is the key of a `[[device]]` that says so.

    Raises:
        ConfigError: every device that `make` refuses, and every two that are called the same.
    """
    found, problems = read_each(setup, make)
    owners: dict[str, str] = {}
    for device, made in found.items():
        owner = owners.setdefault(called(made), device)
        if owner != device:
            problems.append(f"device {device}: {key} {called(made)} is taken by {owner}")
    refuse(problems)
    return {name: found[device] for name, device in owners.items()}


def refuse(problems: Sequence[str]) -> None:
    """Raise ConfigError with every problem, one a line, if there is any."""
    if problems:
        raise ConfigError("\n".join(problems))
