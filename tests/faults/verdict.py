"""The verdict over a run of the kill harness: what was seen from outside, compared with the store and the phones.

Every function returns what is wrong, in words or numbers; nothing wrong is an empty answer.
"""

from __future__ import annotations

import json
import re
from bisect import bisect
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from drivers.simulated.modem_network import SentMessage
from gateway.clock import SECOND, SystemClock
from gateway.model.batch import EventCode, Floats
from gateway.model.notification import Notification, NotifyReason
from gateway.store import chunks
from gateway.store.connection import connect_readonly
from gateway.store.journal import decode_readings
from gateway.store.read import Reader
from tests.faults import station

TOLERANCE = SECOND  # of a timer, and of its telling
COMMIT_DEADLINE = 2 * SECOND  # a bad disk may hold an alarm up for so long, then it leaves unrecorded
SECONDS_PER_SMS = 0.05  # of the simulated modem, for each part
QUEUED = round(0.08 * SECOND)  # ns; what a part before it in the modem may cost a message
AGAIN, UNRECORDED = "【重发】", "【未存档】"
_ABOUT = re.compile(r" (\S+?)[，：]")
CLOCK = SystemClock()


class Past(NamedTuple):
    """A life that was: moments in boot-time ns; `armed` is None when it died before. `acked`: messages taken in it."""

    born: int
    armed: int | None
    died: int
    acked: int
    bad_disk: bool = False


def asking(sent: Iterable[SentMessage], device: str) -> list[SentMessage]:
    """Return the messages that ask somebody to answer for a device's alarm."""
    return [message for message in sent if f" {device}，" in message.text and "回复" in message.text]


# -- readings: ledger A


def stored(store: Path) -> dict[str, list[int]]:
    """Return every value of every MQTT device, and of every address at the panel, in the store."""
    parts: dict[int, list[Floats]] = defaultdict(list)
    with closing(connect_readonly(store)) as connection:
        names = dict(connection.execute("SELECT id, name FROM point"))
        connection.execute("BEGIN")
        for point, n, body in connection.execute("SELECT point, n, body FROM chunk"):
            parts[point].append(chunks.decode(point, n, body).value)
        tail = "SELECT body FROM journal WHERE seq > ?"
        for (body,) in connection.execute(tail, (chunks.progress(connection),)):
            readings = decode_readings(body)
            for point in np.unique(readings.point):
                parts[int(point)].append(readings.value[readings.point == point])
    there: dict[str, list[int]] = {
        names[point].removesuffix(".v"): np.concatenate(values).astype(int).tolist()
        for point, values in parts.items()
        if names[point].endswith(".v")
    }
    with Reader(store) as reader:
        for entry in reader.events():
            if names[entry.body.point] == "panel.events":
                there.setdefault(entry.body.key, []).append(json.loads(entry.body.raw)["v"])
    return there


