"""`firegrid ack`, `reset`, `shelve`: operator acts through the local socket of the running daemon."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gateway.alarms.done import done
from gateway.app import DEFAULT_STORE, read
from gateway.cli.main import FAILED, GOOD, REFUSED, add_config
from gateway.cli.printing import Row, clock_time, rfc3339, zone_of
from gateway.config.quantities import duration
from gateway.model.alarm import AlarmState, Suppression, Verb
from gateway.model.station import Station
from gateway.transport import unix


def arguments(own: argparse.ArgumentParser) -> None:
    """Add what the acts take."""
    add_config(own)
    own.add_argument("alarms", nargs="*", type=int, metavar="ALARM", help="id as `firegrid alarms` shows it")
    own.add_argument("--as", dest="who", default="", metavar="CONTACT", help="who acts (default: your user)")
    own.add_argument("--reason", default="", help="in your words; needed to shelve; 误报 or false: a false alarm")
    own.add_argument("--for", dest="seconds", default="0s", metavar="TIME", help="how long a shelf lasts, e.g. 2h")
    own.add_argument("--json", action="store_true", help="one JSON object per alarm")


def run(options: argparse.Namespace) -> int:
    """Act, and say of each alarm what is now so; 3 when all was refused, 1 when a part was or no daemon answers."""
    if options.command != "ack" and not options.alarms:
        print(f"firegrid {options.command}: which alarm? `firegrid alarms` lists them", file=sys.stderr)
        return REFUSED
    try:
        seconds = duration(options.seconds)
    except ValueError:
        print(
            f"firegrid {options.command}: --for {options.seconds}: no duration; write e.g. 30m or 2h", file=sys.stderr
        )
        return REFUSED
    station = read(options.config).station
    default = f"{station.store.path if station else DEFAULT_STORE}.sock"
    path = Path((station.socket if station else "") or default)
    request = {
        "do": "act",
        "verb": options.command,
        "alarms": options.alarms,
        "who": options.who,
        "reason": options.reason,
        "seconds": seconds,
    }
    try:
        answer = unix.ask(path, request)
    except OSError as error:
        print(f"firegrid: no daemon answers at {path} ({error.strerror}): is `firegrid run` running?", file=sys.stderr)
        return FAILED
    if "error" in answer:
        print(f"firegrid: {answer['error']}", file=sys.stderr)
        return REFUSED
    chinese = station is None or station.language == "zh"
    for row in _rows(answer, station, chinese=chinese):
        if options.json:
            print(json.dumps(row, ensure_ascii=False))
        else:
            place = " ".join(filter(None, (str(row["alarm"]), row["place"])))
            head = f"报警 {place}：" if chinese else f"alarm {place}: "
            print(head + row["text"] if row["alarm"] else row["text"], file=sys.stdout if row["done"] else sys.stderr)
    if not answer["done"] and not answer["refusals"]:
        print("没有待确认的报警" if chinese else "nothing to acknowledge", file=sys.stderr)
    if not answer["recorded"]:
        print("未存档：存储故障" if chinese else "not recorded: store fault", file=sys.stderr)
    if not answer["refusals"]:
        return GOOD
    return FAILED if answer["done"] else REFUSED


def _rows(answer: Mapping[str, Any], station: Station | None, *, chinese: bool) -> Iterator[Row]:
    """Yield one row per alarm: what was done first, then what was refused."""
    zone = zone_of(station)
    for one in answer["done"]:
        text = done(
            Verb(one["verb"]),
            AlarmState(one["state"]),
            Suppression(one["suppression"]),
            who=one["name"],
            until=clock_time(one["until"], zone) or ("结束（时间未校准）" if chinese else "its end (clock not set)"),
            told=one["told"],
            chinese=chinese,
        )
        yield {**one, "done": True, "until": rfc3339(one["until"], zone), "text": text}
    for refusal in answer["refusals"]:
        text = refusal["zh" if chinese else "en"]
        yield {"alarm": refusal["alarm"], "place": refusal["place"], "done": False, "text": text}
