"""What the view of a walk test says: who is still to be tried, what ticked off when, and the last report.

Between the alarm book's walk test and a template (`gateway.web.render`). Decides nothing.
"""

from __future__ import annotations

from gateway.model.walktest import Subject, Walktest
from gateway.web.facts import Facts
from gateway.web.views import Values, Views


def walk(facts: Facts, views: Views) -> Values:
    """Return the walk test that runs, else the last one, and the cells that one can begin in."""
    test = facts.state.book.walktests.latest
    used = {device.cell for device in facts.station.devices if device.cell}
    cells = [cell.id for cell in facts.station.cells] or sorted(used)
    return {
        "cells": [{"id": cell, "path": views.path(cell)} for cell in cells],
        "test": None if test is None else _said(test, facts, views),
    }


def _said(test: Walktest, facts: Facts, views: Views) -> Values:
    tested = set(test.tested)
    devices = [_device(one, test, facts, views, done=one.device in tested) for one in test.subjects]
    return {
        "running": not test.ended,
        "who": facts.person(test.who),
        "cells": ["›".join(views.path(cell)) or cell for cell in test.cells],
        "siren": test.siren,
        "until": views.ms(test.until),
        "ended_at": facts.moment(test.ended, "%m-%d %H:%M") if test.ended else "",
        "end": views.text[f"walk_{test.end}"] if test.end is not None else "",
        "done": len(tested),
        "all": len(test.subjects),
        "devices": sorted(devices, key=lambda one: (one["done"], one["at"])),
    }


def _device(one: Subject, test: Walktest, facts: Facts, views: Views, *, done: bool) -> Values:
    at = test.alarmed.get(one.device) or test.heard.get(one.device) or 0
    return {
        "name": facts.device_name(one.device),
        "path": views.path(one.cell),
        "done": done,
        "heard": one.device in test.heard,
        "alarmed": one.device in test.alarmed,
        "must_alarm": one.must_alarm,
        "at": views.ms(at) if at else 0,
    }