def missing(store: Path, acked: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """Return how many acknowledged values of each device are not in the store."""
    there = stored(store)
    lost = {name: set(values).difference(there.get(name, ())) for name, values in acked.items()}
    return {name: len(values) for name, values in lost.items() if values}


def twice(store: Path, acked: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """Return how often each device has more values in the store than were published."""
    more = {name: len(values) - len(acked[name]) for name, values in stored(store).items()}
    return {name: n for name, n in more.items() if n > 0}


# -- notices


def told_again(sent: Iterable[SentMessage], devices: Iterable[str], lives: Sequence[Past]) -> list[str]:
    """Return messages about devices that came again without a kill between, or without a mark.

    To one number, two that ask about a device are the same message, and two of other kinds are if they say the same.
    One that left unrecorded from a life that was killed without its disk is not known to the next: it says so itself.
    """
    deaths, known = [life.died for life in lives], frozenset(devices)
    same: dict[tuple[str, str], list[SentMessage]] = defaultdict(list)
    for message in sent:
        name = about(message.text)
        if name in known:
            what = name if "回复" in message.text else message.text.replace(AGAIN, "").replace(UNRECORDED, "")
            same[message.number, what].append(message)
    wrong = []
    for messages in same.values():
        for before, again in pairwise(messages):
            marked = AGAIN in again.text or UNRECORDED in before.text
            if bisect(deaths, before.at) == bisect(deaths, again.at) or not marked:
                wrong.append(f"{before} {again}")
    return wrong


def about(text: str) -> str:
    """Return the device, or the address at the panel, that a message is about; "" if none."""
    found = _ABOUT.search(text)
    return found[1] if found else ""


def unnoticed(store: Path, devices: Iterable[str]) -> set[str]:
    """Return the devices of whose alarm the record holds no notice: answered at the box or not, one has to be."""
    with Reader(store) as reader:
        notices = [entry.body for entry in reader.record(("notice",), Notification)]
    return set(devices) - {about(notice.text) for notice in notices if notice.reason is NotifyReason.RAISED}


def untimely(due: int, told: int | None, lives: Iterable[Past], sent: Sequence[SentMessage], busy: float = 0.0) -> str:
    """Say whether an alarm due at `due` (boot-time ns) was told too early, or later than some life could have told it.

    The first life that lived long enough has to: within a second after it was armed and the timer due, beside what
    the modem had to send meanwhile, the deadline of a commit on a bad disk, and the seconds for which a machine that
    is `busy` with other work may keep it waiting.
    """
    if told is not None and told < due - TOLERANCE:
        return f"told {(due - told) / SECOND:.2f} s early"
    for life in lives:
        if life.armed is None or life.died < due:
            continue
        begin = max(due, life.armed)
        until = life.died if told is None else told
        queue = sum(message.parts for message in sent if begin - TOLERANCE <= message.at < until) * QUEUED
        end = begin + TOLERANCE + queue + (COMMIT_DEADLINE if life.bad_disk else 0) + round(busy * SECOND)
        if told is not None and told <= end:
            return ""
        if life.died >= end:
            when = "never" if told is None else f"{(told - begin) / SECOND:.2f} s after it could be"
            return f"told {when}, by a life of {(life.died - begin) / SECOND:.2f} s from then on"
    return ""


def wrong_timers(
    store: Path, timers: Mapping[str, int], sent: Sequence[SentMessage], lives: Sequence[Past], busy: float = 0.0
) -> dict[str, str]:
    """Return timers (device → when it was published) whose stamp is not arrival + on-delay, or that were told untimely.

    An alarm that left unrecorded may be stored with the next life's arrival: it is early only by its publication.
    """
    wrong = {}
    delay = round(station.ON_DELAY * SECOND)
    with Reader(store) as reader:
        points, clock = reader.points(), reader.clock()
        raised = {
            entry.body.point: clock.wall(entry.boot, entry.body.at)
            for entry in reader.transitions()
            if entry.body.rule == "slow"
        }
        offset = (clock.wall(CLOCK.boot(), CLOCK.mono()) or 0) - CLOCK.mono()
        arrived = {name: reader.readings(points[f"{name}.v"]).arrival for name in timers}
    for name, published in timers.items():
        if not len(arrived[name]):
            wrong[name] = "its reading is not in the store"
            continue
        due, at = int(arrived[name][0]) + delay, raised.get(points[f"{name}.v"])
        if at is None or abs(at - due) > TOLERANCE:
            wrong[name] = f"due {due}, stamped {at}"
            continue
        first = next(iter(asking(sent, name)), None)
        unrecorded = first is not None and UNRECORDED in first.text and first.at < due - offset
        moment = published + delay if unrecorded else due - offset
        if fault := untimely(moment, None if first is None else first.at, lives, sent, busy):
            wrong[name] = fault
    return wrong


# -- what the daemon says of itself


def complaints(store: Path) -> list[str]:
    """Return what went wrong at starts, as the daemon says, and bugs in its logs."""
    with Reader(store) as reader:
        starts = [entry.body for entry in reader.events() if entry.body.key == "start"]
    said = [event.text for event in starts if event.code is EventCode.FAULT]
    logs = [(store.parent / name).read_text(encoding="utf-8") for name in ("daemon.log", "warm.log")]
    return said + [line for log in logs for line in re.findall(r"^(?:\w*Error|Traceback).*", log, re.MULTILINE)]
