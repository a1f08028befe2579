"""People of the grid: cells, contacts, how they are reached, and the policies that say who is told when.

A policy step names targets such as `role:squad@cell`, `role:captain@parent`, `contact:li-wei`, `everyone`.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from gateway.model.point import AlarmClass


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of the grid; cells form a tree by `parent` (empty at the top)."""

    id: str
    name: str = ""
    parent: str = ""


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """A person. `roles` are (cell, role) pairs; `phone` as written; `language` is `zh` or `en`."""

    id: str
    name: str
    phone: str = ""
    roles: tuple[tuple[str, str], ...] = ()
    language: str = "zh"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a policy: after how long (s from the start of the chain), whom, by which channels in order."""

    after: float
    notify: tuple[str, ...]
    by: tuple[str, ...]


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Ordered steps; after the last one they repeat every `repeat` seconds until acknowledged (0: as its class does).

    There is always a repeat: an alarm that nobody has answered always has a next step.
    """

    id: str
    steps: tuple[Step, ...]
    repeat: float = 0.0


class ChannelKind(StrEnum):
    """How a channel is addressed."""

    PERSON = "person"  # needs the contact's number or address
    PLACE = "place"  # siren, screen, console: one for everybody


class ChannelSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One way to reach people, as configured. `kind` names the file in gateway/channels."""

    id: str
    kind: str
    options: dict[str, object] = {}


class PolicyChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Default policy of a class, optionally below one cell."""

    alarm_class: AlarmClass
    policy: str
    cell: str = ""
