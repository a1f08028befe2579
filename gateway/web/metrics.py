"""`/metrics`: what the gateway counts of itself, for Prometheus and whoever reads its text format.

A part of the page beside the flow: gathered when somebody asks, from what stands in RAM anyway; after each commit a
few numbers are added, never one a reading (house sections 2 and 7). Names and labels are a promise to dashboards and
alert rules, see `docs/grafana.md`; nothing in here names a person or a phone number.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.clock import MINUTE, SECOND
from gateway.model.inventory import BOX
from gateway.model.notification import NotifyReason
from gateway.model.point import AlarmClass
from gateway.model.quality import Level, level_of
from gateway.model.verdict import ALWAYS_AGO
from gateway.pipeline.commit import Work
from gateway.pipeline.intake import arrival_of
from gateway.pipeline.supervisor import Health
from gateway.web.facts import Facts

BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # s
BACKLOG = "backlog_seconds"  # counter of a sink's link that is an age
SINK = "sink "  # how the links of sinks are called
_FRESH = 2 * MINUTE  # of the box's figures: it is looked at every half minute
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Counts:
    """What commits add up to, since the start. `heard` is a listener of the runner."""

    def __init__(self, facts: Facts, registry: CollectorRegistry) -> None:
        self._facts = facts
        self.commits = self.readings = self.batches = 0
        self.records: Counter[str] = Counter()

        def histogram(name: str, words: str) -> Histogram:
            made = Histogram(name, words, ["station"], buckets=BUCKETS, registry=registry)
            return made.labels(facts.station.id)

        self._commit = histogram("firegrid_commit_seconds", "From the closing of a group until it is on the disk.")
        self._arrival = histogram(
            "firegrid_arrival_to_commit_seconds", "From the oldest arrival of a group until it is on the disk."
        )
        self._told = histogram(
            "firegrid_alarm_to_send_seconds", "From the raise of an alarm to the hand-over of its first notices."
        )

    def heard(self, work: Work) -> None:
        """Take notice of a group that is committed, or kept in RAM while the disk does not take it."""
        now = self._facts.clock.mono()
        self.readings += work.readings
        self.batches += len(work.batches)
        for kind, _ in work.records:
            self.records[kind] += 1
        if not self._facts.runner.ledger.volatile:
            self.commits += 1
            self._commit.observe((now - work.closed_at) / SECOND)
            if work.batches:
                self._arrival.observe(max(0, now - arrival_of(work.batches[0])) / SECOND)
        first = {notice.alarm for notice in work.sending if notice.reason is NotifyReason.RAISED and not notice.repeat}
        for alarm in self._facts.state.book.open_alarms() if first else ():
            if alarm.id in first:
                self._told.observe(max(0, now - alarm.raised) / SECOND)


class Gathered(Collector):
    """What is read when it is asked for."""

    def __init__(self, facts: Facts, counts: Counts) -> None:
        self._facts = facts
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        yield from self._flow()
        yield from self._people()
        yield from self._links()
        yield from self._box()

    def _gauge(self, name: str, words: str, *labels: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"firegrid_{name}", words, labels=["station", *labels])

    def _one(self, name: str, words: str, value: float) -> Metric:
        """Return a family of one number; a name that ends in `_total` is a counter."""
        kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
        made = kind(f"firegrid_{name}", words, labels=["station"])
        made.add_metric([self._facts.station.id], value)
        return made

    def _flow(self) -> Iterator[Metric]:
        runner, ledger = self._facts.runner, self._facts.runner.ledger
        info = self._gauge("info", "Which version runs.", "version")
        info.add_metric([self._facts.station.id, version("firegrid")], 1)
        yield info
        one = self._one
        yield one("readings_total", "Readings handled.", self._counts.readings)
        yield one("batches_total", "Batches handled.", self._counts.batches)
        yield one("commits_total", "Groups committed to the disk.", self._counts.commits)
        yield one("turns_total", "Turns of the runner: stands still when the core does.", runner.turns)
        yield one("refused_total", "Inputs that made a step fail and were set aside.", runner.refused)
        yield one("dropped_total", "Readings and events that came too fast.", runner.dropped + ledger.dropped)
        yield one("unrecorded_total", "Messages accepted without a record.", ledger.unrecorded)
        yield one("intake_waiting", "Readings, events and batches not yet stepped.", runner.intake.waiting)
        yield one("store_volatile", "1 while the gateway lives without its disk.", ledger.volatile)
        yield one("store_commit", "Number of the newest commit on the disk.", ledger.seq)
        yield one("store_wal_bytes", "Size of the store's write-ahead log.", ledger.upkeep.wal_bytes)
        room = ledger.upkeep.room
        yield one("store_used_bytes", "What the store uses of its budget.", room.used)
        yield one("store_budget_bytes", "What the store may use, 0 without a bound.", room.most)
        yield one("thinned_readings_total", "Readings that went before their time, for want of room.", room.evicted)
        yield one("store_backlog_bytes", "What waits in RAM for the disk to come back.", ledger.backlog_bytes)
        yield one("clock_trusted", "1 while wall time is trusted.", self._facts.state.axis.trusted)
        records = CounterMetricFamily("firegrid_records_total", "Rows of the record.", labels=["station", "kind"])
        for kind, number in sorted(self._counts.records.items()):
            records.add_metric([self._facts.station.id, kind], number)
        yield records

    def _people(self) -> Iterator[Metric]:
        station = self._facts.station.id
        alarms = self._gauge("alarms", "Open alarms; every class is there, also without any.", "class", "state")
        counted = Counter(
            (alarm.alarm_class, alarm.state.value) for alarm in self._facts.state.book.alarms.rows.values()
        )
        for kind in AlarmClass:
            states = {state for known, state in counted if known is kind} or {"unack"}
            for state in sorted(states):
                alarms.add_metric([station, kind.word, state], counted[kind, state])
        yield alarms
        notices = self._gauge("notices", "Notices that are kept, by channel and how far they got.", "channel", "state")
        found = Counter((one.channel, one.state.value) for one in self._facts.state.escalation.notices.rows)
        for (channel, state), number in sorted(found.items()):
            notices.add_metric([station, channel, state], number)
        yield notices

    def _links(self) -> Iterator[Metric]:
        station = self._facts.station.id
        up = self._gauge("link_up", "1 while a link, channel, sink or part works.", "link")
        backlog = self._gauge("sink_backlog_seconds", "Age of the oldest reading that a sink has not sent.", "sink")
        counters = CounterMetricFamily(
            "firegrid_link_count_total", "What a link counts.", labels=["station", "link", "what"]
        )
        for health in self._facts.links():
            up.add_metric([station, health.name], health.up)
            if health.name.startswith(SINK):
                age = health.counters.get(BACKLOG, 0)
                backlog.add_metric([station, health.name.removeprefix(SINK)], age)
            self._count(counters, health)
        yield from (up, backlog, counters)

    def _count(self, family: CounterMetricFamily, health: Health) -> None:
        for what, number in sorted(health.counters.items()):
            if what != BACKLOG:
                family.add_metric([self._facts.station.id, health.name, what], number)

    def _box(self) -> Iterator[Metric]:
        """Yield what the process knows of itself, then the points of device `gateway`, as far as they are fresh."""
        times = os.times()
        yield self._one("cpu_seconds_total", "Processor time of the daemon.", times.user + times.system)
        for name, words, number in (
            ("resident_memory_bytes", "Resident memory of the daemon.", _resident()),
            ("written_bytes_total", "Bytes that the daemon had written to disks.", _written()),
        ):
            if number is not None:
                yield self._one(name, words, number)
        box = self._gauge("box", "Figures of the box: the points of device gateway.", "point", "unit")
        latest, now = self._facts.state.latest, self._facts.clock.mono()
        device = self._facts.devices.get(BOX)
        for spec in device.profile.points if device else ():
            number = self._facts.ids[f"{BOX}.{spec.name}"]
            heard = int(latest.time[number])
            good = level_of(int(latest.quality[number])) is not Level.BAD
            if heard != ALWAYS_AGO and now - heard <= _FRESH and good:
                box.add_metric([self._facts.station.id, spec.name, spec.unit], float(latest.value[number]))
        yield box


class Metrics:
    """The text behind the address `/metrics`."""

    def __init__(self, facts: Facts) -> None:
        # When a histogram began says nothing: the daemon's start does.
        disable_created_metrics()  # type: ignore[no-untyped-call] # has no types
        self._registry = CollectorRegistry(auto_describe=False)
        self.counts = Counts(facts, self._registry)
        self._registry.register(Gathered(facts, self.counts))
        self._facts = facts

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """Return the whole in the format that `accept` asks for (classic text or OpenMetrics), and its media type."""
        encode, kind = choose_encoder(accept)
        return encode(self._registry), kind

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Hear of commits meanwhile."""
        listeners = self._facts.runner.listeners
        listeners.append(self.counts.heard)
        try:
            yield
        finally:
            listeners.remove(self.counts.heard)


def _resident() -> float | None:
    """Return resident memory in bytes (proc(5), statm)."""
    try:
        return float(int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE)
    except (OSError, ValueError, IndexError):
        return None


def _written() -> float | None:
    """Return what was really sent to disks (proc(5), io: write_bytes)."""
    try:
        lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith("write_bytes:")))
    except (OSError, ValueError, IndexError, StopIteration):
        return None
