"""From views to HTML: a page is a frame with named fragments, and what changes later is sent fragment by fragment.

Between `gateway.web.views` and `gateway.web.live`. Everything that comes from outside (names, texts of devices and
people, host names) is escaped by the templates or by `escape`; there is no other way into a page.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from markupsafe import escape

from gateway.model.point import AlarmClass
from gateway.model.quality import Level, doubt_of, level_of
from gateway.model.verdict import ALWAYS_AGO
from gateway.web import words
from gateway.web.facts import Facts
from gateway.web.turnouts import TurnOuts
from gateway.web.views import Values, Views
from gateway.web.walk import walk

HERE = Path(__file__).parent
VIEWS = ("overview", "alarms", "turnout", "links", "walktest", "alarm", "point")
Fragments = dict[str, str]


class Topic(NamedTuple):
    """What a page shows and for whom: pages with equal topics are rendered once. `argument`: alarm id or point."""

    view: str
    argument: str
    language: str
    entitled: bool


class Renderer:
    """Makes fragments and pages of one station."""

    def __init__(self, facts: Facts, version: str) -> None:
        self._facts = facts
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(version=version, station=facts.station.name or facts.station.id)
        self._cells: dict[str, list[Values]] = {}  # by language: the configuration does not change
        self._values: dict[tuple[int, str], tuple[tuple[object, ...], str]] = {}  # (point, language) → made from, HTML

    def exists(self, topic: Topic) -> bool:
        """Whether there is such a view, and its point in this configuration."""
        return topic.view in VIEWS and (topic.view != "point" or topic.argument in self._facts.ids)

    def fragments(self, topic: Topic) -> Fragments:
        """Return every fragment of a topic as it stands now: id → inner HTML."""
        views = Views(self._facts, topic.language)
        make = partial(self._template, views)
        found = {"state": make("part_state", state=views.state()), "badge": str(views.state()["unanswered"] or "")}
        match topic.view:
            case "overview":
                found["sum"] = make("part_summary", summary=views.summary())
                found.update(self._overview(views))
            case "alarms":
                found["list"] = make("part_alarms", **views.alarms())
            case "turnout":
                found["list"] = make(
                    "part_turnouts", turnouts=TurnOuts(self._facts, views, entitled=topic.entitled).all()
                )
            case "alarm":
                alarm = self._facts.state.book.by_id(int(topic.argument))
                turnouts = TurnOuts(self._facts, views, entitled=topic.entitled)
                found["list"] = make("part_turnouts", turnouts=turnouts.all([alarm])) if alarm else _ended(views)
            case "links":
                found["links"] = make("part_links", **views.links())
                found["devs"] = make("part_devices", devices=views.heard())
                found.update(self._values_of(views, views.box()))
            case "walktest":
                found["list"] = make("part_walktest", **walk(self._facts, views))
            case "point":
                number = self._facts.ids[topic.argument]
                found["v-now"] = self._value(views, number, self._alarming().get(number))
        return found

    def page(self, topic: Topic, fragments: Fragments, **values: Any) -> str:  # noqa: ANN401 - a template's values
        """Return a whole page."""
        views = Views(self._facts, topic.language)
        own: Values = {}
        if topic.view == "overview":
            own = {"cells": self._layout(views)}
        elif topic.view == "links":
            own = {"box": views.box()}
        elif topic.view == "point":
            point = self._facts.points[self._facts.ids[topic.argument]]
            own = {"title": views.point_title(point.spec), "name": point.name, "path_of": views.path(point.cell)}
            own |= {"device": self._facts.device_name(point.device), "zone": self._facts.station.timezone}
        return self._template(views, topic.view, topic=topic, frag=fragments, **own, **values)

    def plain(self, name: str, language: str, /, **values: Any) -> str:  # noqa: ANN401 - as above
        """Return a page without a stream: login, choice of the person, an error."""
        views = Views(self._facts, language)
        return self._template(views, name, topic=Topic("", "", language, entitled=False), **values)

    def _template(self, views: Views, name: str, /, **values: Any) -> str:  # noqa: ANN401 - as above
        return self._environment.get_template(f"{name}.html").render(t=views.text, language=views.language, **values)

    def _overview(self, views: Views) -> Iterator[tuple[str, str]]:
        worst: dict[str, AlarmClass] = {}
        for alarm in self._facts.state.book.alarms.rows.values():
            worst[alarm.cell] = min(alarm.alarm_class, worst.get(alarm.cell, alarm.alarm_class))
        for cell in self._layout(views):
            kind = worst.get(cell["cell"])
            yield cell["id"], "" if kind is None else _chip(views.language, kind)
            for device in cell["devices"]:
                yield from self._values_of(views, device)

    def _values_of(self, views: Views, device: Values) -> Iterator[tuple[str, str]]:
        alarming = self._alarming()
        for point in device["points"]:
            number = point["number"]
            yield f"v-{number}", self._value(views, number, alarming.get(number))

    def _layout(self, views: Views) -> list[Values]:
        if views.language not in self._cells:
            self._cells[views.language] = views.cells()
        return self._cells[views.language]

    def _alarming(self) -> dict[int, AlarmClass]:
        """Return the worst class of the alarms whose condition is true, by point."""
        found: dict[int, AlarmClass] = {}
        for alarm in self._facts.state.book.alarms.rows.values():
            if alarm.condition:
                found[alarm.point] = min(alarm.alarm_class, found.get(alarm.point, alarm.alarm_class))
        return found

    def _value(self, views: Views, number: int, alarm: AlarmClass | None) -> str:
        """Return the newest reading of a point with quality and age; made anew only when it has changed."""
        latest = self._facts.state.latest
        time = int(latest.time[number])
        made_from = (time, float(latest.value[number]), int(latest.quality[number]), alarm)
        known = self._values.get((number, views.language))
        if known is not None and known[0] == made_from:
            return known[1]
        html = self._value_html(views, number, alarm)
        self._values[number, views.language] = (made_from, html)
        return html

    def _value_html(self, views: Views, number: int, alarm: AlarmClass | None) -> str:
        latest = self._facts.state.latest
        time, quality = int(latest.time[number]), int(latest.quality[number])
        if time == ALWAYS_AGO:
            return f'<span class="val none">{escape(views.text["never"])}</span>'
        level = level_of(quality)
        said = "—" if level is Level.BAD else views.said(self._facts.points[number].spec, float(latest.value[number]))
        tone = f" al {alarm.word}" if alarm is not None else ""
        parts = [f'<span class="val {level.name.lower()}{tone}">{escape(said)}</span>']
        if level is not Level.GOOD:
            doubt = words.DOUBTS[views.language][doubt_of(quality)] or words.LEVELS[views.language][level]
            parts.append(f'<span class="doubt">{escape(doubt)}</span>')
        parts.append(f'<time data-t="{views.ms(time)}">{escape(self._facts.moment(time))}</time>')
        return "".join(parts)


def _chip(language: str, kind: AlarmClass) -> str:
    return f'<span class="chip {kind.word}">{escape(words.CLASSES[language][kind])}</span>'


def _ended(views: Views) -> str:
    return f'<p class="empty">{escape(views.text["ended"])}</p>'
