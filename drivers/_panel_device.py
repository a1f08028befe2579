"""One fire panel on a serial line: what its dialect says → events, as the installation knows better. Pure.

Made at load by `drivers/panel_serial.py`. Keeps house section 6 and rule 5: what is unconfirmed is taken for the more
dangerous of its meanings until the configuration says what it is, and what ends a fault never ends a fire.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from typing import Annotated, Protocol, cast

import msgspec

from drivers._event_codes import Meaning, meaning_of
from drivers._installing import each_key, options_of
from drivers._times import zone_of
from gateway.model.batch import Event, EventCode
from gateway.model.point import Device, Kind
from gateway.model.time import SECOND
from gateway.model.words import nearest
from gateway.protocols import panels
from gateway.protocols.panel_words import Heard, PanelEvent, Reading, Settings, Stretch

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_KEY, _LONGEST_TEXT = 64, 400
_PART = re.compile("[g-z]")  # of the panel itself: 1/mains, 2/board; addresses are digits, hexadecimal at most


class Dialect(Protocol):
    """A module of `gateway.protocols.panels`."""

    SETTINGS: Settings
    BEGIN: re.Pattern[bytes]
    LONGEST: int

    def read(self, data: Stretch, at: int) -> Reading:
        """Judge what begins at data[at]."""


class PanelDeviceOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Keys of a `[[device]]` on a panel_serial source; what is not given comes from the profile's options.

    `dialect`: the file in `gateway/protocols/panels/`; the profile says it. `panel`: its number, where several share a
    line. `peer`: its address, where several call one port. `addresses`: the keys that are installed: others are "not
    registered" (none given: all are). `codes`: event number in hexadecimal → what it means here. `types`: type of
    device → what a fire of such a device is, or an action in the frame that else tells a fire.
    """

    dialect: str = ""
    panel: Annotated[int, msgspec.Meta(ge=0, le=255)] | None = None
    peer: str = ""
    addresses: tuple[str, ...] | None = None
    codes: dict[str, str] = {}
    types: dict[str, str] = {}
    utc_offset: str = "+08:00"

    def __post_init__(self) -> None:
        """Refuse what is no zone, event number or meaning. Raises ValueError, a line for each key."""
        each_key(
            [
                ("utc_offset", lambda: zone_of(self.utc_offset)),
                *((f"codes.{number}", partial(_meant, number, name, 16)) for number, name in self.codes.items()),
                *((f"types.{number}", partial(_meant, number, name, 10)) for number, name in self.types.items()),
            ]
        )


def _meant(number: str, name: str, radix: int) -> None:
    try:
        int(number, radix)
    except ValueError:
        raise ValueError(f'"{number}" is no {"hexadecimal " if radix == 16 else ""}number') from None
    meaning_of(name)


@dataclass(slots=True)
class Installed:
    """A panel, compiled."""

    id: str
    options: PanelDeviceOptions
    events: int
    offset: int = 0
    codes: dict[int, Meaning] = field(default_factory=dict)
    types: dict[int, EventCode] = field(default_factory=dict)
    known: frozenset[str] | None = None

    @classmethod
    def stranger(cls, point: int) -> Installed:
        """Return what stands for a panel that no configuration knows."""
        return cls("", PanelDeviceOptions(), point, offset=8 * 3600)

    def event(self, told: PanelEvent, heard: Heard, problems: list[str], *, registered: bool = True) -> Event:
        """Return one event of a frame."""
        code, ends = self.codes.get(told.number, (told.code, told.ends))
        if code is EventCode.FIRE or (told.by_type and code is told.code):
            code = self.types.get(told.kind, code)
        key = told.key if registered else f"{'' if heard.panel is None else heard.panel}#{told.key}"
        known = registered and (self.known is None or not key or key in self.known or bool(_PART.search(key)))
        return Event(
            self.events,
            key[:_LONGEST_KEY],
            code,
            told.text[:_LONGEST_TEXT],
            self._time(told.date, problems),
            heard.frame,
            registered=known,
            ends=ends,
        )

    def _time(self, date: tuple[int, ...], problems: list[str]) -> int:
        if not date:
            return 0
        try:
            year, month, day, hour, minute, second = date
            moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        except ValueError:
            problems.append("bad_time")
            return 0
        since = moment - _EPOCH
        return (since.days * 86400 + since.seconds - self.offset) * SECOND


@cache
def dialects() -> tuple[str, ...]:
    """Return the names of all dialects."""
    return tuple(sorted(found.name for found in pkgutil.iter_modules(panels.__path__)))


def dialect_of(name: str) -> Dialect:
    """Return a dialect. Raises ValueError for a name that is none."""
    if name not in dialects():
        meant = nearest(name, dialects())
        raise ValueError(f'dialect "{name}"; ' + (f'did you mean "{meant}"?' if meant else ", ".join(dialects())))
    return cast("Dialect", importlib.import_module(f"{panels.__name__}.{name}"))


def install(device: Device, ids: Mapping[str, int]) -> Installed:
    """Compile a device. Raises ValueError for every key that is wrong."""
    options = options_of(device, PanelDeviceOptions)
    dialect_of(options.dialect)
    texts = [ids[f"{device.id}.{spec.name}"] for spec in device.profile.points if spec.kind is Kind.TEXT]
    if not texts:
        raise ValueError("it has no text point for its events")
    offset = zone_of(options.utc_offset).utcoffset(None)
    return Installed(
        device.id,
        options,
        min(texts),
        offset=round(offset.total_seconds()),
        codes={int(number, 16): meaning_of(name) for number, name in options.codes.items()},
        types={int(kind): meaning_of(name)[0] for kind, name in options.types.items()},
        known=None if options.addresses is None else frozenset(options.addresses),
    )
