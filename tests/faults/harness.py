"""The kill harness: one broker, one field, one load, and lives of the daemon one after the other (issue's Must show 3).

Everything it knows it has seen from outside: what the broker acknowledged, what phones got, what the control socket
answered, when it killed. `verdict` compares that with the store at the end.
"""

from __future__ import annotations

import random
import re
import time
from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np

from gateway.clock import SECOND, SystemClock
from gateway.model.alarm import Alarm, AlarmState, Suppression
from gateway.model.batch import EventCode, Floats
from gateway.pipeline import dispatch, ledger
from gateway.store import chunks, database
from gateway.store.connection import connect_readonly
from gateway.store.journal import decode_readings
from gateway.store.read import Reader
from gateway.transport import unix
from tests.daemon import Daemon, Life, Warm
from tests.faults import station
from tests.faults.load import Publisher
from tests.field import Field

RATE = 2_100.0  # messages a second
AT_RANDOM = "at random"
POINTS = (*database.FAIL_POINTS, *ledger.FAIL_POINTS, *dispatch.FAIL_POINTS, AT_RANDOM)
ARMED_WITHIN = 10.0  # s
DIES_WITHIN = 1.5  # s; a fail point not passed by then is not passed in this life
TIMER_TOLERANCE = 1.0  # s
SLOW, CALM = 99, 1  # values that are alarms, and not
CLOCK = SystemClock()

WANTED = {
    "s0": (AlarmState.UNACK, Suppression.NONE),
    "s1": (AlarmState.ACKED, Suppression.NONE),
    "s2": (AlarmState.LATCHED_UNACK, Suppression.NONE),
    "s3": (AlarmState.LATCHED_ACKED, Suppression.NONE),
    "s4": (AlarmState.UNACK, Suppression.SHELVED),
    "u0": (AlarmState.RTN_UNACK, Suppression.NONE),
}


def wait(condition: Callable[[], bool], within: float, *, every: float = 0.02) -> bool:
    """Give the daemon time; return whether it came to hold."""
    end = time.monotonic() + within
    while not (held := condition()) and time.monotonic() < end:
        time.sleep(every)
    return held


