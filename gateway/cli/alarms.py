"""`firegrid alarms`: the alarm book as it stands, or every transition of the record."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from gateway.cli.main import GOOD, add_config
from gateway.cli.printing import Row, number, open_reader, rfc3339, show, tell_begin, zone_of
from gateway.escalation.wording import CAUSES
from gateway.model.alarm import Alarm, Evidence
from gateway.model.quality import describe
from gateway.model.station import Station
from gateway.model.verdict import Cause
from gateway.store.read import Entry, Reader


def arguments(own: argparse.ArgumentParser) -> None:
    """Add what `alarms` takes."""
    add_config(own)
    own.add_argument("--json", action="store_true", help="one JSON object a line")
    own.add_argument("--history", action="store_true", help="every transition, oldest first")


def run(options: argparse.Namespace) -> int:
    """Print them."""
    reader, station = open_reader(options.config)
    with reader:
        columns: tuple[str, ...]
        rows: Iterator[Row]
        if options.history:
            columns = ("time", "id", "rule", "device", "point", "key", "before", "after", "cause", "who")
            tell_begin(reader)
            rows = _transitions(reader, station)
            show(rows if options.json else map(_told, rows), as_json=options.json, columns=columns)
        else:
            rows = (_alarm(entry, reader, station) for entry in reader.alarms())
            if not options.json:
                rows = map(_told, rows)
            columns = (
                *("id", "code", "class", "severity", "state", "suppression", "until"),
                *("device", "point", "key", "since", "value", "cause"),
            )
            show(rows, as_json=options.json, columns=columns)
    return GOOD


def _told(row: Row) -> Row:
    """Return a row for people: a value with its unit, a cause in words, the mark of a walk test as suppression."""
    said = dict(row)
    if row.get("test"):
        said["suppression"] = "测试 test"
    if row.get("unit") and row["value"] is not None:
        said["value"] = f"{row['value']:g} {row['unit']}"
    words = CAUSES.get(Cause(row["cause"]))
    if words is not None:
        said["cause"] = " ".join(words)
    return said


def _alarm(entry: Entry[Alarm], reader: Reader, station: Station | None) -> Row:
    alarm, zone = entry.body, zone_of(station)
    until = reader.wall(entry.boot, alarm.shelved_until) if alarm.shelved_until else None
    return {
        "id": alarm.id,
        "rule": alarm.rule,
        "device": alarm.device,
        "point": alarm.point_name,
        "key": alarm.key,
        "cell": alarm.cell,
        "class": alarm.alarm_class.word,
        "severity": alarm.severity.word,
        "state": alarm.state.value,
        "suppression": alarm.suppression.value,
        "test": alarm.test,
        "until": rfc3339(until, zone),
        "since": rfc3339(reader.wall(entry.boot, alarm.since), zone),
        "cause": alarm.cause.value,
        "value": number(alarm.value),
        "unit": alarm.unit,
        "text": alarm.text,
        "code": alarm.code,
        "acknowledged_by": alarm.acknowledged_by,
        "evidence": _evidence(alarm.evidence),
    }


def _transitions(reader: Reader, station: Station | None) -> Iterator[Row]:
    zone, clock = zone_of(station), reader.clock()
    names = {point: name.rpartition(".") for name, point in reader.points().items()}
    for entry in reader.transitions():
        move = entry.body
        device, _, point = names.get(move.point, ("", "", ""))
        yield {
            "n": entry.n,
            "id": move.alarm,
            "rule": move.rule,
            "device": device,
            "point": point,
            "key": move.key,
            "event": move.event.name.lower(),
            "before": move.before.value,
            "after": move.after.value,
            "suppression": move.suppression.value,
            "cause": move.cause.value,
            "who": move.who,
            "reason": move.reason,
            "value": number(move.value),
            "time": rfc3339(clock.wall(entry.boot, move.at), zone),
            "mono": move.at,
            "evidence": _evidence(move.evidence),
        }


def _evidence(evidence: Evidence) -> Row:
    return {
        "frame": evidence.frame.hex(),
        "value": number(evidence.value),
        "quality": describe(evidence.quality),
        "text": evidence.text,
    }
