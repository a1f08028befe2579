"""The kill harness: one broker, one field, one load, and lives of the daemon one after the other (issue's Must show 3).

Everything it knows it has seen from outside: what the broker acknowledged, what phones got, what the control socket
answered, when it killed. `tests.faults.verdict` compares that with the store at the end.
"""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from gateway.clock import SystemClock
from gateway.model.alarm import Alarm, AlarmState, Suppression
from gateway.pipeline import dispatch, ledger
from gateway.store import database
from gateway.store.read import Reader
from gateway.transport import unix
from tests.daemon import Daemon, Life, Warm
from tests.faults import station
from tests.faults.load import Publisher
from tests.faults.verdict import Past, asking, missing
from tests.field import Field
from tests.patience import STRICT, limit, wait

LOAD = 2_000.0  # messages a second that the broker has to take (house: load)
RATE = 2_100.0  # offered
ARMS_IN = 3.0  # s; a machine that needs longer is offered less: the broker keeps 200 000 messages for it, and no more
CATCH_UP = 60.0  # s for which kills may wait, in all, for a load that has fallen behind
AT_RANDOM = "at random"
POINTS = (*database.FAIL_POINTS, *ledger.FAIL_POINTS, *dispatch.FAIL_POINTS, AT_RANDOM)
ARMED_WITHIN = limit(10.0)  # s
DIES_WITHIN = 0.8  # s after it was armed; a fail point not passed by then is not passed in this life
TOLD_WITHIN = limit(2.5)  # s; longer than a verdict needs to say that it is too late
LOOK = 0.05  # s; a look into the store is dear
SLEEP = 1.0  # s without any life before a start that takes another second: timers fall due before it is armed
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


