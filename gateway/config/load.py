"""From a file to a `Station`: every problem at once, and the good part kept.

The head of the configuration: `gateway.app` calls `load`, then lets rules and escalation judge what it returns and
reports their findings by key through `Loaded.report`. Keeps house section 13 (one TOML file a person can read) and
section 7: what passes alone is kept, so that a gateway with a mistake in its file still hears and calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import msgspec

from gateway import registry
from gateway.config import people, ports, text
from gateway.config.care import read_heartbeat, read_power
from gateway.config.files import Files, unreadable
from gateway.config.loaded import Loaded
from gateway.config.page import read_page
from gateway.config.people import Book, Grid
from gateway.config.policies import note_open_classes, read_choice, read_policy
from gateway.config.problems import Kind, Problem
from gateway.config.sections import (
    Names,
    Outside,
    Schema,
    Tailor,
    read_channel,
    read_device,
    read_limits,
    read_rule,
    read_source,
    read_station,
    read_store,
)
from gateway.config.sheet import Findings, Sheet
from gateway.config.sinks import read_sink
from gateway.model.contact import ChannelKind, ChannelSpec
from gateway.model.point import Device, Profile
from gateway.model.station import PageSpec, SourceSpec, Station

_TABLES = ("source", "device", "channel", "sink", "policy", "rule")
_ONE = {  # what a station cannot do without, as it is written
    "source": '[[source]], and under it id = "bus1" and driver = "modbus_rtu"',
    "channel": '[[channel]], and under it id = "sms" and kind = "sms_modem"',
    "contact with a phone": '[[contact]], and under it id = "li" and phone = "13800138000"',
}
T = TypeVar("T")


def load(
    path: str | Path,
    *,
    profiles: Callable[[str], Profile],
    tailor: Tailor = lambda profile, _: profile,
    options: Callable[[str, str], Schema] = registry.options,
    addressed: Callable[[str], ChannelKind] = registry.addressed,
) -> Loaded:
    """Read a station's configuration and all the files it names. Never raises for what stands in them.

    Args:
        path: the TOML file; relative paths in it start from its folder.
        profiles: device type by name; raises ConfigError.
        tailor: puts the `points` table of a device into its profile; raises ConfigError.
        options: known keys of a plug-in's table, see `gateway.registry.options`.
        addressed: how a kind of channel is addressed.
    """
    outside = Outside(profile=profiles, tailor=tailor, options=options, addressed=addressed)
    path = Path(path)
    files = Files(path)
    try:
        content, broken_at = text.decode(files.read(path))
    except OSError as error:
        problem = Problem(file=str(path), line=0, key="", kind=Kind.UNREADABLE, facts=unreadable("", error))
        nothing: frozenset[str] = frozenset()
        return Loaded(
            station=None,
            judged=None,
            half=nothing,
            lost=nothing,
            store=None,
            problems=(problem,),
            positions={},
            digest="",
            files=(),
        )
    main = Findings(str(path), text.parse(content))
    for place in main.document.broken:
        facts = {"error": place.reason}
        main.problems.append(Problem(file=main.file, line=place.line, key="", kind=Kind.BAD_TOML, facts=facts))
    if broken_at:
        main.problems.append(Problem(file=main.file, line=broken_at, key="", kind=Kind.NOT_UTF8))
    return _Reading(main, files, outside).whole()


class _Reading:
    """One pass over a parsed file, in the order in which its tables need each other."""

    def __init__(self, main: Findings, files: Files, outside: Outside) -> None:
        self._main = main
        self._files = files
        self._folder = files.folder
        self._top = Sheet(main, (), main.document.data)
        self._parts = [main]
        declared = {table: set(self._places(table)) for table in _TABLES}
        for place in main.document.broken:  # what a broken block would have declared is not told as unknown, too
            declared.get(place.table, set()).add(place.name)
            if place.table == "station":
                self._top.table.setdefault("station", {"id": place.name or "station"})
            if place.table == "store" and place.name:  # else a last good configuration would be looked for elsewhere
                self._top.table.setdefault("store", {"path": place.name})
        self._names = Names(declared=declared, grid=Grid(), folder=files.folder, outside=outside)

    def _places(self, table: str) -> dict[str, int]:
        """Return id → index of the first table that has it."""
        rows = self._top.table.get(table)
        places: dict[str, int] = {}
        for index, row in enumerate(rows if isinstance(rows, list) else ()):
            if isinstance(row, dict) and isinstance(row.get("id"), str):
                places.setdefault(row["id"].strip(), index)
        return places

    def whole(self) -> Loaded:
        """Read everything."""
        names = self._names
        identity = read_station(self._station(), self._folder)
        store = read_store(self._section("store"), self._folder)
        limits = read_limits(self._section("limits"))
        page = read_page(self._section("page"), self._folder) if "page" in self._top.table else None
        book = self._people()
        sources = self._each("source", lambda sheet: read_source(sheet, names))
        usable = {source.id for source in sources}
        found = self._each("device", lambda sheet: read_device(sheet, names))
        if identity.language == "en":
            found = [_in_english(device) for device in found]
        devices = {device.id: device for device in found if device.source in usable}
        channels = self._each("channel", lambda sheet: read_channel(sheet, names, devices))
        heartbeat, power = None, None
        if "heartbeat" in self._top.table:
            heartbeat = read_heartbeat(self._section("heartbeat"), self._folder, sources, devices)
        if "power" in self._top.table:
            power = read_power(self._section("power"), self._folder, devices)
        sinks = self._each("sink", lambda sheet: read_sink(sheet, names))
        policies = self._each("policy", lambda sheet: read_policy(sheet, names, book))
        rules = self._each("rule", lambda sheet: read_rule(sheet, names))
        rows = self._top.sheets("default_policy", example='[[default_policy]] class = "fire"')
        choices = [choice for row in rows if (choice := read_choice(row, names)) is not None]
        note_open_classes(self._main, choices)
        self._top.finish()
        self._twins(found)
        self._ports(sources, channels, page)
        kept = {policy.id for policy in policies}
        contacts = tuple(people.spoken(contact, identity.language) for contact in book.contacts.values())
        station = Station(
            id=identity.id,
            name=identity.name,
            timezone=identity.timezone,
            language=identity.language,
            socket=identity.socket,
            clock=identity.clock,
            store=store,
            limits=limits,
            sources=tuple(sources),
            devices=tuple(devices.values()),
            channels=tuple(channels),
            sinks=tuple(sinks),
            rules=tuple(rule if rule.policy in kept else msgspec.structs.replace(rule, policy="") for rule in rules),
            policies=tuple(policies),
            choices=tuple(choice for choice in choices if choice.policy in kept),
            cells=tuple(names.grid.cells.values()),
            contacts=contacts,
            page=page,
            heartbeat=heartbeat,
            power=power,
        )
        return self._loaded(station, found)

    def _station(self) -> Sheet:
        """Return the `[station]` table; one that is not there is one problem."""
        if "station" not in self._top.table:
            self._main.report(Kind.MISSING_TABLE, ("station",), example='[station], and under it id = "jc-07"')
            self._top.table["station"] = {"id": "station"}
        return self._section("station")

    def _section(self, key: str) -> Sheet:
        return self._top.sheet(key, example=f"[{key}]")

    def _each(self, key: str, read: Callable[[Sheet], T | None]) -> list[T]:
        """Read an array of tables with ids; the first of two with one id is kept."""
        kept: list[T] = []
        seen: dict[str, int] = {}
        for sheet in self._top.sheets(key, example=f"[[{key}]]"):
            found = read(sheet)
            given = str(sheet.table.get("id", "")).strip()
            line = self._main.document.line(sheet.path)
            first = seen.setdefault(given, line) if given else line
            if first != line:
                sheet.report(Kind.DUPLICATE, "id", given=given, other=f"{self._main.file}:{first}")
            elif found is not None:
                kept.append(found)
        return kept

    def _people(self) -> Book:
        """Read cells and contacts, from the file itself and from the spreadsheets it names."""
        sheet = self._section("people")
        grid = self._files.spreadsheet(sheet, "grid", people.GRID)
        contacts = self._files.spreadsheet(sheet, "contacts", people.CONTACTS)
        sheet.finish()
        for table in ("cell", "contact"):
            self._top.sheets(table, example=f"[[{table}]]")
        self._parts += [*grid, *contacts]
        self._names.grid = people.read_grid([self._main, *grid])
        wanted = "grid" in sheet.table
        if self._main.document.broken or (wanted and not (grid and grid[0].document.data["cell"])):
            self._names.grid.whole = False
        book = people.read_contacts([self._main, *contacts], self._names.grid)
        book.whole = book.whole and not self._main.document.broken and not ("contacts" in sheet.table and not contacts)
        return book

    def _twins(self, devices: Iterable[Device]) -> None:
        """Report devices that are asked for in exactly the same way: one of them stands for nothing."""
        seen: dict[bytes, str] = {}
        places = self._places("device")
        for device in devices:
            if device.options:
                content = msgspec.msgpack.encode((device.source, device.profile.id, device.options), order="sorted")
                first = seen.setdefault(content, device.id)
                if first != device.id:
                    self._main.report(Kind.SAME_DEVICE, ("device", places[device.id]), other=first)

    def _ports(self, sources: Iterable[SourceSpec], channels: Iterable[ChannelSpec], page: PageSpec | None) -> None:
        """Report ports with two owners, and remark on those that everybody may call."""
        for clash in ports.clashes(sources, channels, page):
            path = (clash.table, self._places(clash.table)[clash.id], "port")
            self._main.report(Kind.SAME_PORT, path, given=clash.given, other=clash.other)
        for source, where in ports.open_doors(sources):
            self._main.report(Kind.WIRE_OPEN, ("source", self._places("source")[source], "listen"), given=where)

    def _device_names(self) -> set[str]:
        """Return what devices are called in the file; empty text for one that has no name there."""
        rows = self._top.table.get("device", [])
        names = [row.get("id") if isinstance(row, dict) else "" for row in rows] if isinstance(rows, list) else [""]
        broken = [place.name for place in self._main.document.broken if place.table in ("", "device")]
        return {name.strip() if isinstance(name, str) else "" for name in (*names, *broken)}

    def _told(self, *tables: str) -> bool:
        """Whether something in these tables is wrong: what they lack then is no problem of its own."""
        keys = [problem.key for part in self._parts for problem in part.problems if not problem.note]
        return bool(self._main.document.broken) or any(key.startswith(tables) for key in keys)

    def _loaded(self, station: Station, written: list[Device]) -> Loaded:
        lacks = _lacks(station, self._names)
        for what, tables in lacks.items():
            if not self._told(*tables):
                self._main.report(Kind.NOTHING_USABLE, (), what=what, example=_ONE[what])
        whole = len(station.channels) == len(self._names.declared["channel"])
        if whole and set(self._names.addressed.values()) == {ChannelKind.PLACE}:
            self._main.report(Kind.PLACES_ONLY, ("channel",))
        half = tuple(self._names.half)
        problems = [problem for part in self._parts for problem in sorted(part.problems, key=lambda one: one.line)]
        positions = {key: place for part in reversed(self._parts) for key, place in part.places().items()}
        for profile in {device.profile.id: device.profile for device in station.devices}.values():
            self._files.hash.update(msgspec.msgpack.encode(profile, order="deterministic"))
        return Loaded(
            station=None if lacks else station,
            judged=msgspec.structs.replace(station, devices=tuple(written), rules=station.rules + half),
            half=frozenset(rule.id for rule in half),
            lost=frozenset(self._device_names() - {device.id for device in written}),
            store=station.store,
            problems=tuple(problems),
            positions=positions,
            digest=self._files.hash.hexdigest(),
            files=tuple(self._files.paths),
        )


def _in_english(device: Device) -> Device:
    """Return a device whose profile speaks English wherever the profile can."""
    replace = msgspec.structs.replace
    points = tuple(replace(spec, title=spec.title_en or spec.title) for spec in device.profile.points)
    title = device.profile.title_en or device.profile.title
    return replace(device, profile=replace(device.profile, title=title, points=points))


def _lacks(station: Station, names: Names) -> dict[str, tuple[str, ...]]:
    """Return what is missing so much that nothing would be heard or nobody told, with the tables that may say why."""
    kinds = {names.addressed[channel.id] for channel in station.channels}
    lacks: dict[str, tuple[str, ...]] = {}
    if not station.sources:
        lacks["source"] = ("source",)
    if not kinds:
        lacks["channel"] = ("channel", "device", "source")  # a siren's device or source may be what is wrong
    elif ChannelKind.PLACE not in kinds and not any(contact.phone for contact in station.contacts):
        lacks["contact with a phone"] = ("contact", "people")
    return lacks
