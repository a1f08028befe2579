"""What the views of the page say, as plain values for their templates: overview, alarms, links and devices.

Between the state in RAM and the templates (`gateway.web.render`). Reads and decides nothing but order: classes in the
precedence of a fire panel, what waits for a person before what does not.
"""

from __future__ import annotations

import math
from typing import Any

from gateway.clock import MILLISECOND
from gateway.escalation.phrases import spoken
from gateway.escalation.wording import CAUSES
from gateway.model.alarm import Alarm, AlarmState, Suppression, Verb
from gateway.model.inventory import BOX
from gateway.model.point import AlarmClass, Device, Kind, Point, PointSpec
from gateway.model.verdict import ALWAYS_AGO, Cause
from gateway.web import words
from gateway.web.facts import Facts

Values = dict[str, Any]

SHOWN = 40  # alarms, the most important first; the rest is counted


class Views:
    """The views of one station in one language."""

    def __init__(self, facts: Facts, language: str) -> None:
        self._facts = facts
        self.language = language
        self.text = words.TEXTS[language]

    # -- what every view has

    def state(self) -> Values:
        """Return what the sign at the top of every page says."""
        runner = self._facts.runner
        alarms = runner.state.book.alarms.rows.values()
        return {
            "volatile": runner.ledger.volatile,
            "untrusted": not runner.state.axis.trusted,
            "unanswered": sum(1 for alarm in alarms if _calls(alarm)),
            "walk": self._facts.state.book.walktests.running is not None,
        }

    def ms(self, mono: int) -> int:
        """Return a moment as the page's clock counts: ms on the station axis; 0 if it never was."""
        return 0 if mono == ALWAYS_AGO else max(1, mono // MILLISECOND)

    # -- overview

    def summary(self) -> Values:
        """Return how many alarms of each class are open, and whether anything is."""
        alarms = list(self._facts.state.book.alarms.rows.values())
        counts = []
        for kind in AlarmClass:
            mine = [alarm for alarm in alarms if alarm.alarm_class is kind]
            if mine:
                counts.append(
                    {
                        "class": kind.word,
                        "word": words.CLASSES[self.language][kind],
                        "open": len(mine),
                        "unanswered": sum(1 for alarm in mine if _calls(alarm)),
                    }
                )
        return {"counts": counts, "open": len(alarms), "worst": counts[0]["class"] if counts else ""}

    def cells(self) -> list[Values]:
        """Return the cells that have devices, with devices and points; the order is that of the grid.

        The box itself is none of them: its figures stand with the links.
        """
        by_cell: dict[str, list[Device]] = {}
        for device in self._facts.station.devices:
            if device.id != BOX:
                by_cell.setdefault(device.cell, []).append(device)
        order = [cell.id for cell in self._facts.station.cells if cell.id in by_cell]
        order += [cell for cell in by_cell if cell not in order]
        return [
            {"id": f"c-{number}", "cell": cell, "path": self.path(cell) or [self.text["no_cell"]], "devices": devices}
            for number, cell in enumerate(order)
            for devices in [[self._device(device) for device in by_cell[cell]]]
        ]

    def box(self) -> Values:
        """Return the box with the points of its own health; no points where the station does not watch it."""
        device = self._facts.devices.get(BOX)
        return self._device(device) if device is not None else {"id": BOX, "name": BOX, "points": []}

    def _device(self, device: Device) -> Values:
        return {
            "id": device.id,
            "name": device.name or device.id,
            "points": [
                {
                    "number": self._facts.ids[f"{device.id}.{spec.name}"],
                    "name": f"{device.id}.{spec.name}",
                    "title": self.point_title(spec),
                }
                for spec in device.profile.points
                if spec.kind is not Kind.TEXT
            ],
        }

    def point_title(self, spec: PointSpec) -> str:
        """Return what a point is called, by its name where nobody gave it a title in this language."""
        own = spec.title if self.language in ("zh", self._facts.station.language) else ""
        return (spec.title_en if self.language == "en" else "") or own or spec.name.replace("_", " ")

    def path(self, cell: str) -> list[str]:
        """Return the names of a cell and those above it, the top first."""
        grid = self._facts.state.escalation.planner.grid
        return [grid.name(part) for part in reversed(grid.ancestors(cell))] if cell else []

    def said(self, spec: PointSpec, value: float) -> str:
        """Return a value with its unit, or the label it stands for."""
        for label, number in spec.labels.items():
            if number == value:
                return words.LABELS[self.language].get(label, label)
        unit = words.UNITS.get(spec.unit, spec.unit)
        if spec.unit == "By":
            value, unit = _bytes(value)
        return f"{value:.4g} {unit}".strip() if abs(value) < 10_000 else f"{value:.0f} {unit}".strip()

    # -- alarms

    def alarms(self) -> Values:
        """Return the open alarms by class, the most important first, and how many are not shown."""
        found = sorted(self._facts.state.book.alarms.rows.values(), key=precedence)
        groups: list[Values] = []
        for alarm in found[:SHOWN]:
            if not groups or groups[-1]["class"] != alarm.alarm_class.word:
                word = words.CLASSES[self.language][alarm.alarm_class]
                groups.append({"class": alarm.alarm_class.word, "word": word, "alarms": []})
            groups[-1]["alarms"].append(self.alarm(alarm))
        return {"groups": groups, "more": max(0, len(found) - SHOWN)}

    def alarm(self, alarm: Alarm) -> Values:
        """Return one alarm."""
        facts = self._facts
        point = facts.points.get(alarm.point)
        shown = point is not None and point.spec.kind is not Kind.TEXT
        return {
            "id": alarm.id,
            "class": alarm.alarm_class.word,
            "word": words.CLASSES[self.language][alarm.alarm_class],
            "severity": alarm.severity.word,
            "code": alarm.code,
            "text": self.told(alarm, point),
            "where": [*self.path(alarm.cell), " ".join(filter(None, (facts.device_name(alarm.device), alarm.key)))],
            "value": self.figure(alarm, point),
            "point": point.name if shown and point else "",
            "state": words.STATES[self.language][alarm.state],
            "unanswered": _calls(alarm),
            "true": alarm.condition,
            "suppression": words.SUPPRESSIONS[self.language][alarm.suppression],
            "since": self.ms(alarm.since),
            "at": facts.moment(alarm.since, "%m-%d %H:%M:%S"),
            "who": facts.person(alarm.acknowledged_by),
            "who_at": facts.moment(alarm.acknowledged_at),
            "shelved_by": facts.person(alarm.shelved_by) if alarm.suppression is Suppression.SHELVED else "",
            "shelved_until": facts.moment(alarm.shelved_until, "%m-%d %H:%M"),
            "verbs": _verbs(alarm),
            "old": alarm.from_before_start,
            "test": alarm.test,
        }

    def figure(self, alarm: Alarm, point: Point | None) -> str:
        """Return the value that raised an alarm; of a point or device that gives none, that it does not."""
        if alarm.cause in (Cause.SILENCE, Cause.UNMEASURED):
            return CAUSES[alarm.cause][self.language == "en"]
        if point is None or point.spec.kind is Kind.TEXT or not math.isfinite(alarm.value):
            return ""
        return self.said(point.spec, alarm.value)

    def told(self, alarm: Alarm, point: Point | None) -> str:
        """Return what an alarm says, in the reader's language alone as far as the house has both."""
        if point is not None and point.spec.kind is not Kind.TEXT:
            spec = point.spec
            if not alarm.text or (alarm.text == spec.title and spec.title_en):
                return self.point_title(spec)
        return spoken(alarm.text, chinese=self.language == "zh") or alarm.rule

    # -- links and devices

    def links(self) -> Values:
        """Return links and channels with their health, and what the gateway says of itself."""
        runner = self._facts.runner
        links = [
            {
                "name": link.name,
                "up": link.up,
                "since": self.ms(link.since),
                "tries": link.tries,
                "reason": spoken(link.reason, chinese=self.language == "zh"),
                "counters": sorted(link.counters.items()),
                "findings": sorted(spoken(text, chinese=self.language == "zh") for text in link.findings.values()),
            }
            for link in self._facts.links()
        ]
        figures = {
            "waiting": runner.intake.waiting,
            "unrecorded": runner.ledger.unrecorded,
            "refused_inputs": runner.refused,
            "dropped": runner.dropped + runner.ledger.dropped,
        }
        return {
            "links": sorted(links, key=lambda link: (link["up"], link["name"])),
            "volatile": runner.ledger.volatile,
            "untrusted": not runner.state.axis.trusted,
            "figures": [(self.text[key], number) for key, number in figures.items()],
        }

    def heard(self) -> list[Values]:
        """Return every device with when it was last heard and its open alarms."""
        latest, now = self._facts.state.latest, self._facts.clock.mono()
        troubled: dict[str, int] = {}
        for alarm in self._facts.state.book.alarms.rows.values():
            troubled[alarm.device] = troubled.get(alarm.device, 0) + 1
        found = []
        for device in self._facts.station.devices:
            if device.id == BOX:
                continue
            numbers = [self._facts.ids[f"{device.id}.{spec.name}"] for spec in device.profile.points]
            last = max((int(latest.time[number]) for number in numbers), default=ALWAYS_AGO)
            silent = last != ALWAYS_AGO and now - last > device.silence_limit * 1e9
            found.append(
                {
                    "name": device.name or device.id,
                    "id": device.id,
                    "source": device.source,
                    "profile": device.profile.id,
                    "path": self.path(device.cell),
                    "heard": self.ms(last),
                    "silent": silent,
                    "alarms": troubled.get(device.id, 0),
                }
            )
        return found


def _bytes(value: float) -> tuple[float, str]:
    """Return bytes in the unit in which they are a short number."""
    for unit in ("B", "KiB", "MiB"):
        if abs(value) < 1024:
            return value, unit
        value /= 1024
    return value, "GiB"


def _calls(alarm: Alarm) -> bool:
    return alarm.state.unacknowledged and alarm.suppression is Suppression.NONE and not alarm.test


def precedence(alarm: Alarm) -> tuple[int, bool, int, int]:
    """Order as a fire panel does: class, then what waits for a person, then the worst, then the newest."""
    return alarm.alarm_class, not _calls(alarm), -alarm.severity, -alarm.raised


def _verbs(alarm: Alarm) -> list[str]:
    """Return what a person can do with it now; what may not be done is refused by the book, in words."""
    verbs = [Verb.ACK] if alarm.state.unacknowledged else []
    verbs += [Verb.RESET] if alarm.state is AlarmState.LATCHED_ACKED else []
    if alarm.suppression is Suppression.SHELVED:
        verbs.append(Verb.UNSHELVE)
    return [verb.value for verb in verbs]