class Harness:
    """Use as a context manager: the life that is on ends with it."""

    def __init__(self, folder: Path, port: int, warm: Warm, *, kills: int, seed: int, slaves: int = 8) -> None:
        self.store = folder / "station.db"
        self.publisher = Publisher(port, RATE)
        self.random = random.Random(seed)  # noqa: S311 - moments of death
        self.histogram: Counter[str] = Counter()
        self.alarms: list[str] = []
        self.timers: list[str] = []
        self.acknowledged: set[str] = set()
        self.killed_at: list[int] = []  # boot-time ns
        self.armed: list[float] = []
        self._folder = folder
        self._port = port
        self._warm = warm
        self._kills = kills
        self._slaves = slaves
        self._life: Daemon | Life | None = None
        self.config = self.write()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.publisher.close()
        if self._life is not None:
            self._life.kill()

    def write(self, *, edited: bool = False) -> Path:
        """Write the configuration, edited or as at first; the next life starts with it."""
        return station.write(
            self._folder, self._port, alarms=20 + self._kills * 3 // 5, slaves=self._slaves, edited=edited
        )

    # -- lives

    def prepare(self) -> None:
        """Live a first life: the sessions at the broker, and an alarm in every state, by readings and acts."""
        self._life = life = Daemon(self.config)
        life.wait_armed()
        assert wait(self._subscribed, ARMED_WITHIN), "the first start subscribes: only then the broker keeps anything"
        for device in WANTED:
            self._publish(device, SLOW)
        assert wait(lambda: self.states().keys() >= WANTED.keys(), ARMED_WITHIN)
        for device in ("s2", "s3", "u0"):
            self._publish(device, CALM)
        self.act("ack", "s1")
        self.act("shelve", "s4", reason="maintenance", seconds=3_600)
        assert wait(lambda: self.states()["s3"].state is AlarmState.LATCHED_UNACK, ARMED_WITHIN)
        self.act("ack", "s3")
        assert wait(self.in_every_state, ARMED_WITHIN), self.states()
        self._end(life)

    def cold(self) -> None:
        """One life of `firegrid run`: armed in time, an act answered is an act done; killed at a random moment."""
        self._life = life = Daemon(self.config)
        device = self.provoke()
        assert wait(lambda: device in self.states(), ARMED_WITHIN), f"{device}: not armed within {ARMED_WITHIN} s"
        self.armed.append(time.monotonic() - life.started)
        if self.random.random() < 0.5:
            self.act("ack", device)
            self.acknowledged.add(device)
        self._end(life, after=self.random.uniform(0.0, 0.3))
        self.histogram["cold start"] += 1

    def forked(self, *, planted: str = "", version: str = "") -> None:
        """One life from the warm process, killed at a fail point or at a random moment."""
        point = self.random.choice(POINTS)
        sends = point in dispatch.FAIL_POINTS
        hit = self.random.randint(1, 2 if sends else 3)
        if sends or self.random.random() < 0.3:
            self.provoke()
        name = "" if point == AT_RANDOM else point
        self._life = life = self._warm.fork(self.config, point=name, hit=hit, planted=planted, version=version)
        if point == AT_RANDOM:
            self._end(life, after=self.random.uniform(0.0, 0.6))
        else:
            died = life.wait_end(DIES_WITHIN)
            self._end(life)
            point = point if died else AT_RANDOM
        self.histogram[point] += 1

    def _end(self, life: Daemon | Life, *, after: float = 0.0) -> None:
        time.sleep(after)
        life.kill()
        self.killed_at.append(CLOCK.mono())
        self._life = None

    def provoke(self) -> str:
        """Let the next device alarm, and now and then one whose rule waits: they must be told, whatever happens."""
        device = f"a{len(self.alarms)}"
        self._publish(device, SLOW)
        self.alarms.append(device)
        if len(self.timers) < station.TIMER_DEVICES and len(self.alarms) % (1 + self._kills // 40) == 0:
            self.timers.append(f"t{len(self.timers)}")
            self._publish(self.timers[-1], SLOW)
        return device

    def settle(self, field: Field | None, *, within: float) -> None:
        """One last life that is not killed: it takes what is left, and is stopped in good order."""
        self._life = life = Daemon(self.config)
        life.wait_armed(ARMED_WITHIN)
        self.publisher.stop()
        if field is not None:
            wait(lambda: not self.untold(field), within, every=0.5)
        wait(lambda: not self.missing(), within, every=1.0)
        assert life.stop() == 0
        self._life = None

    def _publish(self, device: str, value: int) -> None:
        self.publisher.publish(station.topic_of(device), device, value)

    # -- the control socket

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        return unix.ask(Path(f"{self.store}.sock"), request)

    def _subscribed(self) -> bool:
        return any(link["name"] == "broker" and link["up"] for link in self._ask({"do": "status"})["links"])

    def act(self, verb: str, device: str, **more: Any) -> None:  # noqa: ANN401 - JSON
        """Act; what is answered is done."""
        alarm = self.states()[device].id
        answer = self._ask({"do": "act", "verb": verb, "alarms": [alarm], "who": "li"} | more)
        assert answer.get("refusals") == [], answer

    # -- what the store says

    def states(self) -> dict[str, Alarm]:
        """Return the open alarms of our rules by device, as stored."""
        with Reader(self.store) as reader:
            return {entry.body.device: entry.body for entry in reader.alarms() if entry.body.point_name == "v"}

    def in_every_state(self) -> bool:
        """Whether the prepared alarms stand where they were put."""
        states = self.states()
        return all((states[name].state, states[name].suppression) == wanted for name, wanted in WANTED.items())

    def stored(self) -> dict[str, list[int]]:
        """Return every value of every MQTT device in the store, in one pass over chunks and tail."""
        parts: dict[int, list[Floats]] = defaultdict(list)
        with closing(connect_readonly(self.store)) as connection:
            names = dict(connection.execute("SELECT id, name FROM point"))
            connection.execute("BEGIN")
            for point, n, body in connection.execute("SELECT point, n, body FROM chunk"):
                parts[point].append(chunks.decode(point, n, body).value)
            tail = "SELECT body FROM journal WHERE seq > ?"
            for (body,) in connection.execute(tail, (chunks.progress(connection),)):
                readings = decode_readings(body)
                for point in np.unique(readings.point):
                    parts[int(point)].append(readings.value[readings.point == point])
        return {
            names[point].removesuffix(".v"): np.concatenate(values).astype(int).tolist()
            for point, values in parts.items()
            if names[point].endswith(".v")
        }

    def missing(self) -> dict[str, int]:
        """Return how many acknowledged values of each device are not in the store."""
        stored = self.stored()
        lost = {name: set(acked).difference(stored.get(name, ())) for name, acked in self.publisher.acked.items()}
        return {name: len(values) for name, values in lost.items() if values}

    def twice(self) -> dict[str, int]:
        """Return how often each device has more values in the store than were published."""
        more = {name: len(values) - len(self.publisher.acked[name]) for name, values in self.stored().items()}
        return {name: n for name, n in more.items() if n > 0}

    def untold(self, field: Field) -> list[str]:
        """Return the devices whose alarm has reached no phone, though nobody answered it first at the box."""
        texts = field.texts()
        names = [name for name in (*self.alarms, *self.timers) if name not in self.acknowledged]
        return [name for name in names if not any(f" {name}，" in text for text in texts)]

    def told_again(self, field: Field) -> list[str]:
        """Return messages that came again without a mark, or without a kill between."""
        wrong = []
        asks = [message for message in field.sent if "回复" in message.text]
        for name in (*self.alarms, *self.timers, *WANTED):
            mine = [message for message in asks if f" {name}，" in message.text]
            for before, again in pairwise(mine):
                if bisect(self.killed_at, before.at) == bisect(self.killed_at, again.at) or "重发" not in again.text:
                    wrong.append(f"{before} {again}")
        return wrong

    def late_timers(self) -> dict[str, str]:
        """Return timers whose stamp is not arrival + on-delay, or that a life which could have told let wait."""
        wrong = {}
        with Reader(self.store) as reader:
            points = reader.points()
            clock = reader.clock()
            raised = {
                entry.body.point: (clock.wall(entry.boot, entry.body.at), entry.time)
                for entry in reader.transitions()
                if entry.body.rule == "slow"
            }
            for name in self.timers:
                point = points[f"{name}.v"]
                due = int(reader.readings(point).arrival[0]) + round(station.ON_DELAY * SECOND)
                at, written = raised.get(point, (None, None))
                if at is None or written is None or abs(at - due) > TIMER_TOLERANCE * SECOND:
                    wrong[name] = f"due {due}, stamped {at}"
        return wrong

    def complaints(self) -> list[str]:
        """Return what the daemon itself says went wrong at its starts, and bugs in its logs.

        A configuration taken over in a life that is killed before its first snapshot costs windows: so it is designed.
        """
        with Reader(self.store) as reader:
            starts = [e.body for e in reader.events() if e.body.key == "start" and e.body.code is EventCode.FAULT]
            said = [body.text for body in starts if "changed inside the tail" not in body.text]
        logs = [(self._folder / name).read_text(encoding="utf-8") for name in ("daemon.log", "warm.log")]
        return said + [line for log in logs for line in re.findall(r"^(?:\w*Error|Traceback).*", log, re.MULTILINE)]