class Harness:
    """Use as a context manager: the life that is on ends with it."""

    def __init__(
        self, folder: Path, port: int, warm: Warm, *, kills: int, seed: int, slaves: int = 8, field: Field | None = None
    ) -> None:
        self.store = folder / "station.db"
        self.publisher = Publisher(port, RATE)
        self.load = LOAD  # messages a second that have to be carried
        self.random = random.Random(seed)  # noqa: S311 - moments of death
        self.histogram: Counter[str] = Counter()
        self.alarms: list[str] = []
        self.timers: dict[str, int] = {}  # device → when it was published (boot-time ns)
        self.acknowledged: set[str] = set()
        self.lives: list[Past] = []
        self.armed: list[float] = []
        self.waited = 0.0  # s, for the load
        self._folder = folder
        self._port = port
        self._warm = warm
        self._kills = kills
        self._slaves = slaves
        self._field = field
        self._life: Daemon | Life | None = None
        self._born = self._acked = 0
        self._bad_disk = False
        self._asleep: list[str] = []  # timers that no life has been given time to tell
        self.config = self.write()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.publisher.close()
        if self._life is not None:
            self._life.kill()

    def write(self, *, edited: bool = False) -> Path:
        """Write the configuration, edited or as at first; the next life starts with it."""
        return station.write(self._folder, self._port, slaves=self._slaves, edited=edited)

    # -- lives

    def prepare(self) -> None:
        """Live a first life: the sessions at the broker, and an alarm in every state, by readings and acts."""
        life = self._start()
        armed = life.wait_armed()
        if not STRICT:
            self.publisher.rate = RATE * min(1.0, ARMS_IN / armed)
            self.load = self.publisher.rate / 4
        wait(self._subscribed, what="the first start subscribes: only then the broker keeps anything")
        for device in WANTED:
            self._publish(device, SLOW)
        wait(lambda: self.states().keys() >= WANTED.keys(), every=LOOK)
        for device in ("s2", "s3", "u0"):
            self._publish(device, CALM)
        self.act("ack", "s1")
        self.act("shelve", "s4", reason="maintenance", seconds=3_600)
        wait(lambda: self.states()["s3"].state is AlarmState.LATCHED_UNACK, every=LOOK)
        self.act("ack", "s3")
        wait(self.in_every_state, what=self.states, every=LOOK)
        self._end(life)

    def cold(self, field: Field) -> None:
        """One life of `firegrid run`: armed in time, an act answered is an act done; killed at a random moment.

        Timers that have fallen due in a sleep before it are given time to be told.
        """
        life = self._start()
        device = self.provoke()
        life.wait_armed(ARMED_WITHIN)
        armed = CLOCK.mono()
        wait(lambda: device in self.states(), ARMED_WITHIN, what=f"{device}: not armed", every=LOOK)
        self.armed.append(time.monotonic() - life.started)
        self._hold_load()
        with suppress(TimeoutError):  # the verdict says so
            wait(lambda: all(asking(field.sent, name) for name in self._asleep), TOLD_WITHIN, every=LOOK)
        self._asleep = []
        if self.random.random() < 0.5:
            self.act("ack", device)
            self.acknowledged.add(device)
        self._end(life, after=self.random.uniform(0.0, 0.2), armed=armed)
        self.histogram["cold start"] += 1

    def forked(self, *, planted: str = "", version: str = "", bad_disk: bool = False) -> None:
        """One life from the warm process, killed at a fail point or at a random moment."""
        unmet = [point for point in POINTS if not self.histogram[point]] if len(self.lives) > self._kills // 2 else []
        point = self.random.choice(unmet or POINTS)
        sends = point in dispatch.FAIL_POINTS
        hit = self.random.randint(1, 2 if sends else 3)
        if sends or self.random.random() < 0.15:
            self.provoke()
        name = "" if point == AT_RANDOM else point
        disk = self.random.randint(1, 1 << 30) if bad_disk else 0
        life = self._fork(point=name, hit=hit, planted=planted, version=version, disk=disk)
        self._hold_load()
        if point == AT_RANDOM:
            self._end(life, after=self.random.uniform(0.0, 0.6))
        else:
            wait(lambda: life.wait_end(0.02) or life.armed_at() is not None, what="armed")
            died = life.wait_end(DIES_WITHIN)
            self._end(life)
            point = point if died else AT_RANDOM
        self.histogram[point] += 1

    def stalled(self) -> None:
        """One life on a disk that stalls for seconds; an alarm meets the stall, death comes in it or after it."""
        self.provoke()
        self.delay()
        life = self._fork(disk=self.random.randint(1, 1 << 30), stall=self.random.randint(2, 8))
        time.sleep(0.6)
        self.provoke()
        self._end(life, after=self.random.uniform(0.6, 4.0))
        self.histogram[AT_RANDOM] += 1

    def asleep(self, seconds: float = SLEEP) -> None:
        """One life in which timers begin, and no life for as long as they run."""
        self._asleep = [name for name in (self.delay(), self.delay()) if name]
        self._end(self._fork(), after=0.6)
        self.histogram[AT_RANDOM] += 1
        time.sleep(seconds)

    def live(self, seconds: float, *, planted: str = "") -> None:
        """One life from the warm process of so many seconds from its arming on."""
        life = self._fork(planted=planted)
        wait(lambda: life.armed_at() is not None, what="armed")
        self._end(life, after=seconds)

    def _start(self) -> Daemon:
        self._born, self._acked, self._bad_disk = CLOCK.mono(), self.publisher.count, False
        self._life = life = Daemon(self.config)
        return life

    def _fork(self, *, disk: int = 0, stall: int = 0, **more: Any) -> Life:  # noqa: ANN401 - as `Warm.fork`
        self._born, self._acked, self._bad_disk = CLOCK.mono(), self.publisher.count, bool(disk)
        self._life = life = self._warm.fork(self.config, disk=disk, stall=stall, **more)
        return life

    def _end(self, life: Daemon | Life, *, after: float = 0.0, armed: int | None = None) -> None:
        time.sleep(after)
        life.kill()
        if self._field is not None:
            self._field.read_all()  # what this life has sent was sent before its end
        self._buried(life.armed_at() if isinstance(life, Life) else armed)

    def _buried(self, armed: int | None) -> None:
        acked = self.publisher.count - self._acked
        self.lives.append(Past(self._born, armed, CLOCK.mono(), acked, self._bad_disk))
        self._life = None

    def _hold_load(self) -> None:
        """Kill no faster than the load is carried: what has fallen behind is caught up with a life on."""
        what = f"this machine does not carry {self.load:.0f} messages a second, given {CATCH_UP:.0f} s to catch up"
        self.waited += wait(lambda: self.publisher.carries(self.load), CATCH_UP - self.waited, what=what, every=LOOK)

    def rate_on(self) -> float:
        """Return how many messages a second the broker took while a life was on that was to be killed."""
        on = self.lives[1:-1]
        return sum(life.acked for life in on) / (sum(life.died - life.born for life in on) / 1e9)

    def provoke(self) -> str:
        """Let the next address alarm, and now and then a rule that waits: they must be told, whatever happens."""
        device, said = station.fire(len(self.alarms))
        self.publisher.publish(station.topic_of("panel"), device, SLOW, **said)
        self.alarms.append(device)
        if len(self.alarms) % (2 + self._kills // 25) == 0:
            self.delay()
        return device

    def delay(self) -> str:
        """Let the next device whose rule waits begin to; "" when all have."""
        if len(self.timers) == station.TIMER_DEVICES:
            return ""
        device = f"t{len(self.timers)}"
        self.timers[device] = CLOCK.mono()
        self._publish(device, SLOW)
        return device

    def settle(self, field: Field | None, *, within: float) -> None:
        """One last life that is not killed: a timer falls due in it, it takes what is left, and stops in good order."""
        life = self._start()
        life.wait_armed(ARMED_WITHIN)
        armed = CLOCK.mono()
        self._hold_load()
        if field is not None:
            self.delay()
            with suppress(TimeoutError):  # the verdict says so
                wait(lambda: not self.untold(field), within, every=0.1)
        self.publisher.stop()
        self._drain(within)
        assert life.stop() == 0
        self._buried(armed)

    def _drain(self, within: float) -> None:
        """Wait for what the broker still holds as long as it grows less; to look costs time, so not often."""
        least, since = math.inf, time.monotonic()
        while True:
            begun = time.monotonic()
            left = sum(missing(self.store, self.publisher.acked).values())
            if not left or (left >= least and time.monotonic() - since > within):
                return
            if left < least:
                least, since = left, time.monotonic()
            time.sleep(0.5 + 2 * (time.monotonic() - begun))

    def _publish(self, device: str, value: int) -> None:
        self.publisher.publish(station.topic_of(device), device, value)

    def devices(self) -> tuple[str, ...]:
        """Return every device whose alarm somebody is told of."""
        return (*self.alarms, *self.timers, *WANTED)

    def untold(self, field: Field) -> list[str]:
        """Return the devices whose alarm has reached no phone, though nobody answered it first at the box."""
        sent = field.sent
        return [
            name for name in (*self.alarms, *self.timers) if name not in self.acknowledged and not asking(sent, name)
        ]

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
        """Return the open alarms of our devices as stored, by device or by address at the panel."""
        with Reader(self.store) as reader:
            alarms = [entry.body for entry in reader.alarms()]
        return {alarm.key or alarm.device: alarm for alarm in alarms if not alarm.device.startswith("@")}

    def in_every_state(self) -> bool:
        """Whether the prepared alarms stand where they were put."""
        states = self.states()
        return all((states[name].state, states[name].suppression) == wanted for name, wanted in WANTED.items())
